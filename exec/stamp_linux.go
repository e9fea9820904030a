package exec

import (
	"fmt"
	"io/fs"
	"syscall"
)

// fileStamp changes whenever a file's content may have: size, times, inode. The
// time of the last change of the inode cannot be set by programs.
func fileStamp(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d %d %o %d.%d %d.%d", st.Dev, st.Ino, st.Mode, st.Ctim.Sec, st.Ctim.Nsec, st.Size, info.ModTime().UnixNano())
}

// inodeStamp is that of a file under all its names. Unlike [fileStamp] it does not
// change with the number of links, and a program can undo a change of it: it is for
// files that nobody writes to any more.
func inodeStamp(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d %d %d %d", st.Dev, st.Ino, st.Size, info.ModTime().UnixNano())
}
