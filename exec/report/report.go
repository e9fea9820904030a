// Package report writes what happened in a run for others to read: one HTML
// file that needs nothing else, and JUnit's XML for CI systems.
//
// Everything in it that comes from a plan or a job is taken for hostile: names
// and logs are escaped, and the page forbids scripts (GHSA-cmv8-6362-r5w9).
//
// Read html.go for the page, log.go for how a log gets into it, chart.go for its
// two drawings, junit.go for the XML.
package report

import (
	"io"
	"slices"
	"time"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// Run is what is reported.
type Run struct {
	// ID is empty for a run of which nothing is kept.
	ID     string
	Plan   *plan.Plan
	Result *exec.Result
	// Started is when the run began.
	Started time.Time
	// Log opens the log of a job by name. Nil: there are none.
	Log func(job string) (io.ReadSeekCloser, error)
	// Tests opens the JUnit reports that a job left. Nil: there are none.
	Tests func(job string) ([]io.ReadCloser, error)
}

// order returns the jobs with those that failed first, else in plan order.
func order(jobs []exec.JobResult) []*exec.JobResult {
	list := make([]*exec.JobResult, len(jobs))
	for i := range jobs {
		list[i] = &jobs[i]
	}
	rank := func(j *exec.JobResult) int {
		switch {
		case j.Failed():
			return 0
		case j.Status == exec.StatusFailed:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(a, b *exec.JobResult) int { return rank(a) - rank(b) })
	return list
}
