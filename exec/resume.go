package exec

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// Earlier is what an earlier run of the same plan did, for a run that goes on
// with it.
type Earlier struct {
	record *Record
	// done are the finished jobs whose outputs are there, by name.
	done map[string]*finishedJob
}

// finishedJob is a job that an earlier run has done, and what it left.
type finishedJob struct {
	result  *JobResult
	outputs *Outputs
}

// ErrNothingFailed says that a run has no failed job to run again.
var ErrNothingFailed = errors.New("no job of the run failed")

// Resume reads what the run did: of the jobs of p those count as done that
// succeeded, or failed and may, if what they left is there and as it was
// recorded. notes say of the others that finished why they are run again.
func Resume(ctx context.Context, r *Record, p *plan.Plan) (e *Earlier, notes []string, err error) {
	e = &Earlier{record: r, done: map[string]*finishedJob{}}
	for i := range p.Jobs {
		name := p.Jobs[i].Name
		res, ok := r.Job(name)
		if !ok || res.Status != StatusSuccess && !(res.Status == StatusFailed && res.Allowed) {
			continue
		}
		if p.Jobs[i].Artifacts == nil {
			e.done[name] = &finishedJob{result: res}
			continue
		}
		outputs, err := VerifyOutputs(ctx, r.Dir, name)
		var wrong *OutputsError
		switch {
		case errors.As(err, &wrong):
			notes = append(notes, fmt.Sprintf("job %q is run again: %s", name, wrong.Reason))
		case err != nil:
			return nil, nil, fmt.Errorf("job %q: %w", name, err)
		default:
			e.done[name] = &finishedJob{res, outputs}
		}
	}
	return e, notes, nil
}

