package exec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
)

// Expiry says what has had its time.
type Expiry struct {
	Now time.Time
	// Runs is how long a run is kept after its end.
	Runs time.Duration
	// DryRun: nothing is removed.
	DryRun bool
}

// Expired is what [Expire] removed.
type Expired struct {
	// Runs counts whole runs, and RunBytes the size of their files.
	Runs     int
	RunBytes int64
	// Artifacts counts jobs of other runs whose artifacts were past their expire_in,
	// and ArtifactBytes the size of these.
	Artifacts     int
	ArtifactBytes int64
	// Attempts counts those of the other runs' jobs that were tried again, whose
	// artifacts and reports count no more, and AttemptBytes the size of these.
	Attempts     int
	AttemptBytes int64
	// Records counts what [Reuse] kept and cannot or did not use, and RecordBytes the
	// size of that.
	Records     int
	RecordBytes int64
	// Living counts the runs that are not over.
	Living int
}

// Expire removes past runs, artifacts past their expire_in, those of attempts that
// were followed by others, and records of no use. A living run is
// left alone, and so is what a dead one has left until it is swept. What cannot be
// removed does not keep the rest; the error tells of it.
func Expire(stateDir string, e Expiry) (x Expired, err error) {
	ids, err := RunIDs(stateDir)
	for _, id := range ids {
		if runErr := x.run(stateDir, id, e); runErr != nil && !errors.Is(runErr, ErrNoRun) {
			err = errors.Join(err, runErr)
		}
	}
	return x, errors.Join(err, x.records(stateDir, e))
}

// run takes in one run.
func (x *Expired) run(stateDir, id string, e Expiry) error {
	r, err := ReadRun(stateDir, id)
	if err != nil {
		return err
	}
	if r.Status == StatusRunning {
		x.Living++
		return nil
	}
	if _, err := os.Lstat(filepath.Join(r.Dir, workName)); err == nil {
		return nil // not swept yet
	}
	last, err := r.lastWritten()
	if err != nil {
		return err
	}
	if e.Now.Sub(last) <= e.Runs {
		return errors.Join(x.artifacts(r, e), x.superseded(r, e))
	}
	size, err := r.Size()
	if err != nil {
		return err
	}
	if !e.DryRun {
		if err := RemoveRun(stateDir, id); errors.Is(err, ErrRunLives) { // it was taken up again
			x.Living++
			return nil
		} else if err != nil {
			return err
		}
	}
	x.Runs++
	x.RunBytes += size
	return nil
}

// lastWritten is when the run wrote its journal's last line.
func (r *Record) lastWritten() (time.Time, error) {
	info, err := os.Lstat(filepath.Join(r.Dir, journalName))
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Lstat(r.Dir)
	}
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// artifacts removes those of a run that are past their time.
func (x *Expired) artifacts(r *Record, e Expiry) error {
	var errs []error
	for i := range r.Jobs {
		j := &r.Jobs[i]
		if j.ArtifactsExpire.IsZero() || j.ArtifactsExpire.After(e.Now) {
			continue
		}
		gone, err := removeArtifacts(r, j.Name, e.DryRun)
		if err != nil {
			errs = append(errs, fmt.Errorf("run %s: %w", r.ID, err))
		}
		if gone {
			x.Artifacts++
			x.ArtifactBytes += j.ArtifactBytes
		}
	}
	return errors.Join(errs...)
}

// removeArtifacts removes what a job of a past run has left; gone is false if it
// has left nothing, or the run was taken up again.
func removeArtifacts(r *Record, job string, dryRun bool) (gone bool, err error) {
	dir := (&RunDir{Dir: r.Dir}).ArtifactsDir(JobID(job))
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil || dryRun {
		return err == nil, err
	}
	lock, err := lockRun(r.StateDir(), r.ID)
	if errors.Is(err, errLocked) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, errors.Join(workspace.Remove(dir), lock.Close())
}
