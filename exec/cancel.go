package exec

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// canceledError is why a job or the whole run was told to end; its text is for
// the job's result.
type canceledError struct{ why string }

func (e *canceledError) Error() string { return e.why }

// interrupt stops the run for the user's sake.
func (r *run) interrupt(reason string) {
	if r.sched.Running() > 0 {
		r.result.Interrupted = true
	}
	if r.stop(reason) > 0 {
		r.result.Interrupted = true
	}
}

// stop starts no more jobs and returns how many are given up by it.
func (r *run) stop(reason string) int {
	if r.stopped != "" {
		return 0
	}
	r.stopped = reason
	return r.sched.Cancel(reason, nil)
}

// end stops the run and tells the jobs that run to end, in order, as a first
// signal does.
func (r *run) end(reason string) (given int) {
	if r.stopped == "" {
		given = r.sched.Running() + r.stop(reason)
		r.result.Stopped = reason
		r.cancel(&canceledError{reason})
	}
	return given
}

// failFast ends the pipeline of a job, and those below it, because the job failed
// and the pipeline asks for that; of the plan's own, the run.
// Source: specification section 12, auto_cancel:on_job_failure.
func (r *run) failFast(i int) {
	if !r.results[i].Failed() {
		return
	}
	policy, reason := r.plan.AutoCancel, fmt.Sprintf("job %q failed", r.results[i].Name)
	k := r.sched.graph.Pipeline(i)
	if k > 0 {
		policy = r.plan.Pipeline(r.plan.Jobs[i].Pipeline).AutoCancel
	}
	switch {
	case policy == nil || policy.OnJobFailure != "all":
	case k == 0:
		r.end(reason)
	default:
		r.cancelJobs(reason, func(job int) bool { return r.sched.below(job, k) })
	}
}

// cancelJobs ends some of the jobs, whether they run or not.
func (r *run) cancelJobs(reason string, pick func(job int) bool) {
	r.sched.Cancel(reason, pick)
	for i, w := range r.workers {
		if w != nil && w.launched && pick(i) {
			w.cancel(&canceledError{reason})
		}
	}
}

// timeUp ends the run at its own time limit.
func (r *run) timeUp() {
	if r.end(fmt.Sprintf("the run timed out after %s", r.Timeout)) > 0 {
		r.result.TimedOut = true
	}
}

// superseded gives way to a later run, as far as the plan allows: the whole run
// if no job that must not be interrupted has started, or, where the plan says so,
// the jobs that may be. Source: specification section 12, auto_cancel:on_new_commit.
func (r *run) superseded(by string) {
	reason := fmt.Sprintf("run %s of the same ref took over", by)
	policy := ""
	if r.plan.AutoCancel != nil {
		policy = r.plan.AutoCancel.OnNewCommit
	}
	switch policy {
	case "none":
	case "interruptible":
		r.cancelJobs(reason, func(i int) bool { return r.plan.Jobs[i].Interruptible })
	default:
		for i := range r.results {
			if started := !r.results[i].Started.IsZero(); started && !r.plan.Jobs[i].Interruptible {
				return
			}
		}
		if r.end(reason) > 0 {
			r.result.Interrupted = true
		}
	}
}

// takeoverPause is the time between two looks for a later run.
const takeoverPause = 500 * time.Millisecond

// watch looks for a later run that takes over, and ends with ctx.
func (r *run) watch(ctx context.Context) {
	tick := time.NewTicker(takeoverPause)
	defer tick.Stop()
	for {
		by, err := r.RunDir.takenOver()
		if by != "" || err != nil {
			select {
			case r.messages <- message{takeover: true, by: by, err: err}:
			case <-ctx.Done():
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// takenOver takes in what the watch found.
func (r *run) takenOver(m message) {
	if m.err != nil {
		r.err = errors.Join(r.err, fmt.Errorf("a later run could not be looked for: %w", m.err))
		return
	}
	r.superseded(m.by)
}
