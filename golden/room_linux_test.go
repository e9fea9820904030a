package golden

import (
	"fmt"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// room makes a directory a disk of its own on which so much can still be written: a
// tmpfs, whose size follows what is on it. It is unmounted with the script's end.
//
//	room DIR KIBIBYTES
func room(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: room DIR KIBIBYTES")
	}
	dir := ts.MkAbs(args[0])
	free, err := strconv.ParseUint(args[1], 10, 40)
	ts.Check(err)
	var fs syscall.Statfs_t
	var st, parent syscall.Stat_t
	ts.Check(syscall.Stat(dir, &st))
	ts.Check(syscall.Stat(dir+"/..", &parent))
	ts.Check(syscall.Statfs(dir, &fs))
	var flags uintptr = syscall.MS_REMOUNT
	used := (fs.Blocks - fs.Bfree) * uint64(fs.Bsize)
	if st.Dev == parent.Dev {
		flags, used = 0, 0
		ts.Defer(func() { ts.Check(syscall.Unmount(dir, syscall.MNT_DETACH)) })
	}
	ts.Check(syscall.Mount("none", dir, "tmpfs", flags, fmt.Sprintf("size=%d", used+free<<10)))
}
