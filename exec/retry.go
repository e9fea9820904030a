package exec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cic-ci/cic/plan"
)

// Attempt is one time that a job was run.
type Attempt struct {
	Status   Status        `json:"status"`
	Class    Class         `json:"class,omitempty"`
	ExitCode int           `json:"exit_code,omitempty"`
	Error    string        `json:"error,omitempty"`
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration,omitempty"`
	Log      string        `json:"log,omitempty"`
}

// retryReasons are GitLab's words, of those in retry:when, for each class of
// failure. A job that was canceled is never run again. What only a server knows
// (api_failure, stale_schedule, ...) never happens here.
//
// Source: specification section 25. GitLab counts an image that cannot be pulled
// as a failure of the script or of the runner, depending on the runner's kind
// and age: here it is all of them. A kill for want of memory is a failing script
// there, too.
var retryReasons = map[Class][]string{
	ClassScript:    {"script_failure"},
	ClassOOM:       {"script_failure"},
	ClassTimeout:   {"job_execution_timeout", "stuck_or_timeout_failure"},
	ClassImagePull: {"runner_system_failure", "runner_external_dependency_failure", "script_failure"},
	ClassConfig:    {"runner_configuration_error"},
	ClassSystem:    {"runner_system_failure"},
}

// retries reports whether a job that ended so is to be run again, after as many
// attempts. Without when and exit_codes every failure is; with both, either will do.
func retries(j *plan.Job, res *JobResult, attempts int) bool {
	if j.Retry == nil || attempts > j.Retry.Max || res.Status != StatusFailed {
		return false
	}
	if len(j.Retry.When) == 0 && len(j.Retry.ExitCodes) == 0 {
		return true
	}
	if res.scriptFailed() && slices.Contains(j.Retry.ExitCodes, res.ExitCode) {
		return true
	}
	return slices.ContainsFunc(j.Retry.When, func(when string) bool {
		return when == "always" || slices.Contains(retryReasons[res.Class], when)
	})
}

// scriptFailed reports whether the job's own exit code says that it failed.
func (j *JobResult) scriptFailed() bool { return j.Class == ClassScript || j.Class == ClassOOM }

// attempted records an attempt that ended.
func (r *run) attempted(i int) {
	res := &r.results[i]
	r.attempts[i] = append(r.attempts[i], Attempt{
		Status: res.Status, Class: res.Class, ExitCode: res.ExitCode, Error: res.Error,
		Started: res.Started, Duration: res.Duration, Log: res.Log,
	})
}

// retry begins a new attempt of a job whose last one failed. It stays running for
// the schedule; the attempt starts when nothing of the last is left.
func (r *run) retry(i int, left leftover) {
	number := len(r.attempts[i])
	res := r.results[i]
	if r.RunDir != nil {
		res.Log = r.RunDir.attemptLogPath(jobID(&r.plan.Jobs[i]), number)
		r.attempts[i][number-1].Log = res.Log
	}
	r.again[i] = left
	r.emit(Event{Type: EventJobRetried, Job: res.Name, Attempt: number, Status: res.Status,
		Seconds: res.Duration.Seconds(), Result: &res})
}

// setAside makes room for the next attempt: what this one left in the run's
// directory gets a name of its own.
func (r *RunDir) setAside(id string, attempt int) error {
	mark := fmt.Sprintf("%s%d", attemptMark, attempt)
	moves := [][2]string{
		{r.LogPath(id), r.attemptLogPath(id, attempt)},
		{r.LogPath(id) + timesSuffix, r.attemptLogPath(id, attempt) + timesSuffix},
		{r.ArtifactsDir(id), r.ArtifactsDir(id + mark)},
		{r.ArtifactsDir(id) + outputsSuffix, r.ArtifactsDir(id+mark) + outputsSuffix},
		{filepath.Join(r.Dir, reportsName, id), filepath.Join(r.Dir, reportsName, id+mark)},
	}
	logs := filepath.Join(r.Dir, logsName)
	entries, err := os.ReadDir(logs)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), id+serviceMark); ok {
			moves = append(moves, [2]string{filepath.Join(logs, e.Name()), filepath.Join(logs, id+mark+"-service-"+rest)})
		}
	}
	var errs []error
	for _, m := range moves {
		if err := os.Rename(m[0], m[1]); err != nil && !errors.Is(err, fs.ErrNotExist) { // it left none
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (r *RunDir) attemptLogPath(id string, attempt int) string {
	return filepath.Join(r.Dir, logsName, attemptLogName(id, attempt))
}
