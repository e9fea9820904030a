package cmd

import (
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/containerd"
)

// openConsole makes a console of the app's streams. If a shell is to be used by a
// person it is a terminal, which is raw until done: what is typed is for the
// shell. A terminal need not know its size, as on a serial line.
func openConsole(c *cli.Context, forPerson bool) (con containerd.Console, done func(), err error) {
	con = containerd.Console{Stdin: c.App.Reader, Stdout: c.App.Writer, Stderr: c.App.ErrWriter}
	con.Note = func(warning bool, text string) {
		if warning {
			warner(c.App.ErrWriter)(text)
		}
	}
	in, ok := c.App.Reader.(*os.File)
	if !forPerson || !ok || !interactive(c.App.Writer) {
		return con, func() {}, nil
	}
	fd := int(in.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if errors.Is(err, unix.ENOTTY) {
		return con, func() {}, nil
	} else if err != nil {
		return con, nil, fmt.Errorf("terminal: %w", err)
	}
	// As cfmakeraw(3), and output too is the container's terminal's.
	raw := *before
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return con, nil, fmt.Errorf("terminal: %w", err)
	}
	changed, resized, stop := make(chan os.Signal, 1), make(chan containerd.WindowSize), make(chan struct{})
	signal.Notify(changed, unix.SIGWINCH)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-changed:
				columns, rows := terminalSize(c.App.Writer)
				select {
				case <-stop:
					return
				case resized <- containerd.WindowSize{Columns: uint32(columns), Rows: uint32(rows)}:
				}
			}
		}
	}()
	con.Terminal, con.Resized = true, resized
	columns, rows := terminalSize(c.App.Writer)
	con.Size = containerd.WindowSize{Columns: uint32(columns), Rows: uint32(rows)}
	return con, func() {
		signal.Stop(changed)
		close(stop)
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, before); err != nil {
			warner(c.App.ErrWriter)(fmt.Sprintf("the terminal is left in raw mode; stty sane mends it: %v", err))
		}
	}, nil
}
