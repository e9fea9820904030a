package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/containerd"
	"github.com/cic-ci/cic/plan"
)

func execCommand() *cli.Command {
	return &cli.Command{
		Name:      "exec",
		Usage:     "run a plan in containers",
		ArgsUsage: "PLAN [JOB...]",
		Description: "PLAN is a plan.json or the directory that holds it. With JOB, those jobs and what they\n" +
			"need. The first Ctrl-C stops the jobs in order, the second kills them.\n\n" +
			"--resume starts a new run of an earlier run's plan, with the flags of that run.\n\n" +
			"Example:\n   cic exec plan\n   cic exec plan unit-tests --image 'python:*=host'\n   cic exec --resume last",
		Flags: slices.Concat([]cli.Flag{projectFlag(), externalFlag(), frozenFlag(), keyFlag()}, resumeFlags(), execFlags()),
		Action: func(c *cli.Context) error {
			if c.IsSet("resume") {
				if c.Bool("frozen") || c.IsSet("key") {
					return usage("--frozen and --key are about a PLAN, and --resume takes that of the run")
				}
				return resumeRun(c)
			}
			if c.Bool("failed") {
				return usage("--failed needs --resume RUN")
			}
			if !c.Args().Present() {
				return usage("exec takes PLAN and perhaps JOBs")
			}
			d, err := readPlan(c, c.Args().First())
			if err != nil {
				return err
			}
			if err := warnUntrusted(c, c.Args().First()); err != nil {
				return err
			}
			if err := verify(c, d); err != nil {
				return err
			}
			if err := useBundledImages(c, c.Args().First()); err != nil {
				return err
			}
			p, err := openProject(c.Context, c.String("project"))
			if err != nil {
				return fail(exitInvalid, err)
			}
			if p.others, err = openOthers(c); err != nil {
				return err
			}
			if err := checkStale(c, p, d); err != nil {
				return err
			}
			return start(c, p, request{plan: d.Plan, scripts: d.Script, sourceMap: d.Map, names: c.Args().Tail()})
		},
	}
}

// execFlags are the flags of exec that run has too.
func execFlags() []cli.Flag {
	return slices.Concat([]cli.Flag{
		&cli.IntFlag{Name: "jobs", Aliases: []string{"j"}, DefaultText: "twice the processors", Usage: "run at most `N` jobs at once"},
		&cli.StringFlag{Name: "workspace", Value: "isolated", Usage: "isolated: a job's changes are its own; shared: the project itself, writable"},
		&cli.StringFlag{Name: "source", Value: "clean", Usage: "clean: jobs do not see what git ignores; all: they do"},
		&cli.StringFlag{Name: "network", Value: containerd.NetworkBridge, Usage: "bridge: jobs have a network of their own and reach what the machine reaches; none: only their services; host: the machine's network"},
		&cli.DurationFlag{Name: "service-timeout", Value: 30 * time.Second, Usage: "start a job after this `TIME` though its services are not ready"},
		usernsFlag(),
		&cli.BoolFlag{Name: "skip-unchanged", Usage: "take over the result of a job that has succeeded before with the same script, image, variables, files and inputs"},
		&cli.BoolFlag{Name: "locked", Usage: "refuse to run unless the plan names the digest of each image"},
		&cli.BoolFlag{Name: "strict-runtime", Usage: "refuse to run with a containerd, runc or crun that has known security holes"},
		&cli.BoolFlag{Name: "keep-failed", Usage: "keep the workspaces of failed jobs for cic shell"},
		&cli.BoolFlag{Name: "dry-run", Usage: "run nothing; print what would run, in order"},
	}, gateFlags(), viewFlags(), reportFlags(), cacheFlags(), grantFlags(), secretFlags(), runtimeFlags())
}

// start runs what is asked for in a new run. A plan without jobs makes none, as
// GitLab creates no pipeline then: it needs no containers, and its reports are those
// of a dry run.
func start(c *cli.Context, p *project, r request) error {
	do := func(dir *exec.RunDir) error { return execute(c, p, dir, r) }
	if len(r.plan.Jobs) > 0 {
		return withRun(c, p, do)
	}
	if err := checkExecFlags(c); err != nil {
		return err
	}
	return do(nil)
}

// withRun calls do with the directory of a new run, nil for a dry run.
func withRun(c *cli.Context, p *project, do func(*exec.RunDir) error) (err error) {
	if err := checkExecFlags(c); err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return do(nil)
	}
	state, err := stateDir(c)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(p.dir, state); err == nil && filepath.IsLocal(rel) {
		return &exitError{code: exitSystem, err: fmt.Errorf("the state directory %s is inside the project, which jobs see", state),
			help: "name another with --state-dir or CIC_STATE_DIR"}
	}
	dir, err := exec.CreateRun(state, exec.NewRunID(time.Now()))
	if err != nil {
		return execError(err)
	}
	defer func() {
		if closeErr := dir.Close(); closeErr != nil && err == nil {
			err = fail(exitSystem, closeErr)
		}
	}()
	return do(dir)
}

