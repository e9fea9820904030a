package exec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/cic-ci/cic/plan"
)

// ChildRequest asks for a child pipeline to be compiled. All that the outcome may
// depend on beside it is the project: it holds no clock and no environment.
type ChildRequest struct {
	// Plan holds the context of the compilation, and Job, the trigger job; neither
	// may be changed.
	Plan *plan.Plan
	Job  *plan.Job
	// Given are the variables that the child pipeline is given; none is a template.
	Given plan.Variables
	// Artifact reads a file that a job has left.
	Artifact func(job, path string) ([]byte, error)
}

// ChildPlan is a compiled child pipeline: a plan by itself, with its scripts by
// path and their source map.
type ChildPlan struct {
	Plan    *plan.Plan
	Scripts map[string][]byte
	Map     *plan.SourceMap
}

// childMade is how an attempt to compile a child pipeline ended.
type childMade struct {
	plan *ChildPlan
	err  error
}

// maxChildFile bounds a file that a child pipeline is compiled from, in bytes, as
// GitLab does (specification section 0).
const maxChildFile = 2 << 20

// compileChild lets a trigger job compile its child pipeline, beside the loop. What
// is found of it goes to the job's log.
func (r *run) compileChild(i int) {
	job := &r.plan.Jobs[i]
	if _, dry := r.Runtime.(DryRun); dry {
		r.emit(Event{Type: EventJobNote, Job: job.Name, Text: "would compile its child pipeline, whose jobs are known only then"})
		r.sched.Finish(i, StatusSuccess, false)
		r.endTrigger(i)
		return
	}
	w := newWorker(r, i)
	var reports [][]variable
	for _, name := range job.DotenvFrom {
		if from, ok := r.sched.graph.Index(name); ok {
			reports = append(reports, r.dotenv[from])
		}
	}
	left := map[string]string{}
	for _, f := range job.Trigger.Include {
		if from, ok := r.sched.graph.Index(f.Job); ok {
			if at, produced := r.producer(from); produced {
				left[f.Job] = r.producers[at].dir
			}
		}
	}
	if r.RunDir != nil {
		r.results[i].Log = r.RunDir.LogPath(w.id)
	}
	r.helpers++
	go func() {
		made := &childMade{}
		made.err = guard(func() (err error) {
			made.plan, err = w.compileChild(reports, left)
			return err
		})
		r.messages <- message{job: i, child: made, crash: isPanic(made.err)}
	}()
}

