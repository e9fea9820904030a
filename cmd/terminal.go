package cmd

import (
	"io"
	"os"
)

// colorTerminal reports whether w is a terminal that may be sent colour:
// NO_COLOR (no-color.org) and TERM=dumb switch it off.
func colorTerminal(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w)
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
