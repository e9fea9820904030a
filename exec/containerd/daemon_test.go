//go:build linux

package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/containerd/server"
)

// acquire takes part in the containerd of a state directory, for a run of its own.
func acquire(t *testing.T, dir string, idle time.Duration) *Runtime {
	t.Helper()
	r, err := Open(t.Context(), Config{
		StateDir: dir, RunID: fmt.Sprintf("d%d", runs.Add(1)), RunDir: t.TempDir(), Idle: idle,
		Images: []Mapping{{Pattern: "*", Kind: TargetHost}},
		Warn:   func(msg string) { t.Log("warning:", msg) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// die does to a runtime what the kernel does when its process dies.
func die(t *testing.T, r *Runtime) {
	t.Helper()
	r.closeOnce.Do(func() {})
	r.unguard()
	if err := errors.Join(r.daemon.users.Close(), r.client.Close()); err != nil {
		t.Fatal(err)
	}
}

func pids(t *testing.T, d *daemon) []int {
	t.Helper()
	list, err := d.processes()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDaemonIsSharedAndStopped(t *testing.T) {
	requireContainerd(t)
	dir := t.TempDir()
	first, second := acquire(t, dir, 0), acquire(t, dir, 0)
	started := pids(t, first.daemon)
	if len(started) != 1 {
		t.Fatalf("%d processes for two users", len(started))
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if got := pids(t, second.daemon); !slices.Equal(got, started) {
		t.Errorf("processes %v after the first of two users has gone, want %v", got, started)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if got := pids(t, second.daemon); len(got) > 0 {
		t.Errorf("processes %v are left", got)
	}
	if _, err := os.Stat(second.daemon.run); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", second.daemon.run, err)
	}
}

// A containerd that a killed run left behind is used on if it answers, and
// replaced if not.
func TestDaemonIsTakenOver(t *testing.T) {
	requireContainerd(t)
	dir := t.TempDir()
	killed := acquire(t, dir, 0)
	d := killed.daemon
	left := pids(t, d)
	die(t, killed)
	next := acquire(t, dir, 0)
	if got := pids(t, next.daemon); !slices.Equal(got, left) {
		t.Errorf("processes %v, want %v", got, left)
	}
	if err := os.Remove(d.socket()); err != nil {
		t.Fatal(err)
	}
	last := acquire(t, dir, 0)
	if got := pids(t, last.daemon); len(got) != 1 || got[0] == left[0] {
		t.Errorf("processes %v, want another than %v", got, left)
	}
}

// The last user removes what killed runs left running.
func TestDaemonStopSweeps(t *testing.T) {
	requireContainerd(t)
	dir := t.TempDir()
	killed, last := acquire(t, dir, 0), acquire(t, dir, 0)
	s, err := killed.Setup(t.Context(), job{}.spec(t))
	if err != nil {
		t.Fatal(err)
	}
	started, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		out := &signalWriter{line: "ready", then: func() { close(started) }}
		if code, err := s.Run(context.Background(), program("echo ready; sleep 1000"), out); err == nil && code != 137 {
			t.Errorf("it ended with exit code %d", code)
		}
	}()
	<-started
	die(t, killed)
	if got := processesOf(t, last.daemon.socket()); len(got) == 0 {
		t.Fatal("no shim is found by the socket on its command line")
	}
	if err := last.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	if got := processesOf(t, last.daemon.socket()); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
	if got := controlGroups(t, killed.cfg.RunID); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
}

// processesOf lists the command lines that hold a text.
func processesOf(t *testing.T, text string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && bytes.Contains(line, []byte(text)) {
			found = append(found, string(line))
		}
	}
	return found
}

// A run that ends while it looks whether containerd is well leaves it alone.
func TestReviveInterrupted(t *testing.T) {
	requireContainerd(t)
	r := acquire(t, t.TempDir(), 0)
	before, err := r.daemon.processes()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.daemon.revive(ctx); err == nil {
		t.Error("no error")
	}
	if after, err := r.daemon.processes(); err != nil || !slices.Equal(after, before) {
		t.Errorf("processes %v, before %v, %v", after, before, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestEmbeddedVersionHasNoHoles(t *testing.T) {
	if holes, err := Advisories("containerd", server.Version()); err != nil || len(holes) > 0 {
		t.Errorf("%s: %v, %v", server.Version(), holes, err)
	}
}

func TestContactErrors(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ socket, want, help string }{
		{filepath.Join(dir, "none.sock"), "no such file", "start containerd"},
		{stale, "connection refused", "nobody listens"},
		{file, "connection refused", "containerd"},
	} {
		_, err := contact(t.Context(), test.socket)
		var e *exec.Error
		if !errors.As(err, &e) || e.Class != exec.ClassSystem || !strings.Contains(e.Error(), test.want) || !strings.Contains(e.Error(), test.socket) || !strings.Contains(e.Help, test.help) {
			t.Errorf("%s: got %v, help %q", test.socket, err, e.Help)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %v", test.socket, err)
		}
	}
	for errno, help := range map[unix.Errno]string{unix.EACCES: "run as root", unix.ENOENT: "start containerd", unix.EPROTO: "healthy"} {
		var e *exec.Error
		if err := contactError("/s", errno); !errors.As(err, &e) || !strings.Contains(e.Help, help) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	// What was asked for is not replaced by something else.
	if _, err := Open(t.Context(), Config{StateDir: dir, Address: "unix://" + stale}); classOf(err) != exec.ClassSystem {
		t.Errorf("open: %v", err)
	}
}

// A socket on which nobody speaks does not hang the caller for longer than it waits.
func TestContactSilence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		// The first connection is the plain one.
		for range 2 {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
		cancel()
		<-t.Context().Done()
	}()
	if _, err := contact(ctx, path); classOf(err) != exec.ClassSystem {
		t.Errorf("got %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, cfg := range []Config{
		{StateDir: "relative"},
		{StateDir: "/s", RunID: "../x"},
		{StateDir: "/s", RunID: "a/b"},
		{StateDir: "/s", Network: "bridged"},
	} {
		if err := cfg.complete(); err == nil {
			t.Errorf("accepted: %+v", cfg)
		}
	}
}
