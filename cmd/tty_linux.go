package cmd

import (
	"os"

	"golang.org/x/sys/unix"
)

// interactive reports whether a stream of the process is a terminal, on which a
// person can be asked. /dev/null, a character device too, is none.
func interactive(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
