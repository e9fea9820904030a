package exec

import (
	"time"

	"github.com/cic-ci/cic/plan"
)

// Result tells how a run ended.
type Result struct {
	// Status is the composite over all jobs: success, failed, canceled, skipped, or
	// manual where a manual job blocks what is left.
	Status Status
	// Jobs are in plan order.
	Jobs []JobResult
	// Plan is the plan that was run, with the child pipelines that were compiled.
	Plan *plan.Plan
	// Pipelines are the child pipelines that were started, in plan order.
	Pipelines []PipelineResult
	// Duration is by the monotonic clock.
	Duration time.Duration
	// Interrupted: the context was cancelled, or a later run took over, while jobs were left.
	Interrupted bool
	// TimedOut: the run's own time limit ended it.
	TimedOut bool
	// Stopped says why jobs were given up, empty if none were.
	Stopped string
}

// PipelineResult tells how a child pipeline ended.
type PipelineResult struct {
	// Trigger is the job that started it.
	Trigger string
	// Status is the composite over its jobs. It counts for the run only where the
	// trigger job ends as its pipeline does.
	Status Status
}

// JobResult tells how a job ended. It is part of the journal's format.
type JobResult struct {
	Name  string `json:"name"`
	Stage string `json:"stage"`
	// Pipeline names the trigger job of the child pipeline that the job is of, empty
	// for the plan's own.
	Pipeline string `json:"pipeline,omitempty"`
	Status   Status `json:"status"`
	// Allowed: the job failed and may, or it is manual and nothing waits for it.
	Allowed bool `json:"allowed,omitempty"`
	// Class is set for a job that failed or was canceled while it ran.
	Class Class `json:"class,omitempty"`
	// ExitCode is that of the script; 128+N where signal N ended it.
	ExitCode int `json:"exit_code,omitempty"`
	// Command is the one at which the script ended badly, nil where that is not known.
	Command *Command `json:"command,omitempty"`
	// Error says in words what went wrong, Help what to do about it.
	Error string `json:"error,omitempty"`
	Help  string `json:"help,omitempty"`
	// Reason says why the job was not run.
	Reason string `json:"reason,omitempty"`
	// Reused is the run whose result this is: the job was done there, not again.
	Reused string `json:"reused,omitempty"`
	// Started is zero for a job that was not run. Of a job that was run again, this
	// and what follows tell of the last attempt.
	Started time.Time `json:"started,omitzero"`
	// Duration is by the monotonic clock, in nanoseconds.
	Duration time.Duration `json:"duration,omitempty"`
	// Log is the path of the whole log, empty without a run directory.
	Log string `json:"log,omitempty"`
	// Tail holds the last lines of a failed job's output.
	Tail []string `json:"tail,omitempty"`
	// Artifacts is the number of collected files and links; ArtifactBytes their size.
	Artifacts     int   `json:"artifacts,omitempty"`
	ArtifactBytes int64 `json:"artifact_bytes,omitempty"`
	// ArtifactsExpire is when they may be removed; zero for never.
	ArtifactsExpire time.Time `json:"artifacts_expire,omitzero"`
	// Reports is the number of collected report files, by kind.
	Reports map[string]int `json:"reports,omitempty"`
	// Kept: the workspace of the failed job was kept.
	Kept bool `json:"kept,omitempty"`
	// Coverage is what the plan's expression found in the output, in percent.
	Coverage *float64 `json:"coverage,omitempty"`
	// EnvironmentURL is the address of the job's environment, expanded.
	EnvironmentURL string `json:"environment_url,omitempty"`
	// Attempts are all attempts of a job that was run again, the last one included.
	Attempts []Attempt `json:"attempts,omitempty"`
}

// Failed reports whether the job counts as a failure of the pipeline.
func (j *JobResult) Failed() bool { return j.Status == StatusFailed && !j.Allowed }

// Counts reports, of jobs in plan order, whether each counts as a failure of the
// run: one of a child pipeline does if its trigger job has failed with it.
func (r *Result) Counts() []bool {
	counts := make([]bool, len(r.Jobs))
	failed := map[string]bool{"": true} // by trigger job
	for i := range r.Jobs {
		j := &r.Jobs[i]
		counts[i] = j.Failed() && failed[j.Pipeline]
		if counts[i] && j.Class == ClassChild {
			failed[j.Name] = true
		}
	}
	return counts
}

// exitCode is the process exit code that a failure of each class asks for.
// A wrong image or user is the pipeline's own fault, as a failing script is.
func (c Class) exitCode() int {
	switch c {
	case ClassTimeout:
		return 5
	case ClassImagePull, ClassSystem:
		return 4
	}
	return 1
}

// ExitCode is the exit code of the process: 0 passed, allowed failures included;
// 4 system; 5 timed out, a job or the run; 1 a job failed; 8 blocked on a manual
// job; 130 interrupted or canceled. Of several the first in this order counts: 130
// for an interruption, 4, 5, 1, 130, 8. A caller that knows the signal says 128 plus its number in place of 130.
func (r *Result) ExitCode() int {
	if r.Interrupted {
		return 130
	}
	seen := map[int]bool{5: r.TimedOut}
	for i, failed := range r.Counts() {
		if failed {
			seen[r.Jobs[i].Class.exitCode()] = true
		}
	}
	for _, code := range []int{4, 5, 1} {
		if seen[code] {
			return code
		}
	}
	switch r.Status {
	case StatusCanceled:
		return 130
	case StatusManual:
		return 8
	}
	return 0
}
