package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/containerd"
	"github.com/cic-ci/cic/exec/userns"
)

func shellCommand() *cli.Command {
	hidden := func(name string) cli.Flag { return &cli.StringFlag{Name: name, Hidden: true} }
	return &cli.Command{
		Name:      "shell",
		Usage:     "a shell in the kept workspace of a failed job",
		ArgsUsage: "[RUN] JOB [-- COMMAND...]",
		Description: "RUN is an id, the beginning of one from its date on, or last (the default). The workspace is\n" +
			"as the job left it, if cic exec or cic run had --keep-failed; the rest of the container is new.\n" +
			"Variables are those of the job, but for secrets. What is changed stays changed.\n\n" +
			"Example:\n   cic run --keep-failed\n   cic shell unit-tests\n   cic shell last unit-tests -- ls -l",
		Flags:  append([]cli.Flag{hidden("workspace"), hidden("source"), hidden("network")}, runtimeFlags()...),
		Action: shell,
	}
}

// surroundings are what of a run's command line a shell needs too. They are
// kept beside the failed jobs.
type surroundings struct {
	Project   string   `json:"project"`
	Images    []string `json:"images,omitempty"`
	Address   string   `json:"address,omitempty"`
	Workspace string   `json:"workspace"`
	Source    string   `json:"source"`
	Network   string   `json:"network"`
}

const surroundingsFile = "run.json"

// keepSurroundings writes them, before anything runs.
func keepSurroundings(c *cli.Context, p *project, dir *exec.RunDir) error {
	text, err := json.MarshalIndent(surroundings{Project: p.dir, Images: c.StringSlice("image"), Address: c.String("address"),
		Workspace: c.String("workspace"), Source: c.String("source"), Network: c.String("network")}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir.KeptDir(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir.KeptDir(), surroundingsFile), text, 0o600)
}

// restore sets the flags that the run had, but for those that are given now, and
// returns the project: that in dir, or without one that of the run.
func (s *surroundings) restore(c *cli.Context, dir string) (*project, error) {
	set := map[string]string{"workspace": s.Workspace, "source": s.Source, "network": s.Network, "address": s.Address}
	var errs []error
	for name, value := range set {
		if !c.IsSet(name) {
			errs = append(errs, c.Set(name, value))
		}
	}
	if !c.IsSet("image") {
		for _, image := range s.Images {
			errs = append(errs, c.Set("image", image))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return openProject(c.Context, cmp.Or(dir, s.Project))
}

func shell(c *cli.Context) error {
	r, rest, err := runAndRest(c)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return usage("shell needs a JOB; those of run %s: %s", r.ID, jobNames(r))
	}
	j, err := jobOf(r, rest[0])
	if err != nil {
		return err
	}
	kept, err := r.KeptJob(j.Name)
	if errors.Is(err, exec.ErrNotKept) {
		return &exitError{code: exitUsage, err: fmt.Errorf("job %q of run %s (%s): %w", j.Name, r.ID, j.Status, err),
			help: "cic run --keep-failed and cic exec --keep-failed keep the workspaces of failed jobs"}
	} else if err != nil {
		return err
	}
	var around surroundings
	text, err := os.ReadFile(filepath.Join(r.KeptDir(), surroundingsFile))
	if err == nil {
		err = json.Unmarshal(text, &around)
	}
	if err != nil {
		return err
	}
	p, err := around.restore(c, kept.Project)
	if err != nil {
		return fail(exitSystem, err)
	}
	return enter(c, r, kept, p, rest[1:])
}

// enter makes the job's container in a working directory of its own, as of a run
// that leaves nothing.
func enter(c *cli.Context, r *exec.Record, kept *exec.Kept, p *project, command []string) (err error) {
	dir, err := exec.CreateRun(r.StateDir(), exec.NewRunID(time.Now()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	// At a terminal, Ctrl-C is for the shell and no signal.
	ctx, _, stop := onSignals(c.Context, c.App.ErrWriter)
	defer stop()
	var users *userns.Namespace
	if kept.UserNamespace {
		if users, err = userns.Open(p.dir); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, users.Close()) }()
	}
	runtime, err := openRuntime(ctx, c, dir, users)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runtime.Close()) }()
	code, err := enterWorkspace(ctx, c, p, dir, runtime, users, kept, command)
	if signal, ok := signalCode(ctx, nil, err); ok {
		return &exitError{code: signal}
	}
	if err == nil && code != 0 {
		return &exitError{code: code}
	}
	return err
}

// enterWorkspace mounts the kept workspace and runs the command in it. What was
// changed in it is kept afterwards.
func enterWorkspace(ctx context.Context, c *cli.Context, p *project, dir *exec.RunDir, runtime *containerd.Runtime, users *userns.Namespace,
	kept *exec.Kept, command []string) (code int, err error) {
	manager, err := workspaces(ctx, c, p, dir.WorkspacesDir())
	if err != nil {
		return 0, err
	}
	if users != nil {
		if manager, err = mapped(manager, users); err != nil {
			return 0, err
		}
	}
	layers := slices.DeleteFunc(kept.Layers, func(layer string) bool {
		_, err := os.Stat(layer)
		if err != nil {
			warner(c.App.ErrWriter)(fmt.Sprintf("a layer of the workspace is gone, its files are missing: %v", err))
		}
		return err != nil
	})
	id := exec.JobID(kept.Job.Name)
	tree, err := manager.Reopen(id, kept.Workspace, layers)
	if err != nil {
		return 0, err
	}
	defer func() {
		_, keepErr := tree.Keep(kept.Workspace)
		err = errors.Join(err, keepErr, tree.Close())
	}()
	spec := exec.Spec{ID: id, Job: &kept.Job, Image: kept.Image, Env: kept.Env, Services: kept.Services, Limits: kept.Limits,
		Granted: kept.Granted, UserNamespace: kept.UserNamespace, Builds: tree.Builds(), Scratch: filepath.Join(dir.Dir, "work", "scratch", id)}
	if err := os.Mkdir(spec.Scratch, 0o700); err != nil {
		return 0, err
	}
	for i := range spec.Services {
		spec.Services[i].Output = io.Discard
	}
	if len(kept.Job.Secrets) > 0 {
		warner(c.App.ErrWriter)("the secrets of the job are not there")
	}
	con, done, err := openConsole(c, len(command) == 0)
	if err != nil {
		return 0, err
	}
	defer done()
	code, err = runtime.Shell(ctx, spec, command, con)
	if err != nil {
		return 0, execError(err)
	}
	return code, nil
}
