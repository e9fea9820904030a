package exec

// Status is the state of a job, or of a whole pipeline, in GitLab's words.
// States that only a server has (preparing, canceling) do not occur.
type Status string

// The states.
const (
	StatusCreated  Status = "created"  // waits for other jobs
	StatusPending  Status = "pending"  // may start
	StatusRunning  Status = "running"  // started, not ended
	StatusSuccess  Status = "success"  // its script ended with 0
	StatusFailed   Status = "failed"   // it did not; of a pipeline: some job failed that was not allowed to
	StatusCanceled Status = "canceled" // ended, or never started, because the run was interrupted
	StatusSkipped  Status = "skipped"  // never started because of how earlier jobs ended
	StatusManual   Status = "manual"   // waits for a person; of a pipeline: blocked by such a job

	StatusScheduled Status = "scheduled"            // waits for its start_in to pass
	StatusWaiting   Status = "waiting_for_resource" // waits for its resource group
)

// complete reports whether the state is final for what depends on it.
func (s Status) complete() bool {
	switch s {
	case StatusSuccess, StatusFailed, StatusCanceled, StatusSkipped:
		return true
	}
	return false
}

// Composite counts one more class than jobs have states: a failure that is
// allowed, and a manual job that nothing waits for.
const (
	statusWarning Status = "success_with_warnings"
	statusIgnored Status = "ignored"
)

// mapped is the state of a job as the jobs after it see it.
// Source: specification section 17.2.
func mapped(s Status, allowed bool) Status {
	switch {
	case allowed && (s == StatusFailed || s == StatusCanceled):
		return statusWarning
	case allowed && s == StatusManual:
		return statusIgnored
	}
	return s
}

// tally counts the mapped states of a set of jobs.
type tally struct {
	created, pending, running, success, warning, failed, canceled, skipped, ignored, manual int
	scheduled, waiting, total                                                               int
}

// add counts n more jobs in state s.
func (t *tally) add(s Status, n int) {
	t.total += n
	switch s {
	case StatusCreated:
		t.created += n
	case StatusPending:
		t.pending += n
	case StatusRunning:
		t.running += n
	case StatusSuccess:
		t.success += n
	case statusWarning:
		t.warning += n
	case StatusFailed:
		t.failed += n
	case StatusCanceled:
		t.canceled += n
	case StatusSkipped:
		t.skipped += n
	case statusIgnored:
		t.ignored += n
	case StatusManual:
		t.manual += n
	case StatusScheduled:
		t.scheduled += n
	case StatusWaiting:
		t.waiting += n
	default:
		panic("exec: tally of unknown state " + string(s))
	}
}

// merge counts another set.
func (t *tally) merge(o *tally) {
	t.created += o.created
	t.pending += o.pending
	t.running += o.running
	t.success += o.success
	t.warning += o.warning
	t.failed += o.failed
	t.canceled += o.canceled
	t.skipped += o.skipped
	t.ignored += o.ignored
	t.manual += o.manual
	t.scheduled += o.scheduled
	t.waiting += o.waiting
	t.total += o.total
}

// composite is the status of the whole set; dag asks for the stricter reading
// that a job with needs applies to them. The order of the cases is GitLab's.
// Source: specification section 17.2.
func (t *tally) composite(dag bool) Status {
	neutral := t.skipped + t.warning + t.ignored
	switch {
	case t.total == 0:
		return StatusSuccess
	case dag && t.skipped+t.ignored > 0:
		return StatusSkipped
	case dag && t.created+t.pending+t.running+t.manual+t.scheduled+t.waiting > 0:
		return StatusPending
	case t.skipped+t.ignored == t.total:
		return StatusSkipped
	case t.success+neutral == t.total:
		return StatusSuccess
	case t.created+t.warning+t.ignored == t.total:
		return StatusCreated
	case t.canceled+t.success+neutral == t.total:
		return StatusCanceled
	case t.created+t.pending+neutral == t.total:
		return StatusPending
	case t.running+t.pending > 0:
		return StatusRunning
	case t.waiting > 0:
		return StatusWaiting
	case t.manual > 0:
		return StatusManual
	case t.scheduled > 0:
		return StatusScheduled
	case t.created > 0:
		return StatusRunning
	}
	return StatusFailed
}

// runsOn is the decision of specification section 17.3: does a job with this
// when run once what it waits for has the given composite status? If not, it
// is skipped. A canceled status runs nothing, not even always.
func runsOn(when string, before Status, dag bool) bool {
	switch when {
	case "always":
		return before == StatusSuccess || before == StatusFailed || before == StatusSkipped
	case "on_failure":
		return before == StatusFailed
	default: // on_success, manual, delayed
		return before == StatusSuccess || before == StatusSkipped && !dag
	}
}
