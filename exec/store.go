package exec

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// RunDir is the directory of one run, <state>/runs/<id>, mode 0700:
//
//	lock             held with flock(2) while the run lives
//	journal.jsonl    one event a line; see [Event]
//	logs/<job>.log   what each job printed, as it came
//	artifacts/<job>/ what each job left for others
//	reports/<job>/   the files of its artifacts:reports, by kind
//	plan/            for the caller: the plan that runs
//	work/            mounts and scratch files, gone after the run
type RunDir struct {
	ID  string
	Dir string
	// Number counts the runs of the state directory from 1.
	Number int64

	lock    *os.File
	journal *os.File
	// begun: the journal holds something. dead: what is left of the run is, or will
	// be, another process's to remove.
	begun, dead bool
	// digested are the files whose digests are known.
	digested digests
}

const (
	workName    = "work"
	journalName = "journal.jsonl"
	lockName    = "lock"
	logsName    = "logs"
	logSuffix   = ".log"
	// logMark follows a job's id in the names of its further logs; it is in no id.
	logMark = "@"
	// attemptMark follows it in the names of what an attempt left that was not the last.
	attemptMark = logMark + "attempt-"
	// serviceMark begins what follows it in the names of services' logs.
	serviceMark = logMark + "service-"

	// childrenName is where the child pipelines are kept that a run has compiled, each
	// as a plan of its own by the id of its trigger job.
	childrenName  = "children"
	artifactsName = "artifacts"
	reportsName   = "reports"
	// counterName is the file in <state>/runs whose content is the number of the
	// last run, and whose lock keeps [CreateRun] and [DeadRuns] apart.
	counterName = ".counter"
)

// NewRunID returns an id that sorts by time: 20060102-150405-1a2b3c4d. Of the
// last eight digits four are a part of the second, the others random.
func NewRunID(now time.Time) string {
	var digits [4]byte
	rand.Read(digits[2:]) // never fails
	binary.BigEndian.PutUint16(digits[:2], uint16(now.Nanosecond()>>14))
	return now.UTC().Format("20060102-150405-") + hex.EncodeToString(digits[:])
}

// unusableState says what to do about a state directory that cannot be written to.
func unusableState(err error) error {
	e := &Error{Class: ClassSystem, Err: fmt.Errorf("the state directory cannot be used: %w", err)}
	if !DiskFull(err) { // for which there is another help
		e.Help = "name another with --state-dir or CIC_STATE_DIR"
	}
	return e
}

// CreateRun makes and locks the directory of a new run below the state directory,
// which is made too if it is missing.
func CreateRun(stateDir, id string) (_ *RunDir, err error) {
	if !validRunID(id) {
		return nil, fmt.Errorf("%q cannot be the id of a run", id)
	}
	runs := filepath.Join(stateDir, "runs")
	if err := os.MkdirAll(runs, 0o700); err != nil {
		return nil, unusableState(err)
	}
	counter, err := openLocked(filepath.Join(runs, counterName), true)
	if err != nil {
		return nil, unusableState(err)
	}
	defer counter.Close()
	r := &RunDir{ID: id, Dir: filepath.Join(runs, id)}
	if r.Number, err = nextNumber(counter); err != nil {
		return nil, err
	}
	if err := os.Mkdir(r.Dir, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.unlock(), os.RemoveAll(r.Dir))
		}
	}()
	if r.lock, err = openLocked(filepath.Join(r.Dir, lockName), false); err != nil {
		return nil, err
	}
	for _, dir := range []string{logsName, artifactsName, "plan", workName, workName + "/workspaces", workName + "/scratch"} {
		if err := os.Mkdir(filepath.Join(r.Dir, dir), 0o700); err != nil {
			return nil, err
		}
	}
	if err := r.openJournal(); err != nil {
		return nil, err
	}
	return r, nil
}

// nextNumber adds one to the number in the file.
func nextNumber(f *os.File) (int64, error) {
	text, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return 0, err
	}
	var last int64
	if s := strings.TrimSpace(string(text)); s != "" {
		if last, err = strconv.ParseInt(s, 10, 64); err != nil || last < 0 {
			return 0, fmt.Errorf("%s holds no number: %q", f.Name(), s)
		}
	}
	_, err = f.WriteAt(fmt.Appendf(nil, "%d\n", last+1), 0)
	return last + 1, err
}

// LogPath is the log file of a job by its id (see [Spec]).
func (r *RunDir) LogPath(id string) string { return filepath.Join(r.Dir, logsName, id+logSuffix) }

// attemptLogName is the log of an attempt that was not a job's last.
func attemptLogName(id string, attempt int) string {
	return fmt.Sprintf("%s%s%d%s", id, attemptMark, attempt, logSuffix)
}

// serviceLogName is the log of a job's service by its first name.
func serviceLogName(id, service string) string {
	return id + serviceMark + plan.FileName(service) + logSuffix
}

func (r *RunDir) serviceLogPath(id, service string) string {
	return filepath.Join(r.Dir, logsName, serviceLogName(id, service))
}

// ArtifactsDir is the directory of what a job left.
func (r *RunDir) ArtifactsDir(id string) string { return filepath.Join(r.Dir, artifactsName, id) }

// PlanDir is an empty directory that the caller may use for the plan.
func (r *RunDir) PlanDir() string { return filepath.Join(r.Dir, "plan") }

// WorkspacesDir is an empty directory for [workspace.Config].
func (r *RunDir) WorkspacesDir() string { return filepath.Join(r.Dir, workName, "workspaces") }

// scratchDir is the runtime's directory for a job.
func (r *RunDir) scratchDir(id string) string { return filepath.Join(r.Dir, workName, "scratch", id) }

// openJournal opens the journal for appending. A last line that a crash has
// torn is ended, so that it does not spoil the next.
func (r *RunDir) openJournal() error {
	f, err := os.OpenFile(filepath.Join(r.Dir, journalName), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	r.journal = f
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, size-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = f.Write([]byte("\n"))
	return err
}

// append writes events to the journal and waits until they are on the disk.
func (r *RunDir) append(events []Event) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i := range events {
		if err := enc.Encode(events[i].written()); err != nil {
			return err
		}
	}
	r.begun = true
	if _, err := r.journal.Write(b.Bytes()); err != nil {
		return err
	}
	return r.journal.Sync()
}

// Abandon leaves the working directory to the next start, which takes the run for
// a dead one then: something that the run made could not be removed.
func (r *RunDir) Abandon() { r.dead = true }

// Close removes what only a living run needs and gives up the lock. A run that
// never began leaves nothing; one that is dead stays as it is. What is still
// mounted in the directory is unmounted first.
func (r *RunDir) Close() error {
	if r.dead || r.lock == nil {
		return r.unlock()
	}
	err := removeMounted(filepath.Join(r.Dir, workName))
	if err == nil && !r.begun {
		err = discard(r.Dir)
	}
	return errors.Join(err, r.unlock())
}

// removeMounted removes a directory in which things may be mounted, but nothing
// of what is mounted.
func removeMounted(dir string) error {
	if err := workspace.UnmountAll(dir); err != nil {
		return err
	}
	return workspace.Remove(dir)
}

func (r *RunDir) unlock() error {
	var errs []error
	for _, f := range []*os.File{r.journal, r.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	r.journal, r.lock = nil, nil
	return errors.Join(errs...)
}
