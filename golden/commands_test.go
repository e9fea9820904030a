package golden

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// commands are what the scripts can do beside testscript's own commands.
func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"answers":    answers,
		"article":    article,
		"containerd": ownContainerd,
		"exits":      exits,
		"memory":     memory,
		"nothing":    nothingLeft,
		"overlap":    overlap,
		"registry":   ownRegistry,
		"room":       room,
		"signals":    signals,
		"silent":     silent,
	}
}

// exits runs a program, as exec does, that must end with an exit code:
//
//	exits CODE PROGRAM [ARGUMENT...]
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT...]")
	}
	checkExit(ts, args[0], ts.Exec(args[1], args[2:]...))
}

// checkExit fails unless err, of a program that ran, tells the exit code.
func checkExit(ts *testscript.TestScript, want string, err error) {
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
}

// signalsPatience is how long a program may take to print what is waited for: a
// guard against a test that hangs.
const signalsPatience = 1 * time.Minute

// signals runs a program and sends it signals, each once what it has printed
// since the signal before matches a pattern. It must end with an exit code:
//
//	signals CODE SIGNAL PATTERN [SIGNAL PATTERN]... -- PROGRAM [ARGUMENT...]
func signals(ts *testscript.TestScript, neg bool, args []string) {
	known := map[string]os.Signal{"HUP": syscall.SIGHUP, "INT": os.Interrupt, "KILL": os.Kill, "TERM": syscall.SIGTERM}
	usage := func() { ts.Fatalf("usage: signals CODE SIGNAL PATTERN [SIGNAL PATTERN]... -- PROGRAM [ARGUMENT...]") }
	if neg || len(args) < 5 {
		usage()
	}
	code, args := args[0], args[1:]
	var steps []step
	for ; len(args) > 1 && args[0] != "--"; args = args[2:] {
		sig, ok := known[args[0]]
		if !ok {
			ts.Fatalf("unknown signal %q", args[0])
		}
		pattern, err := regexp.Compile("(?ms)" + args[1])
		ts.Check(err)
		steps = append(steps, step{sig, pattern})
	}
	if len(args) < 2 || args[0] != "--" {
		usage()
	}
	cmd := command(ts, args[1:])
	w := newWatched()
	cmd.Stdout = io.MultiWriter(w, ts.Stdout())
	cmd.Stderr = io.MultiWriter(w, ts.Stderr())
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		w.end()
		ended <- err
	}()
	guard := time.AfterFunc(signalsPatience, w.end)
	defer guard.Stop()
	for _, s := range steps {
		if !w.wait(s.pattern) {
			err := errors.Join(cmd.Process.Kill(), <-ended)
			ts.Fatalf("the program (%v) has not printed %q", err, s.pattern)
		}
		ts.Check(cmd.Process.Signal(s.signal))
	}
	checkExit(ts, code, <-ended)
}

// step is a signal to send once a pattern was printed.
type step struct {
	signal  os.Signal
	pattern *regexp.Regexp
}

// watched is a program's output, on which one can wait.
type watched struct {
	mu    sync.Mutex
	cond  sync.Cond
	text  []byte
	ended bool
}

func newWatched() *watched {
	w := &watched{}
	w.cond.L = &w.mu
	return w
}

// Write implements [io.Writer].
func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	w.cond.Broadcast()
	return len(p), nil
}

func (w *watched) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.cond.Broadcast()
}

// wait waits for a match and drops the text up to its end. It is false if the
// output ended without one.
func (w *watched) wait(pattern *regexp.Regexp) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if at := pattern.FindIndex(w.text); at != nil {
			w.text = w.text[at[1]:]
			return true
		}
		if w.ended {
			return false
		}
		w.cond.Wait()
	}
}

// silent opens a port on the loopback that accepts connections and never says a
// word, until the script ends, and sets a variable to its HOST:PORT:
//
//	silent NAME
func silent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: silent NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ts.Check(l.Close()) })
	// Nobody accepts: the kernel does so on its own, up to the backlog.
	ts.Setenv(args[0], l.Addr().String())
}

// memory runs cic, which must succeed, and checks that its resident set never was
// larger than so many MiB. Its output goes to a file:
//
//	memory MIB FILE cic [ARGUMENT...]
func memory(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: memory MIB FILE cic [ARGUMENT...]")
	}
	limit, err := strconv.Atoi(args[0])
	ts.Check(err)
	out, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	cmd := command(ts, args[2:])
	cmd.Stdout, cmd.Stderr = out, ts.Stderr()
	got, runErr, err := runMeasured(cmd)
	ts.Check(errors.Join(runErr, err, out.Close()))
	if limit *= raceMemory; got > limit {
		ts.Fatalf("the program took %d MiB of memory, more than %d", got, limit)
	}
}

// command is a program with the script's directory and environment, which
// testscript gives only to programs that it runs itself.
func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	ts.Check(ts.Exec("env", "-0"))
	env := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\x00"), "\x00")
	path := args[0]
	if !strings.Contains(path, "/") {
		ts.Check(ts.Exec("which", path))
		path = strings.TrimSpace(ts.ReadFile("stdout"))
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), env
	cmd.Stdin = bytes.NewReader(nil)
	return cmd
}
