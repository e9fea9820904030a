package exec

import "strings"

// inUserNamespace reports whether the job runs in a user namespace: if the run has
// such, and the job was granted nothing that such a one takes away again. Root of a
// user namespace has no rights over devices, nor over the machine's network.
func (w *worker) inUserNamespace() bool {
	return w.tree.Mapped != nil && len(requests(w.job)) == 0
}

// workspaces makes the job's.
func (w *worker) workspaces() Workspaces {
	if w.inUserNamespace() {
		return w.tree.Mapped
	}
	return w.tree.Workspaces
}

// noteUserNamespace tells where a job has none in a run of jobs that have.
func (w *worker) noteUserNamespace() {
	if w.tree.Mapped != nil && !w.inUserNamespace() {
		w.log.Note(true, "runs without a user namespace, as it was granted %s", strings.Join(requests(w.job), ", "))
	}
}
