package exec

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cic-ci/cic/plan"
)

// StatusInterrupted is the state of a run, and of its jobs that ran, whose
// process died before it could end them.
const StatusInterrupted Status = "interrupted"

// Record is what the state directory knows of a run, living or past.
type Record struct {
	ID  string
	Dir string
	// Started is zero for a run that has not begun.
	Started time.Time
	// Source is the pipeline's file, Ref the branch or tag.
	Source, Ref string
	Stages      []string
	// Total is how many jobs the run has.
	Total int
	// Status is running for a living run, interrupted for one whose process died.
	Status Status
	// Duration is that of a finished run; of one whose process died, it reaches to the
	// last that was written of it. That of a living one is left to the caller.
	Duration time.Duration
	// Jobs are those that have started or were decided, in that order. One that runs
	// has the status running, one that ran when the process died, interrupted.
	Jobs []JobResult
}

func (r *Record) logsDir() string { return filepath.Join(r.Dir, logsName) }

// ErrNoRun says that the state directory has no such run.
var ErrNoRun = errors.New("no such run")

// Job returns what is known of the named job.
func (r *Record) Job(name string) (*JobResult, bool) {
	i := slices.IndexFunc(r.Jobs, func(j JobResult) bool { return j.Name == name })
	if i < 0 {
		return nil, false
	}
	return &r.Jobs[i], true
}

// JobID is the name of a job's files: of its log, its artifacts.
func JobID(job string) string { return plan.FileName(job) }

