package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// worker carries out the life of one job in a goroutine of its own. It prepares
// the job at once and runs it when it is launched: so what takes long of a
// container's creation is done while the jobs before it still run.
type worker struct {
	r     *run
	index int
	job   *plan.Job
	id    string
	// plan, scripts and sourceMap are those of the run when the worker began: a child
	// pipeline that is compiled meanwhile replaces them.
	plan      *plan.Plan
	scripts   map[string][]byte
	sourceMap *plan.SourceMap
	// start brings the word to go; closed without it, the job is dismissed.
	start    chan launch
	launched bool // or dismissed; belongs to the loop
	// begin is closed when the job may be prepared, tidy when what it leaves may be removed.
	begin, tidy chan struct{}
	ready       atomic.Bool // prepared
	attempt     int         // counts from 1
	// ctx ends when the job is to end, alone or with the run.
	ctx    context.Context
	cancel context.CancelCauseFunc

	tree    Tree
	vars    map[string]string
	scratch string
	ws      Workspace
	box     Sandbox
	log     *jobLog
	caches  []*jobCache
	held    []io.Closer // what the workspace uses of the caches
	cover   *coverage
	// notes are what is to be said of the preparation, once there is a log.
	notes       []string
	serviceLogs []*serviceLog // of the services that are started, in order
	mounted     bool
	cutShort    bool // the script, by a limit of its own
	keep        bool // the workspace
	left        leftover

	// reports are the dotenv variables of earlier jobs, exports what the script gets
	// of them, inheritErr why it cannot.
	reports    [][]variable
	exports    string
	inheritErr error
	// decision is what the job's key is recorded with, nil while it has none.
	decision *KeyDecision
}

// leftover is what a job leaves for others.
type leftover struct {
	artifacts bool // be it only an empty directory
	dotenv    []variable
	digest    string // of its [Outputs], where the run makes keys
}

// launch is the word to go.
type launch struct {
	at     time.Time
	from   []string // the jobs whose artifacts it sees
	layers []string // their directories
	// digests are those of what they left, where the run makes keys.
	digests []string
	dotenv  [][]variable
	err     error // why it cannot run
}

// jobID is [Spec.ID]: the name of the job's files, unique without regard to case.
func jobID(j *plan.Job) string { return JobID(j.Name) }

func newWorker(r *run, i int) *worker {
	w := &worker{r: r, index: i, job: &r.plan.Jobs[i], plan: r.plan, scripts: r.scripts, sourceMap: r.SourceMap, start: make(chan launch, 1), begin: make(chan struct{}), tidy: make(chan struct{}), attempt: len(r.attempts[i]) + 1}
	w.id = jobID(w.job)
	w.tree = r.tree(w.job)
	w.vars = r.runtimeVariables(i, w.attempt)
	if len(w.job.DotenvFrom) == 0 {
		w.inherit(nil)
	}
	return w
}

// number is that of the run, 0 without a directory.
func (r *run) number() int64 {
	if r.RunDir == nil {
		return 0
	}
	return r.RunDir.Number
}

// image is the expanded reference. A variable that nobody defines stays as it is
// written, so that the message says what is missing.
func (w *worker) image() string { return w.imageName(w.job.Image.Name) }

// imageName expands a reference; [plan.Plan.Validate] has seen that it can be.
func (w *worker) imageName(name plan.Text) string {
	image, err := name.Expand(func(variable string) (string, bool) {
		if value, ok := w.vars[variable]; ok {
			return value, true
		}
		return "${" + variable + "}", true
	})
	if err != nil {
		return name.String()
	}
	return image
}

// main is the worker's goroutine.
func (w *worker) main() {
	defer w.cancel(nil)
	var setupErr error
	var recorded <-chan error
	var l launch
	var ok, told bool
	select {
	case <-w.begin:
	case l, ok = <-w.start:
		told = true
	}
	if !w.late() && (ok || !told) {
		setupErr = guard(w.prepare)
	}
	w.ready.Store(w.box != nil)
	if !told {
		l, ok = <-w.start
	}
	if ok {
		res := &JobResult{}
		err := guard(func() error { return w.perform(l, res, setupErr) })
		if err != nil {
			fail(res, err)
		}
		w.keep = w.r.KeepFailed && w.r.RunDir != nil && w.mounted && res.Status == StatusFailed
		res.Kept = w.keep
		w.r.Secrets.hide(res)
		recorded = w.recordOutputs(res)
		w.r.messages <- message{job: w.index, result: res, left: w.left, crash: isPanic(err) || isPanic(setupErr)}
		select {
		case <-w.tidy:
		case <-w.r.hard.Done():
		}
	}
	err := guard(w.cleanup)
	if recorded != nil {
		err = errors.Join(err, <-recorded)
	}
	if !ok && isPanic(setupErr) {
		err = errors.Join(setupErr, err) // it would be told nowhere else
	}
	w.r.messages <- message{job: w.index, err: err, crash: isPanic(err)}
}

// late reports whether the sandbox can be made only once the job is launched,
// as what it is made of is known only then, or perhaps none is needed.
func (w *worker) late() bool { return w.r.late(w.plan, w.job) }

func (r *run) late(p *plan.Plan, j *plan.Job) bool {
	return len(j.DotenvFrom) > 0 || r.Reuse != nil && unskippable(p, j) == ""
}