// Retry leaves of p the jobs that failed in the run, whether they may or not, or
// were ended by an interruption; the unfinished ones that wait for these; and what
// all these need. The failed ones do not count as done any more. The error is
// [ErrNothingFailed] if there are none.
func (e *Earlier) Retry(p *plan.Plan) (*plan.Plan, error) {
	g, err := plan.NewGraph(p)
	if err != nil {
		return nil, err
	}
	again := make([]bool, len(p.Jobs))
	// firstFailed is, by pipeline, the first stage with a job that is run again.
	firstFailed := make([]int, g.Pipelines())
	for k := range firstFailed {
		_, firstFailed[k] = g.StagesOf(k)
	}
	var names []string
	for _, level := range g.Levels() {
		for _, name := range level {
			i, _ := g.Index(name)
			res, known := e.record.Job(name)
			failed := known && (res.Status == StatusFailed || res.Status == StatusInterrupted ||
				res.Status == StatusCanceled && !res.Started.IsZero())
			behind := slices.ContainsFunc(g.Needs(i), func(need int) bool { return again[need] }) ||
				g.StageMode(i) && g.Stage(i) > firstFailed[g.Pipeline(i)]
			if !failed && (!behind || e.done[name] != nil) {
				continue
			}
			again[i] = true
			firstFailed[g.Pipeline(i)] = min(firstFailed[g.Pipeline(i)], g.Stage(i))
			delete(e.done, name)
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, ErrNothingFailed
	}
	return Select(p, names)
}

// Done is how many jobs need not be run again.
func (e *Earlier) Done() int { return len(e.done) }

// resumed is p with the finished jobs waiting for nobody: a person has started
// them once, and their delay is over.
func (e *Earlier) resumed(p *plan.Plan) *plan.Plan {
	again := *p
	again.Jobs = slices.Clone(p.Jobs)
	for i := range again.Jobs {
		j := &again.Jobs[i]
		if e.done[j.Name] == nil {
			continue
		}
		if j.When == "manual" || j.When == "delayed" {
			j.When, j.StartIn, j.ManualConfirmation = "on_success", 0, ""
		}
		j.ResourceGroup = nil
	}
	return &again
}

// adoptAll takes over what the finished jobs left, by hard links: removing the
// earlier run then takes nothing away from this one.
func (r *run) adoptAll() error {
	if r.Resume == nil || r.RunDir == nil {
		return nil
	}
	from := &RunDir{Dir: r.Resume.record.Dir}
	r.adopted = make([]*adopted, len(r.plan.Jobs))
	for i := range r.plan.Jobs {
		job := r.plan.Jobs[i].Name
		done := r.Resume.done[job]
		if done == nil || r.plan.Jobs[i].Trigger != nil { // which only starts others
			continue
		}
		a, err := r.adopt(from, i, done)
		if err != nil {
			return fmt.Errorf("take over job %q of run %s: %w", job, r.Resume.record.ID, err)
		}
		a.result.Reason = "done in run " + r.Resume.record.ID
		a.result.Reused = r.Resume.record.ID
		r.adopted[i] = a
	}
	return nil
}

// adopted is a job that another run has done.
type adopted struct {
	result JobResult
	left   leftover
}

// adopt links what job i of another run left, and its log, into this one.
func (r *run) adopt(from *RunDir, i int, done *finishedJob) (*adopted, error) {
	w := newWorker(r, i)
	a := &adopted{result: *done.result}
	a.result.Started, a.result.Duration = time.Time{}, 0 // it is not run now
	var err error
	if a.left, err = w.adoptFiles(from, done); err != nil {
		return nil, err
	}
	return a, r.adoptLog(from, w.id, a)
}

// adoptFiles links what the job left in another run into this one. After an error
// nothing is left of it.
func (w *worker) adoptFiles(from *RunDir, done *finishedJob) (left leftover, err error) {
	if done.outputs == nil {
		return leftover{}, nil
	}
	to := w.r.RunDir
	defer func() {
		if err != nil {
			err = errors.Join(err, workspace.Remove(to.ArtifactsDir(w.id)), workspace.Remove(filepath.Join(to.Dir, reportsName, w.id)))
		}
	}()
	if done.outputs.Artifacts != nil {
		if err := workspace.Link(from.ArtifactsDir(w.id), to.ArtifactsDir(w.id)); err != nil {
			return leftover{}, err
		}
		left.artifacts = true
	}
	for _, kind := range slices.Sorted(maps.Keys(done.outputs.Reports)) {
		dst := to.ReportsDir(w.id, kind)
		if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
			return leftover{}, err
		}
		if err := workspace.Link(from.ReportsDir(w.id, kind), dst); err != nil {
			return leftover{}, err
		}
	}
	if reportsDotenv(w.job) {
		if left.dotenv, err = w.rereadDotenv(); err != nil {
			return leftover{}, err
		}
	}
	left.digest = done.outputs.SHA256
	return left, to.writeOutputs(done.outputs)
}

// adoptLog links the log, which may be gone: it is not what a job is run for.
func (r *run) adoptLog(from *RunDir, id string, a *adopted) error {
	a.result.Log = r.RunDir.LogPath(id)
	for _, suffix := range []string{"", timesSuffix} {
		if err := os.Link(from.LogPath(id)+suffix, a.result.Log+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// rereadDotenv reads the reports that were adopted.
func (w *worker) rereadDotenv() ([]variable, error) {
	dir := w.r.RunDir.ReportsDir(w.id, "dotenv")
	root, err := os.OpenRoot(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	set := &ArtifactSet{root}
	defer set.Close()
	files, err := set.List(nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		if f.Mode.IsRegular() {
			names = append(names, f.Path)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	return w.readDotenv(dir, names)
}

// finishAdopted ends a job that may start, if it was done before.
func (r *run) finishAdopted(i int) bool {
	if !r.wasDone(i) {
		return false
	}
	a := r.adopted[i]
	r.results[i] = a.result
	r.leave(i, a.left)
	r.sched.Finish(i, a.result.Status, a.result.Allowed)
	r.emitFinished(i)
	r.settle()
	return true
}

func (r *run) wasDone(i int) bool { return r.adopted != nil && r.adopted[i] != nil }