// checkExecFlags refuses values that no run can have, of a dry run too.
func checkExecFlags(c *cli.Context) error {
	for _, f := range []struct {
		name   string
		values []string
	}{
		{"workspace", []string{"isolated", "shared"}},
		{"source", []string{"clean", "all"}},
		{"network", []string{containerd.NetworkBridge, containerd.NetworkNone, containerd.NetworkHost}},
	} {
		if v := c.String(f.name); !slices.Contains(f.values, v) {
			last := len(f.values) - 1
			return usage("--%s is %s or %s, not %q", f.name, strings.Join(f.values[:last], ", "), f.values[last], v)
		}
	}
	if t := c.Duration("service-timeout"); t <= 0 {
		return usage("--service-timeout is more than 0, not %v", t)
	}
	if c.IsSet("jobs") && c.Int("jobs") < 1 {
		return usage("--jobs is at least 1, not %d", c.Int("jobs"))
	}
	if c.Bool("userns") && c.String("network") == containerd.NetworkHost {
		return usage("--userns needs a network of the jobs' own: use --network bridge or none")
	}
	if err := checkViewFlags(c); err != nil {
		return err
	}
	if err := checkCacheFlags(c); err != nil {
		return err
	}
	if c.Bool("skip-unchanged") && c.String("workspace") == "shared" {
		return usage("--skip-unchanged needs --workspace isolated: in a shared one, jobs depend on each other in ways that nobody declares")
	}
	if _, err := parseGrants(c); err != nil {
		return err
	}
	if _, err := jobLimits(c); err != nil {
		return err
	}
	if c.IsSet("timeout") && c.Duration("timeout") <= 0 {
		return usage("--timeout is more than 0, not %s", c.Duration("timeout"))
	}
	_, err := imageMappings(c)
	return err
}

// request is what to run.
type request struct {
	plan      *plan.Plan
	scripts   func(plan.Script) ([]byte, error)
	sourceMap *plan.SourceMap // may be nil
	names     []string        // of jobs; none means all
	resume    *exec.Record    // the run to go on with, nil for none
}

// execute runs a plan and prints the run.
func execute(c *cli.Context, p *project, dir *exec.RunDir, r request) error {
	e, err := prepare(c, p, dir, &r)
	if err != nil {
		return err
	}
	shown, err := openViews(c, e.Secrets.Masker())
	if err != nil {
		return err
	}
	e.Observer, e.Observed, e.Ask = shown.Observe, shown.text.Flush, shown.asking(e.Ask)
	ctx, kill, stop := onSignals(c.Context, c.App.ErrWriter)
	defer stop()
	e.Kill = kill
	var result *exec.Result
	if dir == nil {
		e.Runtime, e.Workspaces, e.Jobs = exec.DryRun{}, exec.DryRun{}, 1
		result, err = e.Run(ctx, r.plan, r.scripts)
	} else {
		result, err = executeInContainers(ctx, c, p, e, r.plan, r.scripts)
	}
	if result != nil {
		r.plan = result.Plan // with the child pipelines that were compiled
	}
	select {
	case <-kill: // the views may still be at work
	default:
		if reportErr := shown.close(c, r.plan, dir, result); reportErr != nil {
			err = errors.Join(err, reportErr)
		}
	}
	return outcome(ctx, dir, result, err)
}

// prepare does what comes before containerd is started: it reads what the flags
// give, narrows the plan of r to the jobs that are to run, keeps it in the run's
// directory, and refuses what policy forbids.
func prepare(c *cli.Context, p *project, dir *exec.RunDir, r *request) (*exec.Executor, error) {
	granted, err := resolveGrants(c, r.plan)
	if err != nil {
		return nil, err
	}
	limits, err := jobLimits(c)
	if err != nil {
		return nil, err
	}
	logLimit, err := plan.ParseSize(c.String("log-limit"))
	if err != nil {
		return nil, usage("--log-limit: %v", err)
	}
	given, err := secrets(c, r.plan, r.scripts)
	if err != nil {
		return nil, err
	}
	done, err := narrow(c, r)
	if err != nil {
		return nil, err
	}
	if err := recordRun(c, p, dir, r); err != nil {
		return nil, err
	}
	unpinned, err := policy(c, r.plan, granted)
	if err != nil {
		return nil, err
	}
	manual, err := manualJobs(c, r.plan, r.names)
	if err != nil {
		return nil, err
	}
	e := &exec.Executor{
		Now:        time.Now,
		Jobs:       c.Int("jobs"),
		Variables:  p.runtimeVariables(c.Context, r.plan.Context),
		Granted:    granted,
		Unpinned:   unpinned,
		Limits:     limits,
		LogLimit:   logLimit,
		Secrets:    given,
		RunDir:     dir,
		SourceMap:  r.sourceMap,
		Resume:     done,
		Manual:     manual,
		NoDelay:    c.Bool("no-delay") || dir == nil,
		Timeout:    c.Duration("timeout"),
		Project:    p.dir,
		KeepFailed: c.Bool("keep-failed"),

		CompileChild: p.compileChild,
	}
	if dir == nil {
		return e, nil
	}
	if err := given.Check(r.plan); err != nil {
		return nil, execError(err)
	}
	e.Ask = asker(c)
	e.Reuse, err = reuse(c, p)
	return e, err
}