// prepare makes the sandbox, which does not need the workspace's content.
func (w *worker) prepare() error {
	if w.inheritErr != nil {
		return w.inheritErr
	}
	if err := addEnvironment(w.vars, w.job); err != nil {
		return err
	}
	env, err := Environment(w.plan, w.job, w.vars)
	if err != nil {
		return err
	}
	services, err := w.services()
	if err != nil {
		return err
	}
	w.logServices(services)
	if w.r.RunDir != nil {
		w.scratch = w.r.RunDir.scratchDir(w.id)
		if err := os.Mkdir(w.scratch, 0o700); err != nil {
			return err
		}
	}
	if w.ws, err = w.workspaces().Open(w.id); err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	w.box, err = w.r.Runtime.Setup(w.ctx, Spec{
		ID:      w.id,
		Job:     w.job,
		Image:   w.image(),
		Env:     env,
		Builds:  w.ws.Builds(),
		Scratch: w.scratch,

		Services: services,
		Secrets:  w.r.Secrets.of(w.job),
		Limits:   w.limits(),
		Granted:  w.granted(),

		UserNamespace: w.inUserNamespace(),
	})
	if err == nil {
		w.limitDisk(w.limits().Disk)
	}
	return err
}

// perform runs a job that was launched. An error is a system failure; what the
// job itself does wrong goes into res.
func (w *worker) perform(l launch, res *JobResult, setupErr error) (err error) {
	closeLog, err := w.openLog(res)
	if err != nil {
		return err
	}
	defer func() { err = closeLog(err) }()
	if l.err != nil {
		return l.err
	}
	if w.reuse(l, res) {
		return nil
	}
	if w.late() {
		setupErr = guard(w.prepare)
	}
	if setupErr != nil {
		w.judge(res, 0, setupErr)
		return nil
	}
	caches, err := w.restoreCaches()
	if err != nil {
		w.judge(res, 0, err)
		return nil
	}
	w.noteInputs(l.from)
	w.noteExternal()
	w.noteLimits()
	w.noteUserNamespace()
	// Artifacts may overwrite what a cache holds, as on GitLab.
	if err := w.ws.Mount(append(caches, l.layers...)); err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	w.mounted = true
	if err := w.startServices(); err != nil {
		w.judge(res, 0, err)
		return nil
	}
	w.runScript(l, res)
	w.runAfterScript(l, res)
	w.showServiceLogs(res)
	stale := w.staleCaches(res)
	if err = w.collect(res); err == nil {
		w.saveCaches(stale)
	}
	w.tellEnvironment(res)
	w.tellRelease(res)
	return err
}

// openLog opens the job's log. finish ends it with what the job ended with: it
// completes res by what was seen in the output, and adds its own error.
func (w *worker) openLog(res *JobResult) (finish func(error) error, err error) {
	var file io.WriteCloser
	disk := io.Discard
	if w.r.RunDir != nil {
		if w.attempt > 1 {
			if err := w.r.RunDir.setAside(w.id, w.attempt-1); err != nil {
				return nil, err
			}
		}
		res.Log = w.r.RunDir.LogPath(w.id)
		if file, err = createTimed(res.Log, w.r.Now); err != nil {
			return nil, err
		}
		disk = file
	}
	if w.cover, err = newCoverage(w.job.Coverage); err != nil {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
		return nil, err
	}
	w.log = newJobLog(disk, w.r.Secrets.Masker(), w.r.LogLimit, w.output, w.note)
	return func(err error) error {
		tail, logErr := w.log.Close()
		res.Coverage = w.cover.result()
		if logErr != nil {
			err = errors.Join(err, fmt.Errorf("the log is not whole: %w", logErr))
		}
		if res.Status != StatusSuccess || err != nil {
			res.Tail = tail
		}
		if file != nil {
			err = errors.Join(err, file.Close())
		}
		return err
	}, nil
}

func (w *worker) noteInputs(from []string) {
	switch n := len(from); {
	case n > 5:
		w.log.Note(false, "artifacts from %d jobs", n)
	case n > 0:
		w.log.Note(false, "artifacts from %s", joinQuoted(from))
	}
}

// cleanup removes everything of the job, however far it came.
func (w *worker) cleanup() error {
	var errs []error
	if w.box != nil {
		errs = append(errs, w.box.Close())
	}
	errs = append(errs, w.closeServiceLogs())
	if w.mounted && w.r.KeepFailed && w.r.RunDir != nil {
		errs = append(errs, w.keepWorkspace())
	}
	if w.ws != nil {
		errs = append(errs, w.ws.Close())
	}
	errs = append(errs, w.releaseCaches())
	if w.scratch != "" {
		errs = append(errs, workspace.Remove(w.scratch))
	}
	return errors.Join(errs...)
}

func (w *worker) output(text string, continued bool) {
	w.cover.line(text)
	if w.r.observer != nil {
		w.r.observer.send(Event{Time: w.r.Now(), Type: EventJobOutput, Job: w.job.Name, Text: text, Continued: continued})
	}
}

func (w *worker) note(text string, warning bool) {
	if w.r.observer != nil {
		w.r.observer.send(Event{Time: w.r.Now(), Type: EventJobNote, Job: w.job.Name, Text: text, Warning: warning})
	}
}
