package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
)

// openTerminal makes a pseudo-terminal: what is written to the terminal comes out
// of screen.
func openTerminal(t *testing.T, columns, rows uint16) (terminal, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	fd := int(screen.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		t.Fatal(err)
	}
	return terminal, screen
}

// TestLiveOnTerminal runs the views on a real terminal: the live one by default,
// and not where it is not wanted.
func TestLiveOnTerminal(t *testing.T) {
	for _, test := range []struct {
		name string
		env  map[string]string
		args []string
		live bool
	}{
		{"auto", nil, nil, true},
		{"plain", nil, []string{"--progress=plain"}, false},
		{"CI", map[string]string{"CI": "true"}, nil, false},
		{"CI, asked for", map[string]string{"CI": "true"}, []string{"--progress=live"}, true},
		{"dumb", map[string]string{"TERM": "dumb"}, []string{"--progress=live"}, false},
		{"no colour", map[string]string{"NO_COLOR": "1"}, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("CI", "")
			t.Setenv("NO_COLOR", "")
			t.Setenv("TERM", "xterm")
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			terminal, screen := openTerminal(t, 60, 20)
			text := showOn(t, terminal, screen, test.args, test.live)
			if !strings.Contains(text, "hello\r\n") || strings.Contains(text, "1 running, ") != test.live {
				t.Errorf("shown: %q", text)
			}
			if colour := strings.Contains(text, "\x1b[1m"); colour != (test.env["NO_COLOR"] == "" && test.env["TERM"] == "") {
				t.Errorf("colour is %v: %q", colour, text)
			}
		})
	}
}

// showOn shows a run on a terminal and returns what came to it. If it is live, it
// waits for what is redrawn.
func showOn(t *testing.T, terminal, screen *os.File, args []string, live bool) string {
	t.Helper()
	var mu sync.Mutex
	var text strings.Builder
	seen := make(chan struct{})
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		told := false
		for {
			n, err := screen.Read(buf)
			mu.Lock()
			text.Write(buf[:n])
			if all := text.String(); !told && strings.Contains(all, "1 running, ") {
				told = true
				close(seen)
			}
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	app := newApp(os.Stdin, terminal, io.Discard)
	command := find(app.Commands, "exec")
	command.Action = func(c *cli.Context) error {
		v, err := openViews(c, nil)
		if err != nil {
			return err
		}
		for _, e := range []exec.Event{
			{Type: exec.EventRunStarted, Jobs: 1}, {Type: exec.EventJobStarted, Job: "a"}, {Type: exec.EventJobOutput, Job: "a", Text: "hello"},
		} {
			e.Time = time.Now()
			v.Observe(e)
		}
		if live {
			<-seen
		}
		return v.close(c, nil, nil, nil)
	}
	if err := app.RunContext(context.Background(), append([]string{"cic", "exec"}, args...)); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	<-read // the other end is closed: EIO
	mu.Lock()
	defer mu.Unlock()
	return text.String()
}
