package exec

// reuse takes over the result of an earlier run in place of running the job, if
// there is one.
func (w *worker) reuse(l launch, res *JobResult) bool { return false }
