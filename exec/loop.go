package exec

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/cic-ci/cic/plan"
)

// startTime is about how long a process takes to start in a container that is
// there, on a busy machine.
const startTime = 40 * time.Millisecond

// coldTime is about as long as a few containers take that are made at once.
const coldTime = 300 * time.Millisecond

// dispatch starts jobs, and prepares those that come next, within the bound.
// What closes down does not count against it, so that the jobs behind need not
// wait for slow deletes, but workers of all kinds are bounded too.
//
// Where a job starts that was prepared in time, what can wait does, until the job
// has begun: making and removing containers would cost it several times as long.
// So it does where jobs start that were not and take all processors.
func (r *run) dispatch() {
	var wait time.Duration
	release := func(c chan struct{}) {
		if wait == 0 {
			close(c)
		} else {
			time.AfterFunc(wait, func() { close(c) })
		}
	}
	cold := 0
	for r.sched.Running() < r.Jobs && r.live < 2*r.Jobs {
		i, ok := r.sched.Next()
		if !ok {
			break
		}
		switch w := r.workers[i]; {
		case w != nil && w.ready.Load():
			wait = max(wait, startTime)
		case w == nil:
			if cold++; cold >= runtime.NumCPU() {
				wait = coldTime
			}
		}
		switch {
		case r.plan.Jobs[i].Trigger != nil:
			r.trigger(i)
		case !r.finishAdopted(i):
			r.launch(i)
		}
	}
	for _, w := range r.untidy {
		release(w.tidy)
	}
	r.untidy = nil
	for r.stopped == "" && r.sched.Running()+r.prepared < r.Jobs && r.live < 2*r.Jobs {
		i, ok := r.sched.Soon()
		if !ok {
			break
		}
		// A job that was requeued is offered again.
		if r.wasDone(i) || r.workers[i] != nil || r.late(r.plan, &r.plan.Jobs[i]) {
			continue
		}
		release(r.spawn(i).begin)
		r.prepared++
	}
}

// spawn starts the worker of a job, which prepares it once it may begin.
func (r *run) spawn(i int) *worker {
	w := newWorker(r, i)
	w.ctx, w.cancel = context.WithCancelCause(r.ctx)
	r.workers[i] = w
	r.live++
	go w.main()
	return w
}

// launch lets a job run.
func (r *run) launch(i int) {
	if r.workers[i] == nil {
		r.spawn(i)
	} else {
		r.prepared--
	}
	r.workers[i].launched = true
	job := &r.plan.Jobs[i]
	l := launch{at: r.Now(), err: r.broken[i]}
	for _, p := range r.inputs(i) {
		l.from = append(l.from, r.plan.Jobs[p.job].Name)
		l.layers = append(l.layers, p.dir)
		l.digests = append(l.digests, p.digest)
	}
	for _, name := range job.DotenvFrom {
		if from, ok := r.sched.graph.Index(name); ok {
			l.dotenv = append(l.dotenv, r.dotenv[from])
		}
	}
	if w := r.workers[i]; len(job.DotenvFrom) > 0 {
		w.inherit(l.dotenv) // before its image is known
	}
	r.results[i].Started = l.at
	r.emit(Event{Time: l.at, Type: EventJobStarted, Job: job.Name, Stage: job.Stage, Attempt: r.workers[i].attempt,
		Image: r.workers[i].image()})
	r.workers[i].start <- l
}

// producer is a job that left artifacts.
type producer struct {
	job    int
	dir    string
	digest string
}

// inputs are the producers whose artifacts the job's workspace holds, in plan order.
func (r *run) inputs(job int) []producer {
	in := r.plan.Jobs[job].Inputs
	if in == nil {
		return nil
	}
	var found []producer
	if before, ok := r.sched.graph.StageNamed(job, in.BeforeStage); ok {
		first, _ := r.sched.graph.StagesOf(r.sched.graph.Pipeline(job))
		for _, p := range r.producers { // ascending, as stages are
			if stage := r.sched.graph.Stage(p.job); first <= stage && stage < before {
				found = append(found, p)
			}
		}
	}
	for _, name := range in.Jobs {
		if i, ok := r.sched.graph.Index(name); ok {
			if at, left := r.producer(i); left {
				found = append(found, r.producers[at])
			}
		}
	}
	return found
}

// producer is the place of a job among the producers, and whether it is one.
func (r *run) producer(job int) (at int, found bool) {
	return slices.BinarySearchFunc(r.producers, job, func(p producer, job int) int { return p.job - job })
}

// abandon dismisses the jobs that were prepared and will not run.
func (r *run) abandon() {
	for _, w := range r.workers {
		r.dismiss(w)
	}
}

func (r *run) dismiss(w *worker) {
	if w != nil && !w.launched {
		w.launched = true
		r.prepared--
		close(w.start)
		w.cancel(errDismissed)
	}
}

// errDismissed is the cause of the end of a set-up whose job will not run.
var errDismissed = errors.New("the job does not run")

// message is what the loop is told: by a worker first that its job finished, unless
// it was dismissed, then that the worker ended; by others what they waited for.
type message struct {
	job    int
	result *JobResult // nil for the end of the worker
	left   leftover
	err    error // of the clean-up, or of what was waited for
	crash  bool  // the worker panicked

	answer, yes bool   // whether job, which is manual, is to start
	group       *group // another run gave it up, and lock is held
	lock        *os.File
	takeover    bool // the run by takes over
	by          string
	child       *childMade // job, a trigger job, has tried to compile its pipeline
}

