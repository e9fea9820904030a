package golden

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// answers runs a program on a terminal of its own and types a line each time that
// what it has printed since the line before matches a pattern. It must end with an
// exit code:
//
//	answers CODE LINE PATTERN [LINE PATTERN]... -- PROGRAM [ARGUMENT...]
func answers(ts *testscript.TestScript, neg bool, args []string) {
	usage := func() { ts.Fatalf("usage: answers CODE LINE PATTERN [LINE PATTERN]... -- PROGRAM [ARGUMENT...]") }
	if neg || len(args) < 5 {
		usage()
	}
	code, args := args[0], args[1:]
	type answer struct {
		line    string
		pattern *regexp.Regexp
	}
	var steps []answer
	for ; len(args) > 1 && args[0] != "--"; args = args[2:] {
		pattern, err := regexp.Compile("(?ms)" + args[1])
		ts.Check(err)
		steps = append(steps, answer{args[0], pattern})
	}
	if len(args) < 2 || args[0] != "--" {
		usage()
	}
	cmd := command(ts, args[1:])
	here, there, err := openTerminal()
	ts.Check(err)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = there, there, there
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = errors.Join(cmd.Start(), there.Close())
	ts.Check(err)
	w := newWatched()
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.MultiWriter(w, ts.Stdout()), here)
		w.end()
		read <- err
	}()
	guard := time.AfterFunc(signalsPatience, w.end)
	defer guard.Stop()
	for _, s := range steps {
		if !w.wait(s.pattern) {
			err := errors.Join(cmd.Process.Kill(), cmd.Wait())
			ts.Fatalf("the program (%v) has not printed %q", err, s.pattern)
		}
		_, err := fmt.Fprintln(here, s.line)
		ts.Check(err)
	}
	ended := cmd.Wait()
	if err := <-read; !errors.Is(err, syscall.EIO) { // which says that nobody has it open any more
		ts.Check(err)
	}
	ts.Check(here.Close())
	checkExit(ts, code, ended)
}

// openTerminal returns the two ends of a new terminal, see pty(7).
func openTerminal() (here, there *os.File, err error) {
	here, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	number := 0
	if err = unix.IoctlSetPointerInt(int(here.Fd()), unix.TIOCSPTLCK, 0); err == nil {
		number, err = unix.IoctlGetInt(int(here.Fd()), unix.TIOCGPTN)
	}
	if err == nil {
		there, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, here.Close())
	}
	return here, there, nil
}
