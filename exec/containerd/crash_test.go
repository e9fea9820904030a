//go:build linux

package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
)

// running is a job of the tests at work.
type running struct {
	sandbox exec.Sandbox
	spec    exec.Spec
	out     *lockedBuffer
	code    int
	err     error
	ended   chan struct{}
}

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// begin starts a job that says ready and goes on once its project holds the file go.
func begin(t *testing.T, r *Runtime) *running {
	t.Helper()
	j := &running{spec: job{}.spec(t), out: &lockedBuffer{}, ended: make(chan struct{})}
	var err error
	if j.sandbox, err = r.Setup(t.Context(), j.spec); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		defer close(j.ended)
		out := io.MultiWriter(j.out, &signalWriter{line: "ready", then: func() { close(ready) }})
		j.code, j.err = j.sandbox.Run(context.Background(),
			program("echo ready; while [ ! -e go ]; do sleep 0.05; done; echo done; exit 7"), out)
	}()
	<-ready
	return j
}

// proceed lets the job end.
func (j *running) proceed(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(j.spec.Builds, "project", "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	<-j.ended
}

func kill(t *testing.T, sig unix.Signal, pids ...int) {
	t.Helper()
	if len(pids) == 0 {
		t.Fatal("no process to kill")
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
	}
}

// The jobs outlive their containerd, a run starts another, and learns how its jobs
// ended, at once or while there was none.
func TestDaemonDiesWhileJobsRun(t *testing.T) {
	requireContainerd(t)
	dir := t.TempDir()
	r, other := acquire(t, dir, 0), acquire(t, dir, 0)
	j := begin(t, r)
	first := pids(t, r.daemon)
	kill(t, unix.SIGKILL, first...)
	j.proceed(t)
	if j.err != nil || j.code != 7 || !strings.Contains(j.out.String(), "done") {
		t.Errorf("exit code %d, %v, output %q", j.code, j.err, j.out)
	}
	if err := j.sandbox.Close(); err != nil {
		t.Error(err)
	}
	if got := pids(t, r.daemon); len(got) != 1 || slices.Equal(got, first) {
		t.Errorf("processes %v after the death of %v", got, first)
	}
	// Both can go on.
	for _, r := range []*Runtime{r, other} {
		j := begin(t, r)
		j.proceed(t)
		if err := errors.Join(j.err, j.sandbox.Close()); err != nil || j.code != 7 {
			t.Errorf("exit code %d, %v", j.code, err)
		}
	}
}

// A job starts exactly once where containerd dies before it answers the call to start it.
func TestDaemonDiesWhileAJobStarts(t *testing.T) {
	requireContainerd(t)
	r := acquire(t, t.TempDir(), 0)
	spec := job{}.spec(t)
	sandbox, err := r.Setup(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	first := pids(t, r.daemon)
	kill(t, unix.SIGSTOP, first...)
	time.AfterFunc(200*time.Millisecond, func() { kill(t, unix.SIGKILL, first...) })
	var out lockedBuffer
	code, err := sandbox.Run(t.Context(), program("echo started; exit 7"), &out)
	if err := errors.Join(err, sandbox.Close()); err != nil || code != 7 || out.String() != "started\n" {
		t.Errorf("exit code %d, %v, output %q", code, err, out.String())
	}
}

// The same where that interrupts the OCI runtime, before it says that the container
// is started.
func TestDaemonDiesAsAJobIsStarted(t *testing.T) {
	requireContainerd(t)
	r := acquire(t, t.TempDir(), 0)
	// It leaves the FIFO by which it knows a container that is not started, and hangs
	// before its answer is out.
	slow := filepath.Join(t.TempDir(), "runc")
	script := fmt.Sprintf(`#!/bin/sh
case " $* " in *" start "*) ;; *) exec %[1]s "$@" ;; esac
[ ! -e %[2]s.began ] || exec %[1]s "$@"
for id; do :; done
fifo=%[3]s/$id/exec.fifo
ln "$fifo" "$fifo.kept" && %[1]s "$@" && mv "$fifo.kept" "$fifo" && echo >%[2]s.began
exec sleep 1000
`, r.ociRuntime, slow, filepath.Join(r.daemon.runcRoot(), Namespace))
	if err := writeFile(slow, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	r.ociRuntime = slow
	sandbox, err := r.Setup(t.Context(), job{}.spec(t))
	if err != nil {
		t.Fatal(err)
	}
	first := pids(t, r.daemon)
	go func() {
		for { // the run's end is awaited below
			if _, err := os.Stat(slow + ".began"); err == nil {
				break
			}
			time.Sleep(pollInterval)
		}
		kill(t, unix.SIGKILL, first...)
	}()
	var out lockedBuffer
	code, err := sandbox.Run(t.Context(), program("echo started; sleep 3; exit 7"), &out)
	if err := errors.Join(err, sandbox.Close()); err != nil || code != 7 || out.String() != "started\n" {
		t.Errorf("exit code %d, %v, output %q", code, err, out.String())
	}
}

// A pull goes on with the next containerd.
func TestDaemonDiesDuringAPull(t *testing.T) {
	requireContainerd(t)
	reg := newRegistry(t, map[string]ggcr.Image{"a:1": uniqueImage(t)})
	r := acquire(t, t.TempDir(), 0)
	r.cfg.Images = nil
	first := pids(t, r.daemon)
	var once sync.Once
	reg.before = func(_ http.ResponseWriter, request *http.Request) bool {
		if strings.Contains(request.URL.Path, "/blobs/") {
			once.Do(func() { kill(t, unix.SIGKILL, first...) })
		}
		return false
	}
	if out, code := run(t, r, job{image: reg.host + "/a:1", script: "echo pulled"}); out != "pulled\n" || code != 0 {
		t.Errorf("got %q, %d", out, code)
	}
	if got := pids(t, r.daemon); slices.Equal(got, first) {
		t.Error("containerd was not killed")
	}
}

// One that was stopped in order leaves the jobs running, too.
func TestDaemonStopsWhileJobsRun(t *testing.T) {
	requireContainerd(t)
	r := acquire(t, t.TempDir(), 0)
	j := begin(t, r)
	kill(t, unix.SIGTERM, pids(t, r.daemon)...)
	j.proceed(t)
	if err := errors.Join(j.err, j.sandbox.Close()); err != nil || j.code != 7 {
		t.Errorf("exit code %d, %v", j.code, err)
	}
}

// One that hangs is replaced by the run that it keeps waiting.
func TestDaemonHangsWhileJobsRun(t *testing.T) {
	requireContainerd(t)
	r := acquire(t, t.TempDir(), 0)
	j := begin(t, r)
	first := pids(t, r.daemon)
	kill(t, unix.SIGSTOP, first...)
	j.proceed(t)
	if err := errors.Join(j.err, j.sandbox.Close()); err != nil || j.code != 7 {
		t.Errorf("exit code %d, %v", j.code, err)
	}
	if got := pids(t, r.daemon); len(got) != 1 || slices.Equal(got, first) {
		t.Errorf("processes %v after %v had hung", got, first)
	}
}

// A run that comes when the containerd hangs replaces it, and the others go on.
func TestDaemonThatHangsIsReplaced(t *testing.T) {
	requireContainerd(t)
	dir := t.TempDir()
	r := acquire(t, dir, 0)
	j := begin(t, r)
	first := pids(t, r.daemon)
	kill(t, unix.SIGSTOP, first...)
	acquire(t, dir, 0)
	if got := pids(t, r.daemon); len(got) != 1 || slices.Equal(got, first) {
		t.Errorf("processes %v after %v had hung", got, first)
	}
	j.proceed(t)
	if err := errors.Join(j.err, j.sandbox.Close()); err != nil || j.code != 7 {
		t.Errorf("exit code %d, %v", j.code, err)
	}
}

func TestProcessEnd(t *testing.T) {
	child := start(t, "/bin/sleep", "sleep", "1000")
	ended, stop, err := processEnd(child.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	select {
	case <-ended:
		t.Fatal("it is still alive")
	default:
	}
	kill(t, unix.SIGKILL, child.pid)
	<-ended
	<-child.ended
	again, stopAgain, err := processEnd(child.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer stopAgain()
	<-again
	_, stopSelf, err := processEnd(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	stopSelf()
}
