package exec

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// takeoverName is the file in the directory of a run in which a later one says
// that it takes over; it holds the id of that run.
const takeoverName = "takeover"

// TakeOver asks the older runs of the same project and ref that are alive to give
// way, and returns their ids, oldest first. What they do about it their own plans
// say. Only r and later runs may call it, after r was made.
func (r *RunDir) TakeOver(project, ref string) (asked []string, err error) {
	runs := filepath.Dir(r.Dir)
	entries, err := os.ReadDir(runs)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, e := range entries {
		// Ids begin with the time, so that a name that sorts later is of a later run,
		// or of one of the same second.
		if !e.IsDir() || !validRunID(e.Name()) || e.Name() >= r.ID {
			continue
		}
		older := &RunDir{ID: e.Name(), Dir: filepath.Join(runs, e.Name())}
		ok, err := older.livesFor(project, ref)
		if ok {
			err = older.giveWay(r.ID)
		}
		if err != nil {
			errs = append(errs, err)
		} else if ok {
			asked = append(asked, older.ID)
		}
	}
	return asked, errors.Join(errs...)
}

// livesFor reports whether the run is alive and is one of the project and ref.
func (r *RunDir) livesFor(project, ref string) (bool, error) {
	first, err := r.firstEvent()
	if err != nil || first == nil || first.Project != project || first.Ref != ref {
		return false, err
	}
	lock, err := openLocked(filepath.Join(r.Dir, lockName), false)
	if errors.Is(err, errLocked) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	return false, lock.Close() // it is dead
}

// firstEvent is the beginning of the journal, nil if there is none yet.
func (r *RunDir) firstEvent() (*Event, error) {
	f, err := os.Open(filepath.Join(r.Dir, journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	const most = 1 << 20 // an event of the run's beginning names all stages
	line, err := bufio.NewReader(io.LimitReader(f, most)).ReadBytes('\n')
	var e Event
	if err != nil || json.Unmarshal(line, &e) != nil || e.Type != EventRunStarted {
		return nil, nil // empty, or torn by a crash
	}
	return &e, nil
}

// giveWay leaves the word for the run. Of several later runs the first counts.
func (r *RunDir) giveWay(to string) error {
	path := filepath.Join(r.Dir, takeoverName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, to)
	return errors.Join(err, f.Close())
}

// takenOver is the id of the run that took over, empty if none did.
func (r *RunDir) takenOver() (string, error) {
	f, err := os.Open(filepath.Join(r.Dir, takeoverName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 256))
	if !strings.HasSuffix(string(text), "\n") {
		return "", err // it is being written
	}
	return strings.TrimSpace(string(text)), err
}
