package exec

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
)

// Who runs out of disk space is told how to get some, unless there is better advice.
func TestFailHelp(t *testing.T) {
	const room = "to make room: cic gc"
	for _, tt := range []struct {
		name string
		err  error
		help string
	}{
		{"own", fmt.Errorf("write the log: %w", syscall.ENOSPC), room},
		{"containerd's", &Error{Class: ClassSystem, Err: errors.New("create a container: write meta.db: no space left on device")}, room},
		{"quota", fmt.Errorf("mkdir: %w", syscall.EDQUOT), room},
		{"containerd's descriptors", errors.New("fork/exec /usr/sbin/runc: too many open files"), "let cic open more files (ulimit -n), or run fewer jobs at once (--jobs)"},
		{"descriptors", fmt.Errorf("open: %w", syscall.EMFILE), "let cic open more files (ulimit -n), or run fewer jobs at once (--jobs)"},
		{"with help", &Error{Class: ClassSystem, Help: "other", Err: syscall.ENOSPC}, "other"},
		{"other", errors.New("no such file"), ""},
	} {
		var res JobResult
		if fail(&res, tt.err); res.Help != tt.help || res.Class != ClassSystem {
			t.Errorf("%s: class %s, help %q", tt.name, res.Class, res.Help)
		}
	}
}