// recordRun keeps in the run's directory what is run, and how. Without a directory,
// for a dry run, it does nothing.
func recordRun(c *cli.Context, p *project, dir *exec.RunDir, r *request) error {
	if dir == nil {
		return nil
	}
	if err := checkOthers(p, r.plan); err != nil {
		return err
	}
	return errors.Join(keepPlan(dir, r), recordLaunch(c, p, dir))
}

// policy refuses what was not granted, and with --locked images that are not pinned, of
// which it returns how they are told, for child pipelines.
func policy(c *cli.Context, pl *plan.Plan, granted map[string]exec.Granted) (func(string) string, error) {
	if err := exec.CheckPolicy(pl, granted); err != nil {
		return nil, execError(err)
	}
	unpinned, err := pinning(c)
	if err != nil {
		return nil, err
	}
	if unpinned != nil {
		if err := exec.CheckPinned(pl, unpinned); err != nil {
			return nil, execError(err)
		}
	}
	return unpinned, nil
}

// narrow leaves in the plan of r the jobs that are named, or are to be done again.
func narrow(c *cli.Context, r *request) (done *exec.Earlier, err error) {
	if len(r.names) > 0 {
		if r.plan, err = exec.Select(r.plan, r.names); err != nil {
			return nil, usage("%v", err)
		}
	}
	if r.resume != nil {
		done, r.plan, err = earlier(c, r.resume, r.plan)
	}
	return done, err
}

// outcome is what a run that is over ends the command with.
func outcome(ctx context.Context, dir *exec.RunDir, result *exec.Result, err error) error {
	if code, ok := signalCode(ctx, result, err); ok {
		return &exitError{code: code, err: unlessCanceled(err)}
	}
	if err != nil {
		return execError(err)
	}
	switch code := result.ExitCode(); code {
	case exitOK:
		return nil
	case exitBlocked:
		return blocked(dir, result)
	default:
		return &exitError{code: code}
	}
}

// signalCode is the exit code of a run that a signal ended, if one did.
func signalCode(ctx context.Context, result *exec.Result, err error) (int, bool) {
	var sig interrupted
	if !errors.As(context.Cause(ctx), &sig) {
		return 0, false
	}
	if err == nil && result != nil && !result.Interrupted {
		return 0, false
	}
	return sig.exitCode(), true
}

// unlessCanceled is err, but nil if it only says that a signal was heeded, which
// the user knows.
func unlessCanceled(err error) error {
	var e *exec.Error
	if errors.As(err, &e) && e.Class == exec.ClassCanceled {
		return nil
	}
	return err
}

// execError gives an error of the executor its exit code and its help.
func execError(err error) error {
	var known *exitError
	if errors.As(err, &known) {
		return err
	}
	var policy *exec.PolicyError
	if errors.As(err, &policy) {
		return &exitError{code: exitPolicy, err: err, help: policy.Help()}
	}
	var unpinned *exec.UnpinnedError
	if errors.As(err, &unpinned) {
		return &exitError{code: exitPolicy, err: err, help: "pin images with cic image lock and compile again, map them only to references with the same digest, or run the plan without --locked"}
	}
	var missing *exec.SecretsError
	if errors.As(err, &missing) {
		return &exitError{code: exitUsage, err: err, help: "give each with --secret NAME (from the environment), --secret NAME=file:PATH, or --secret-file FILE"}
	}
	var integrity *plan.IntegrityError
	if errors.As(err, &integrity) {
		return fail(exitIntegrity, err)
	}
	var e *exec.Error
	if errors.As(err, &e) {
		return &exitError{code: exitSystem, err: err, help: e.Help}
	}
	return fail(exitSystem, err)
}

// warner prints warnings of the layers below.
func warner(w io.Writer) func(string) {
	return func(msg string) { fmt.Fprintf(w, "cic: warning: %s\n", msg) }
}
