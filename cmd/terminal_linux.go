package cmd

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// terminalSize is the size of the terminal w in characters, 0 if it is none.
func terminalSize(w io.Writer) (columns, rows int) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(size.Col), int(size.Row)
}
