package exec

import (
	"errors"
	"fmt"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
)

// collect takes the job's artifacts, if its outcome is one they are kept for.
func (w *worker) collect(res *JobResult) error {
	a := w.job.Artifacts
	if a == nil || w.r.RunDir == nil {
		return nil
	}
	if err := w.collectReports(res); err != nil {
		return err
	}
	if !a.Archived() || !keepArtifacts(a.When, res.Status) {
		return nil
	}
	if w.r.hard.Err() != nil {
		if res.Status == StatusSuccess { // which would promise that they are there
			res.Status, res.Class, res.Error = StatusCanceled, ClassCanceled, "killed before its artifacts were collected"
		}
		return nil
	}
	paths, err := expandAll(a.Paths, w.vars)
	if err != nil {
		return fmt.Errorf("artifacts: %w", err)
	}
	exclude, err := expandAll(a.Exclude, w.vars)
	if err != nil {
		return fmt.Errorf("artifacts: %w", err)
	}
	m, err := w.ws.Collect(workspace.Patterns{Paths: paths, Exclude: exclude, Untracked: a.Untracked}, w.r.RunDir.ArtifactsDir(w.id))
	if w.tooSparse(res, "artifacts", err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("artifacts: %w", err)
	}
	for _, warning := range m.Warnings {
		w.log.Note(true, "artifacts: %s", warning)
	}
	for _, f := range m.Files {
		if f.Type != "dir" {
			res.Artifacts++
		}
	}
	res.ArtifactBytes = m.Size
	if a.ExpireIn > 0 {
		res.ArtifactsExpire = w.r.Now().UTC().Add(time.Duration(a.ExpireIn) * time.Second).Round(0)
	}
	if w.left.artifacts = len(m.Files) > 0; w.left.artifacts {
		w.log.Note(false, "saved %d artifact(s), %s", res.Artifacts, ByteSize(m.Size))
	}
	return nil
}

// tooSparse reports whether err is the refusal of files that are all but holes, and
// makes it the job's own failure: no machine is at fault.
func (w *worker) tooSparse(res *JobResult, what string, err error) bool {
	var sparse *workspace.SparseError
	if !errors.As(err, &sparse) {
		return false
	}
	text := fmt.Sprintf("%s: %q and what is collected with it are %s long, of which %s are on the disk: too many holes to keep",
		what, sparse.Path, ByteSize(sparse.Size), ByteSize(sparse.Disk))
	if res.Status != StatusSuccess {
		w.log.Note(true, "%s", text)
		return true
	}
	res.Status, res.Class, res.Error = StatusFailed, ClassScript, text
	res.Help = "leave it out with artifacts:exclude, or have the job pack it"
	return true
}

// keepArtifacts is artifacts:when; of a canceled job only `always` keeps them.
func keepArtifacts(when string, status Status) bool {
	switch when {
	case "always":
		return true
	case "on_failure":
		return status == StatusFailed
	}
	return status == StatusSuccess
}