// handle takes in a message.
func (r *run) handle(m message) {
	switch {
	case m.answer:
		r.answered(m)
	case m.group != nil:
		r.contended(m)
	case m.takeover:
		r.takenOver(m)
	case m.child != nil:
		r.compiled(m.job, m.child)
	case m.result != nil:
		r.finished(m)
	default:
		r.ended(m)
	}
	if m.crash {
		r.end("the executor has a defect, and the run was given up")
	}
}

// finished takes in the end of a job, or of one attempt.
func (r *run) finished(m message) {
	r.untidy = append(r.untidy, r.workers[m.job])
	job, res := &r.plan.Jobs[m.job], m.result
	res.Name, res.Stage, res.Pipeline, res.Started = job.Name, job.Stage, job.Pipeline, r.results[m.job].Started
	res.Duration = r.Now().Sub(res.Started)
	res.Allowed = res.Status != StatusSuccess && failureAllowed(job, res)
	r.results[m.job] = *res
	r.attempted(m.job)
	if r.stopped == "" && !m.crash && r.broken[m.job] == nil && retries(job, res, len(r.attempts[m.job])) {
		r.retry(m.job, m.left)
		return
	}
	r.conclude(m.job, m.left)
}

// conclude makes the last attempt of a job its result, and left what it leaves.
func (r *run) conclude(i int, left leftover) {
	res := &r.results[i]
	r.leave(i, left)
	if len(r.attempts[i]) > 1 {
		res.Attempts = r.attempts[i]
	}
	r.sched.Finish(i, res.Status, res.Allowed)
	r.emitFinished(i)
	r.release(i)
	r.failFast(i)
}

// ended takes in the end of a worker, of which nothing is left now.
func (r *run) ended(m message) {
	r.live--
	r.workers[m.job] = nil
	if m.err != nil {
		r.emit(Event{Type: EventJobNote, Job: r.plan.Jobs[m.job].Name, Warning: true, Text: "clean-up: " + m.err.Error()})
	}
	if m.crash {
		r.err = errors.Join(r.err, m.err)
	}
	left, again := r.again[m.job]
	delete(r.again, m.job)
	switch {
	case !again:
	case r.stopped != "" || m.crash:
		r.conclude(m.job, left) // by what was its last attempt after all
	default:
		r.launch(m.job)
	}
}

// leave notes what a job left for others.
func (r *run) leave(i int, left leftover) {
	if len(left.dotenv) > 0 {
		r.dotenv[i] = left.dotenv
	}
	if left.artifacts {
		at, _ := r.producer(i)
		r.producers = slices.Insert(r.producers, at, producer{i, r.RunDir.ArtifactsDir(jobID(&r.plan.Jobs[i])), left.digest})
	}
}

// failureAllowed reports whether the pipeline may pass in spite of the result.
// Source: specification section 16.
func failureAllowed(j *plan.Job, res *JobResult) bool {
	return j.AllowFailure || res.scriptFailed() && slices.Contains(j.AllowFailureExitCodes, res.ExitCode)
}

// settle tells of the jobs that were decided without being run, and lets those
// wait that came to a gate, until nothing more follows from it.
func (r *run) settle() {
	for {
		settled, held := r.sched.Settled(), r.sched.Held()
		if len(settled)+len(held) == 0 {
			r.tellEnded()
			return
		}
		for _, i := range settled {
			r.settleJob(i)
		}
		for _, i := range held {
			switch status, _, _ := r.sched.Job(i); status {
			case StatusScheduled:
				r.schedule(i)
			case StatusWaiting:
				r.join(i)
			}
		}
	}
}

func (r *run) settleJob(i int) {
	res := &r.results[i]
	status, allowed, reason := r.sched.Job(i)
	if res.Status == StatusManual { // it blocked, and will not be started any more
		r.requeue(i, reason)
	}
	if r.plan.Jobs[i].Trigger != nil && !res.Started.IsZero() {
		r.endTrigger(i)
		return
	}
	res.Status, res.Allowed, res.Reason = status, allowed, reason
	r.dismiss(r.workers[i])
	r.emitFinished(i)
	r.release(i)
	if res.Status == StatusManual && r.Ask != nil {
		r.questions = append(r.questions, i)
	}
}

// finish completes the result and tells it. A job that still waits does so for
// a manual one.
func (r *run) finish() {
	r.result.Status = r.sched.Status()
	for i := range r.results {
		if res := &r.results[i]; res.Status == "" {
			var reason string
			if res.Status, _, reason = r.sched.Job(i); reason == "" {
				reason = "waits for a manual job"
			}
			res.Reason = reason
		}
	}
	r.tellPipelines()
	if r.result.Interrupted || r.result.TimedOut && r.result.Status != StatusFailed {
		r.result.Status = StatusCanceled
	}
	r.result.Jobs, r.result.Plan = r.results, r.kept
	r.result.Duration = r.Now().Sub(r.started)
	r.emit(Event{Type: EventRunFinished, Status: r.result.Status, Seconds: r.result.Duration.Seconds(), Summary: &r.result})
}

func (r *run) emitFinished(i int) {
	res := r.results[i]
	r.emit(Event{Type: EventJobFinished, Job: res.Name, Status: res.Status, Seconds: res.Duration.Seconds(), Result: &res})
}

// emit hands an event to the observer and, unless it is only for the eye, to the journal.
func (r *run) emit(e Event) {
	if e.Time.IsZero() {
		e.Time = r.Now()
	}
	// Output and the notes among it are masked where they enter, results where they
	// are made.
	m := r.Secrets.Masker()
	e.Text, e.Image = m.Text(e.Text), m.Text(e.Image)
	if r.observer != nil {
		r.observer.send(e)
	}
	if r.journal != nil && e.Type != EventJobOutput && e.Type != EventJobNote {
		r.journal.send(e)
	}
}