// validRunID reports whether an id can be a directory in runs: nothing that
// leads elsewhere.
func validRunID(id string) bool {
	return id != "" && id[0] != '.' && filepath.IsLocal(id) && !strings.ContainsAny(id, `/\`)
}

// RunIDs are the runs of a state directory, newest first. There are none if the
// directory does not exist.
func RunIDs(stateDir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(stateDir, "runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range slices.Backward(entries) { // ids sort by time
		if e.IsDir() && validRunID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// FindRun returns the id that ref stands for: "last" for the newest run, an id,
// or the beginning of exactly one. The error is [ErrNoRun] where there is none.
func FindRun(stateDir, ref string) (string, error) {
	ids, err := RunIDs(stateDir)
	if err != nil {
		return "", err
	}
	if len(ids) == 0 {
		return "", fmt.Errorf("%w: %s has none", ErrNoRun, stateDir)
	}
	if ref == "last" {
		return ids[0], nil
	}
	var found []string
	for _, id := range ids {
		if id == ref {
			return id, nil
		}
		if ref != "" && strings.HasPrefix(id, ref) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%w: %q", ErrNoRun, ref)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%q is the beginning of %d runs: %s", ref, len(found), strings.Join(found[:min(len(found), 5)], ", "))
}

// ReadRun reads the record of a run, whose id is whole.
func ReadRun(stateDir, id string) (*Record, error) {
	if !validRunID(id) {
		return nil, fmt.Errorf("%q cannot be the id of a run", id)
	}
	r := &Record{ID: id, Dir: filepath.Join(stateDir, "runs", id)}
	// Before the journal: a run that ends meanwhile has written its end by then.
	living, err := runLives(stateDir, id)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(r.Dir, journalName))
	if err == nil {
		err = errors.Join(r.readJournal(f), f.Close())
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil // died at birth, or lives and has said nothing yet
	}
	if err != nil {
		return nil, fmt.Errorf("journal of run %s: %w", id, err)
	}
	r.settle(living)
	if r.Status == StatusInterrupted && !r.Started.IsZero() {
		err = r.lastSign()
	}
	return r, err
}

// lastSign gives a run whose process died the time from its start to the last
// change of its logs.
func (r *Record) lastSign() error {
	entries, err := os.ReadDir(r.logsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		} else if err != nil {
			return err
		}
		r.Duration = max(r.Duration, info.ModTime().Sub(r.Started))
	}
	return nil
}

// runLives reports whether a process has the run's lock.
func runLives(stateDir, id string) (bool, error) {
	lock, err := lockRun(stateDir, id)
	if errors.Is(err, errLocked) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	return false, lock.Close()
}

// lockRun takes the lock of a run that is over; the error is errLocked for one
// that lives.
func lockRun(stateDir, id string) (*os.File, error) {
	runs := filepath.Join(stateDir, "runs")
	if info, err := os.Lstat(filepath.Join(runs, id)); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%w: %q", ErrNoRun, id)
	} else if err != nil {
		return nil, err
	}
	// Holding the counter, this cannot take a lock that [CreateRun] wants.
	counter, err := openLocked(filepath.Join(runs, counterName), true)
	if err != nil {
		return nil, err
	}
	defer counter.Close()
	return openLocked(filepath.Join(runs, id, lockName), false)
}

// readJournal takes in the events. A last line that a crash has torn is not one.
func (r *Record) readJournal(journal io.Reader) error {
	lines := bufio.NewReader(journal)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			// What a crash tore is ended by the sweep, and followed by more.
			if errors.As(err, new(*json.SyntaxError)) {
				continue
			}
			return fmt.Errorf("line %d: %w", n, err)
		}
		r.apply(&e)
	}
}

// apply takes in one event.
func (r *Record) apply(e *Event) {
	if !r.Started.IsZero() && !e.Died && r.Status == "" { // overruled by the run's end
		r.Duration = max(r.Duration, e.Time.Sub(r.Started))
	}
	switch e.Type {
	case EventRunStarted:
		r.Started, r.Source, r.Ref, r.Stages, r.Total = e.Time, e.Source, e.Ref, e.Stages, e.Jobs
	case EventPipelineStarted:
		r.Total += e.Jobs
	case EventJobStarted:
		j := r.entry(e.Job)
		*j = JobResult{Name: e.Job, Stage: e.Stage, Status: StatusRunning, Started: e.Time}
	case EventJobFinished:
		if e.Result != nil {
			j := r.entry(e.Job)
			*j = *e.Result
			j.Name = e.Job // by which files are found
		}
	case EventJobRequeued: // as if it had not been decided
		r.Jobs = slices.DeleteFunc(r.Jobs, func(j JobResult) bool { return j.Name == e.Job })
	case EventRunFinished:
		if e.Died { // a run can be buried after its end, too
			r.Status = StatusInterrupted
		} else {
			r.Status, r.Duration = e.Status, time.Duration(e.Seconds*float64(time.Second))
		}
	}
}

// entry is the job's, made if it is missing.
func (r *Record) entry(job string) *JobResult {
	if j, ok := r.Job(job); ok {
		return j
	}
	r.Jobs = append(r.Jobs, JobResult{})
	return &r.Jobs[len(r.Jobs)-1]
}

// settle completes the states with whether the run lives.
func (r *Record) settle(living bool) {
	switch {
	case r.Status != "":
	case living:
		r.Status = StatusRunning
	default:
		r.Status = StatusInterrupted
	}
	if r.Status == StatusRunning {
		r.Duration = 0
		return
	}
	for i := range r.Jobs {
		if r.Jobs[i].Status == StatusRunning {
			r.Jobs[i].Status = StatusInterrupted
		}
	}
}

// StateDir is the state directory that holds the run.
func (r *Record) StateDir() string { return filepath.Dir(filepath.Dir(r.Dir)) }

// Size is the sum of the sizes of a run's files, in bytes; its working directory,
// in which projects are mounted, does not count.
func (r *Record) Size() (int64, error) {
	var size int64
	err := filepath.WalkDir(r.Dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a living run
		} else if err != nil {
			return err
		}
		if d.IsDir() && path == filepath.Join(r.Dir, workName) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		size += info.Size()
		return nil
	})
	return size, err
}

// ErrRunLives says that a run cannot be removed.
var ErrRunLives = errors.New("the run is not over")

// RemoveRun removes a past run with all that it left.
func RemoveRun(stateDir, id string) error {
	if !validRunID(id) {
		return fmt.Errorf("%q cannot be the id of a run", id)
	}
	lock, err := lockRun(stateDir, id)
	if errors.Is(err, errLocked) {
		return fmt.Errorf("%s: %w", id, ErrRunLives)
	} else if err != nil {
		return err
	}
	dir := filepath.Join(stateDir, "runs", id)
	if _, err := os.Lstat(filepath.Join(dir, workName)); err == nil {
		return errors.Join(fmt.Errorf("run %s was not swept yet: its process died, and the next run clears it away", id), lock.Close())
	}
	return errors.Join(discard(dir), lock.Close())
}
