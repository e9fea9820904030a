package golden

import (
	"os"
	"syscall"
)

// maxResident is the largest resident set of a process that ended, in bytes
// (getrusage(2), which counts in KiB).
func maxResident(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		panic("no resource usage")
	}
	return usage.Maxrss << 10
}