// compileChild compiles the child pipeline of the worker's job; left are the
// directories of what jobs have left.
func (w *worker) compileChild(reports [][]variable, left map[string]string) (made *ChildPlan, err error) {
	disk := io.Discard
	if w.r.RunDir != nil {
		file, openErr := createTimed(w.r.RunDir.LogPath(w.id), w.r.Now)
		if openErr != nil {
			return nil, openErr
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		disk = file
	}
	w.log = newJobLog(disk, w.r.Secrets.Masker(), w.r.LogLimit, w.output, w.note)
	defer func() {
		_, logErr := w.log.Close()
		err = errors.Join(err, logErr)
	}()
	if w.r.CompileChild == nil {
		return nil, &Error{Class: ClassConfig, Err: errors.New("no child pipeline can be compiled here")}
	}
	given, err := w.forwarded(reports)
	if err != nil {
		return nil, err
	}
	made, err = w.r.CompileChild(w.r.hard, ChildRequest{Plan: w.plan, Job: w.job, Given: given,
		Artifact: func(job, path string) ([]byte, error) { return readArtifact(left, job, path) }}, w.log)
	if err != nil {
		return nil, &Error{Class: ClassConfig, Err: fmt.Errorf("its child pipeline does not compile: %w", err)}
	}
	if err := made.Plan.Validate(); err != nil {
		return nil, err
	}
	if w.r.RunDir == nil {
		return made, nil
	}
	dir := filepath.Join(w.r.RunDir.Dir, childrenName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return made, plan.WriteDir(filepath.Join(dir, w.id), made.Plan, made.Scripts, made.Map)
}

// forwarded are the variables of the trigger job with their values, reports those of
// earlier jobs' dotenv reports.
func (w *worker) forwarded(reports [][]variable) (plan.Variables, error) {
	r := w.resolver(reports)
	values := map[string]string{}
	for _, v := range w.job.Trigger.Variables {
		value, err := v.Value.Expand(r.mention)
		if err = errors.Join(err, r.err); err != nil {
			return nil, &Error{Class: ClassConfig, Err: fmt.Errorf("variable %s: %w", v.Name, err)}
		}
		values[v.Name] = value
	}
	if w.job.Trigger.ForwardReports {
		for _, name := range slices.Sorted(maps.Keys(r.dotenv)) {
			if values[name], _ = r.value(name); r.err != nil {
				return nil, &Error{Class: ClassConfig, Err: fmt.Errorf("variable %s: %w", name, r.err)}
			}
		}
	}
	var given plan.Variables
	for _, name := range slices.Sorted(maps.Keys(values)) {
		given = append(given, plan.Variable{Name: name, Value: plan.Literal(values[name])})
	}
	return given, nil
}

// readArtifact reads a file that a job has left, given the directories of what jobs
// have left. It is what a job made, and so is what its path leads to.
func readArtifact(left map[string]string, job, path string) ([]byte, error) {
	dir, ok := left[job]
	if !ok {
		return nil, fmt.Errorf("job %q has left no artifacts", job)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	data, err := readSmall(root, filepath.FromSlash(path), maxChildFile+1)
	var at *fs.PathError
	switch {
	case errors.As(err, &at): // the path is told by the caller
		err = at.Err
	case err == nil && len(data) > maxChildFile:
		err = fmt.Errorf("it is larger than %d MiB", maxChildFile>>20)
	}
	return data, err
}

// compiled takes in the end of a compilation.
func (r *run) compiled(i int, made *childMade) {
	r.helpers--
	res := &r.results[i]
	switch {
	case r.stopped != "":
		res.Class, res.Error = ClassCanceled, r.stopped
		r.sched.Finish(i, StatusCanceled, r.plan.Jobs[i].AllowFailure)
		r.endTrigger(i)
		return
	case made.err == nil:
		made.err = r.extend(i, made.plan)
	}
	if made.err != nil {
		r.failTrigger(i, made.err)
	}
}

// extend adds the jobs of a compiled child pipeline to the run and starts it.
func (r *run) extend(i int, made *ChildPlan) error {
	name, known := r.plan.Jobs[i].Name, len(r.plan.Jobs)
	r.nameAbove(made.Plan)
	child := plan.Child{Trigger: name, Plan: made.Plan}
	whole, moved, err := r.plan.Adopt(child)
	if err != nil {
		return &Error{Class: ClassConfig, Err: err}
	}
	if err := whole.Validate(); err != nil {
		return &Error{Class: ClassConfig, Err: err}
	}
	if err := errors.Join(r.checkProjects(whole), r.checkPlan(whole), r.Secrets.Check(whole)); err != nil {
		return &Error{Class: ClassConfig, Err: err}
	}
	kept, _, err := r.kept.Adopt(child)
	if err != nil {
		return &Error{Class: ClassConfig, Err: err}
	}
	if err := r.sched.Extend(whole); err != nil {
		return err
	}
	r.plan, r.kept, r.scripts = whole, kept, maps.Clone(r.scripts)
	for path, text := range made.Scripts {
		r.scripts[moved[0][path]] = text
	}
	r.extendMap(made.Map, moved[0])
	for k := known; k < len(whole.Jobs); k++ {
		r.results = append(r.results, blankResult(&whole.Jobs[k]))
	}
	added := len(whole.Jobs) - known
	r.workers = append(r.workers, make([]*worker, added)...)
	r.attempts = append(r.attempts, make([][]Attempt, added)...)
	if r.adopted != nil {
		r.adopted = append(r.adopted, make([]*adopted, added)...)
	}
	if r.RunDir != nil { // for who goes on with this run, or looks at it
		if err := plan.WriteDir(r.RunDir.PlanDir(), r.kept, r.scripts, r.SourceMap); err != nil {
			r.err = errors.Join(r.err, fmt.Errorf("the plan could not be kept: %w", err))
		}
	}
	r.open(i, added)
	return nil
}

// nameAbove puts the name of the run's number in place of the number itself where jobs
// need others of a pipeline above: the child pipeline was given the value.
func (r *run) nameAbove(p *plan.Plan) {
	for i := range p.Jobs {
		for k := range p.Jobs[i].ExternalNeeds {
			n := &p.Jobs[i].ExternalNeeds[k]
			if n.Pipeline != nil && *n.Pipeline == plan.Literal(strconv.FormatInt(r.number(), 10)) {
				n.Pipeline = &plan.Text{Value: "${CI_PIPELINE_ID}", Template: true}
			}
		}
	}
}

// extendMap adds where the scripts of a child pipeline come from.
func (r *run) extendMap(m *plan.SourceMap, moved map[string]string) {
	if r.SourceMap == nil || m == nil {
		return
	}
	whole := *r.SourceMap // workers read the old one
	whole.Files, whole.Scripts = slices.Clone(whole.Files), maps.Clone(whole.Scripts)
	whole.Add(m, moved)
	r.SourceMap = &whole
}
