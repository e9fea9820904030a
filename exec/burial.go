package exec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
)

// goneMark begins the name of a run's directory that is being removed. It is then
// no run any more: a sweep that came upon one half removed would take it for dead,
// and end it with a journal of its own.
const goneMark = ".gone-"

// discard removes the directory of a run, whose lock the caller holds.
func discard(dir string) error {
	runs, id := filepath.Split(dir)
	gone := filepath.Join(runs, goneMark+id)
	if err := os.Rename(dir, gone); errors.Is(err, fs.ErrNotExist) {
		return nil // it was gone when the lock was had
	} else if err != nil {
		return err
	}
	return workspace.Remove(gone)
}

// DeadRuns returns the runs that did not clear up: nobody holds their lock, and
// their journal has no end or their working directory is still there. Each is locked now, so that only one sweep
// takes it: the caller ends what is left of it and then calls [RunDir.Bury],
// or [RunDir.Close] where that failed.
func DeadRuns(stateDir string) (dead []*RunDir, err error) {
	runs := filepath.Join(stateDir, "runs")
	counter, err := openLocked(filepath.Join(runs, counterName), true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(runs)
	errs := []error{err}
	var gone []string
	for _, e := range entries {
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), goneMark):
			gone = append(gone, filepath.Join(runs, e.Name()))
		default:
			r, err := lockDead(filepath.Join(runs, e.Name()))
			if r != nil {
				dead = append(dead, r)
			}
			errs = append(errs, err)
		}
	}
	errs = append(errs, counter.Close())
	// Whoever removes it may be at it still: two do not harm each other.
	for _, dir := range gone {
		errs = append(errs, workspace.Remove(dir))
	}
	return dead, errors.Join(errs...)
}

// lockDead returns the run of a directory, locked, if it is dead. The caller holds
// the counter.
func lockDead(dir string) (*RunDir, error) {
	lock, err := openLocked(filepath.Join(dir, lockName), false)
	if errors.Is(err, errLocked) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it lives, or was discarded meanwhile
	} else if err != nil {
		return nil, err
	}
	r := &RunDir{ID: filepath.Base(dir), Dir: dir, lock: lock}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, r.unlock() // discarded before the lock was had
	}
	if r.dead, err = r.needsBurial(); err == nil && r.dead {
		return r, nil
	}
	return nil, errors.Join(err, r.unlock())
}

// Bury removes the working directory of a dead run and ends its journal if it has
// no end, so that it is not dead any more but a run that was canceled.
func (r *RunDir) Bury(now time.Time) error {
	if err := removeMounted(filepath.Join(r.Dir, workName)); err != nil {
		return errors.Join(err, r.unlock()) // stays dead: the next sweep tries again
	}
	if ended, err := r.ended(); ended || err != nil {
		return errors.Join(err, r.unlock())
	}
	if err := r.openJournal(); err != nil {
		return errors.Join(err, r.unlock())
	}
	err := r.append([]Event{{Time: now, Type: EventRunFinished, Status: StatusCanceled, Died: true}})
	return errors.Join(err, r.unlock())
}

func (r *RunDir) needsBurial() (bool, error) {
	_, err := os.Lstat(filepath.Join(r.Dir, workName))
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	ended, err := r.ended()
	return !ended, err
}

// ended reports whether the last whole line of the journal ends the run.
func (r *RunDir) ended() (bool, error) {
	f, err := os.Open(filepath.Join(r.Dir, journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	// The line that ends a run is short; whatever is longer is another.
	tail := make([]byte, min(size, 4096))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return false, err
	}
	tail = bytes.TrimRight(tail, "\n")
	var last Event
	if json.Unmarshal(tail[bytes.LastIndexByte(tail, '\n')+1:], &last) != nil {
		return false, nil // torn by the crash
	}
	return last.Type == EventRunFinished, nil
}
