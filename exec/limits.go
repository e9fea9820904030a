package exec

import (
	"fmt"
	"strconv"

	"github.com/cic-ci/cic/plan"
)

// DefaultPIDs bounds the processes and threads of a job: far more than a build
// needs, far fewer than a machine has.
const DefaultPIDs = 4096

// limits are the job's, completed and bounded by the executor's: those are the
// operator's, and a plan cannot have more.
func (w *worker) limits() plan.Resources {
	var l plan.Resources
	if w.job.Resources != nil {
		l = *w.job.Resources
	}
	limit(&l.CPUs, w.r.Limits.CPUs)
	limit(&l.Memory, w.r.Limits.Memory)
	limit(&l.Disk, w.r.Limits.Disk)
	limit(&l.PIDs, w.r.Limits.PIDs)
	if l.PIDs == 0 {
		l.PIDs = DefaultPIDs
	}
	return l
}

// limit bounds a value, of which zero means none.
func limit[T int64 | float64](value *T, most T) {
	if most > 0 && (*value == 0 || *value > most) {
		*value = most
	}
}

// noteLimits tells where a job gets less than its plan asks for.
func (w *worker) noteLimits() {
	if w.job.Resources == nil {
		return
	}
	asked, got := *w.job.Resources, w.limits()
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, l := range []struct {
		name       string
		asked, got int64
		text       func(int64) string
	}{
		{"memory", asked.Memory, got.Memory, ByteSize},
		{"disk space", asked.Disk, got.Disk, ByteSize},
		{"processes", asked.PIDs, got.PIDs, number},
	} {
		if l.asked > l.got {
			w.log.Note(true, "%s limited to %s, the plan asks for %s", l.name, l.text(l.got), l.text(l.asked))
		}
	}
	if asked.CPUs > got.CPUs {
		w.log.Note(true, "processors limited to %s, the plan asks for %s", fmt.Sprint(got.CPUs), fmt.Sprint(asked.CPUs))
	}
}
