// Package doctor finds out whether this machine can run jobs, and how well. It
// changes nothing but the state directory, which it makes as a run would.
package doctor

import "slices"

// Level is what a check found.
type Level string

// The levels: all is well; runs work, but not as they should; no run can work.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Check is the result of one check.
type Check struct {
	// Name is the same in all versions: kernel, root, cgroups, ...
	Name  string `json:"name"`
	Level Level  `json:"level"`
	// Text says what was found, Help what to do about it; Help may be empty.
	Text string `json:"text"`
	Help string `json:"help,omitempty"`
}

// Config says what a run would use.
type Config struct {
	// Entry is why this program, which root has not started, could not become root of a
	// user namespace.
	Entry error
	// Address is the socket of a containerd; empty for the one in cic.
	Address string
	// StateDir is an absolute path.
	StateDir string
}

// Able reports whether runs can work.
func Able(checks []Check) bool {
	return !slices.ContainsFunc(checks, func(c Check) bool { return c.Level == Fail })
}
