package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

func resumeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "resume", Usage: "go on with `RUN` (an id, the beginning of one, or last) in place of PLAN: jobs that it finished are not run again"},
		&cli.BoolFlag{Name: "failed", Usage: "with --resume: run only the jobs that failed, and what waited for them"},
	}
}

// launchFile is where a run records how it was started, for [resumeRun].
const launchFile = "launch.json"

// launched is how a run was started.
type launched struct {
	// Project is its absolute path.
	Project string `json:"project"`
	// Commit is the one that was checked out, empty outside git.
	Commit string `json:"commit,omitempty"`
	// Flags are those that were given, of keptFlags.
	Flags map[string][]string `json:"flags,omitempty"`
}

// keptFlags are the flags that a run which goes on with another takes from it,
// unless it is given its own. Grants, secrets and answers to manual jobs are not
// among them: they are given for one run.
var keptFlags = []string{
	"address", "cache", "cpus", "disk", "external", "image", "jobs", "locked", "log-limit", "memory", "network", "pids",
	"service-timeout", "source", "timeout", "userns", "workspace",
}

// recordLaunch writes launchFile.
func recordLaunch(c *cli.Context, p *project, dir *exec.RunDir) error {
	l := launched{Project: p.dir, Commit: p.facts["CI_COMMIT_SHA"], Flags: map[string][]string{}}
	for _, name := range keptFlags {
		if !c.IsSet(name) {
			continue
		}
		if name == "external" {
			l.Flags[name] = p.externalTexts()
			continue
		}
		if list, ok := c.Value(name).(cli.StringSlice); ok {
			l.Flags[name] = list.Value()
		} else {
			l.Flags[name] = []string{fmt.Sprint(c.Value(name))}
		}
	}
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir.Dir, launchFile), data, 0o600)
}

// resumeRun carries out exec --resume: it starts a new run of the plan of an
// earlier one, which must be over.
func resumeRun(c *cli.Context) error {
	state, err := stateDir(c)
	if err != nil {
		return err
	}
	id, err := findRun(state, c.String("resume"))
	if err != nil {
		return err
	}
	record, err := exec.ReadRun(state, id)
	if err != nil {
		return fail(exitSystem, err)
	}
	if record.Status == exec.StatusRunning {
		return &exitError{code: exitSystem, err: fmt.Errorf("run %s is not over yet", id)}
	}
	d, err := plan.ReadDir(filepath.Join(record.Dir, "plan"))
	if errors.Is(err, fs.ErrNotExist) {
		return &exitError{code: exitInvalid, err: fmt.Errorf("run %s has not kept its plan: it ended before it began", id)}
	} else if err != nil {
		return planError(err)
	}
	l, err := relaunch(c, record)
	if err != nil {
		return err
	}
	p, err := openProject(c.Context, l.Project)
	if err != nil {
		return fail(exitInvalid, err)
	}
	if p.others, err = openOthers(c); err != nil {
		return err
	}
	if err := warnChanged(c, p, l, record); err != nil {
		return err
	}
	return withRun(c, p, func(dir *exec.RunDir) error {
		return execute(c, p, dir, request{plan: d.Plan, scripts: d.Script, sourceMap: d.Map, names: c.Args().Slice(), resume: record})
	})
}

// warnChanged says how the project differs from what the run has seen: by its
// commit, and by the files that were written since.
func warnChanged(c *cli.Context, p *project, l *launched, record *exec.Record) error {
	const most = 5
	warn, but := warner(c.App.ErrWriter), "finished jobs are not run again all the same"
	if now := p.facts["CI_COMMIT_SHA"]; now != l.Commit {
		warn(fmt.Sprintf("the project is at %s, and was at %s in run %s: %s", commitText(now), commitText(l.Commit), record.ID, but))
	}
	changed, err := p.writtenSince(c.Context, record.Started)
	if err != nil {
		return fail(exitSystem, err)
	}
	if len(changed) == 0 {
		return nil
	}
	var names []string
	for _, name := range changed[:min(len(changed), most)] {
		names = append(names, exec.DisplayName(name))
	}
	if more := len(changed) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	warn(fmt.Sprintf("written since run %s began: %s: %s", record.ID, strings.Join(names, ", "), but))
	return nil
}

// writtenSince lists the files of the project, ignored ones aside, that have
// changed after a time.
func (p *project) writtenSince(ctx context.Context, t time.Time) ([]string, error) {
	files, err := p.files(ctx)
	if err != nil {
		return nil, err
	}
	var changed []string
	for _, name := range files {
		info, err := os.Lstat(filepath.Join(p.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		if !info.IsDir() && info.ModTime().After(t) {
			changed = append(changed, name)
		}
	}
	return changed, nil
}

func commitText(sha string) string {
	if len(sha) < 8 {
		return "no commit"
	}
	return "commit " + sha[:8]
}

// relaunch reads how a run was started and sets the flags that this one takes
// from it.
func relaunch(c *cli.Context, record *exec.Record) (*launched, error) {
	data, err := os.ReadFile(filepath.Join(record.Dir, launchFile))
	var l launched
	if err == nil {
		err = json.Unmarshal(data, &l)
	}
	if err != nil {
		return nil, fail(exitSystem, fmt.Errorf("how run %s was started: %w", record.ID, err))
	}
	for _, name := range keptFlags {
		if c.IsSet(name) {
			continue
		}
		for _, value := range l.Flags[name] {
			if err := c.Set(name, value); err != nil {
				return nil, fail(exitSystem, fmt.Errorf("--%s %s of run %s: %w", name, value, record.ID, err))
			}
		}
	}
	if c.IsSet("project") {
		l.Project = c.String("project")
	}
	return &l, nil
}

// earlier reads what the run to go on with has done, and with --failed narrows
// the plan to what is to be done again.
func earlier(c *cli.Context, record *exec.Record, pl *plan.Plan) (*exec.Earlier, *plan.Plan, error) {
	done, notes, err := exec.Resume(c.Context, record, pl)
	if err != nil {
		return nil, nil, fail(exitSystem, err)
	}
	if c.Bool("failed") {
		if pl, err = done.Retry(pl); errors.Is(err, exec.ErrNothingFailed) {
			return nil, nil, &exitError{code: exitUsage, err: fmt.Errorf("run %s: %w", record.ID, err), help: "without --failed, everything that is not done is run"}
		} else if err != nil {
			return nil, nil, fail(exitInvalid, err)
		}
	}
	for _, note := range notes {
		fmt.Fprintf(c.App.ErrWriter, "cic: note: %s\n", note)
	}
	return done, pl, nil
}

// keepPlan writes the plan that runs into the run's directory.
func keepPlan(dir *exec.RunDir, r *request) error {
	scripts := map[string][]byte{}
	for i := range r.plan.Jobs {
		for _, s := range r.plan.Jobs[i].Scripts() {
			body, err := r.scripts(s)
			if err != nil {
				return execError(err)
			}
			scripts[s.Path] = body
		}
	}
	if err := plan.WriteDir(dir.PlanDir(), r.plan, scripts, r.sourceMap); err != nil {
		return fail(exitSystem, err)
	}
	r.scripts = inMemory(scripts)
	return nil
}
