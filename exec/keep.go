package exec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// Kept is a failed job of which enough was kept to enter its workspace again:
// <run>/kept/<job>/job.json, beside what it wrote, workspace. The values of secrets
// are not among it.
type Kept struct {
	Job plan.Job `json:"job"`
	// Project is the directory of the project that the job is of, where that is not the
	// run's own.
	Project string `json:"project,omitempty"`
	Image   string `json:"image"`
	// Env is what the job's script saw, its own exports included.
	Env      []string       `json:"env"`
	Services []Service      `json:"services,omitempty"`
	Limits   plan.Resources `json:"limits"`
	Granted  Granted        `json:"granted"`
	// UserNamespace: it ran in one.
	UserNamespace bool `json:"user_namespace,omitempty"`
	// Layers are what [workspace.Workspace.Keep] returned.
	Layers []string `json:"layers,omitempty"`
	// Workspace is what Keep filled, empty for a project that jobs share.
	Workspace string `json:"-"`
}

const (
	keptName      = "kept"
	keptFile      = "job.json"
	keptWorkspace = "workspace"
)

// KeptDir holds what is kept of failed jobs.
func (r *RunDir) KeptDir() string { return filepath.Join(r.Dir, keptName) }

// keepWorkspace keeps the workspace of a job that failed, in place of what an
// earlier attempt left. The job's processes are gone.
func (w *worker) keepWorkspace() error {
	dir := filepath.Join(w.r.RunDir.KeptDir(), w.id)
	if err := workspace.Remove(dir); err != nil || !w.keep {
		return err
	}
	k := Kept{Job: *w.job, Image: w.image(), Limits: w.limits(), Granted: w.granted(), UserNamespace: w.inUserNamespace()}
	if w.tree.Dir != w.r.Project {
		k.Project = w.tree.Dir
	}
	var err error
	if k.Services, err = w.services(); err != nil {
		return err
	}
	if k.Env, err = w.shellEnvironment(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if k.Layers, err = w.ws.Keep(filepath.Join(dir, keptWorkspace)); err != nil {
		return err
	}
	text, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, keptFile), text, 0o600)
}

// shellEnvironment is the environment of the job's container with what its
// script exports.
func (w *worker) shellEnvironment() ([]string, error) {
	env, err := Environment(w.plan, w.job, w.vars)
	if err != nil {
		return nil, err
	}
	for _, v := range w.job.Variables {
		value, err := v.Value.Expand(lookup(w.vars))
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
		env = append(env, v.Name+"="+value)
	}
	return env, nil
}

// ErrNotKept says that nothing was kept of a job.
var ErrNotKept = errors.New("its workspace was not kept")

// KeptJob reads what was kept of a job.
func (r *Record) KeptJob(job string) (*Kept, error) {
	dir := filepath.Join(r.Dir, keptName, JobID(job))
	text, err := os.ReadFile(filepath.Join(dir, keptFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotKept
	} else if err != nil {
		return nil, err
	}
	var k Kept
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, keptFile), err)
	}
	if _, err := os.Lstat(filepath.Join(dir, keptWorkspace)); err == nil {
		k.Workspace = filepath.Join(dir, keptWorkspace)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &k, nil
}

// KeptDir holds what is kept of failed jobs.
func (r *Record) KeptDir() string { return filepath.Join(r.Dir, keptName) }
