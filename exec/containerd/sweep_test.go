//go:build linux

package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
)

// leftovers lists what containerd and the kernel still hold of a run.
func leftovers(t testing.TB, r *Runtime, run string) []string {
	t.Helper()
	k, err := keeper() // r itself may be closed.
	if err != nil {
		t.Fatal(err)
	}
	ctx := namespaces.WithNamespace(context.Background(), Namespace)
	filter := fmt.Sprintf("labels.%q==%q", labelRun, run)
	var left []string
	containers, err := k.client.Containers(ctx, filter)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers {
		left = append(left, "container "+c.ID())
	}
	err = k.client.SnapshotService(r.snapshotter).Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		left = append(left, "snapshot "+info.Name)
		return nil
	}, filter)
	if err != nil {
		t.Fatal(err)
	}
	leases, err := k.client.LeasesService().List(ctx, filter)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leases {
		left = append(left, "lease "+l.ID)
	}
	return append(left, controlGroups(t, run)...)
}

// controlGroups lists those of a run, in all hierarchies.
func controlGroups(t testing.TB, run string) []string {
	t.Helper()
	roots, err := cgroupRoots()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, root := range roots {
		err := filepath.WalkDir(filepath.Join(root, "cic", run), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				found = append(found, "control group "+path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// requireNothing makes sure that a run whose sandboxes are closed has left
// nothing but its lease and the parents of its control groups.
func requireNothing(t testing.TB, r *Runtime) {
	t.Helper()
	for _, left := range leftovers(t, r, r.cfg.RunID) {
		if strings.HasPrefix(left, "container") || strings.HasPrefix(left, "snapshot") {
			t.Errorf("left: %s", left)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	r := open(t, nil)
	s := setup(t, r, job{})
	var out bytes.Buffer
	if _, err := s.Run(t.Context(), program("sleep 1000 & echo x"), &out); err != nil {
		t.Fatal(err)
	}
	unused := setup(t, r, job{})
	if left := leftovers(t, r, r.cfg.RunID); len(left) == 0 {
		t.Fatal("the test finds nothing of a living run")
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := unused.Close(); err != nil {
			t.Error(err)
		}
	}
	requireNothing(t, r)
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if left := leftovers(t, r, r.cfg.RunID); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	entries, err := os.ReadDir(r.cfg.RunDir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left in the run's directory: %v, %v", entries, err)
	}
}

// A run that was killed leaves its containers, running. Another removes them,
// and not those of the living.
func TestSweep(t *testing.T) {
	dead, alive, sweeper := open(t, nil), open(t, nil), open(t, nil)
	start := func(r *Runtime) chan error {
		s, err := r.Setup(t.Context(), job{}.spec(t))
		if err != nil {
			t.Fatal(err)
		}
		started, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			out := &signalWriter{line: "ready", then: func() { close(started) }}
			code, err := s.Run(t.Context(), program("echo ready; sleep 1000"), out)
			if err == nil && code != 137 {
				err = fmt.Errorf("exit code %d", code)
			}
			ended <- err
		}()
		<-started
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return ended
	}
	deadEnded, aliveEnded := start(dead), start(alive)
	for range 2 {
		if err := sweeper.Sweep(t.Context(), []string{dead.cfg.RunID}); err != nil {
			t.Fatal(err)
		}
	}
	if left := leftovers(t, dead, dead.cfg.RunID); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	<-deadEnded
	if left := leftovers(t, alive, alive.cfg.RunID); len(left) < 3 {
		t.Errorf("of the living run only %v is left", left)
	}
	select {
	case err := <-aliveEnded:
		t.Errorf("the living run's job ended: %v", err)
	default:
	}
	if err := sweeper.Sweep(t.Context(), []string{alive.cfg.RunID}); err != nil {
		t.Error(err)
	}
	<-aliveEnded
	if err := sweeper.Sweep(t.Context(), []string{"../../etc"}); err == nil {
		t.Error("a path was accepted as a run id")
	}
}

// What a run leaves that was killed while containerd made a container for it:
// processes in its control groups, and a shim, that containerd knows nothing of.
func TestSweepForgotten(t *testing.T) {
	r := open(t, nil)
	const run = "dead"
	roots, err := cgroupRoots()
	if err != nil {
		t.Fatal(err)
	}
	group := filepath.Join(roots[0], "cic", run, "job")
	if err := os.MkdirAll(group, 0o755); err != nil {
		t.Fatal(err)
	}
	member := start(t, "/bin/sleep", "sleep", "1000")
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(member.pid)), 0o644); err != nil {
		t.Fatal(err)
	}
	shim := func(namespace, run string) process {
		return start(t, "/bin/sh", "/usr/bin/"+shimProgram, "-c", "sleep 1000; :",
			"-namespace", namespace, "-id", idPrefix(run)+"job-1", "-address", "/run/x.sock")
	}
	lost, others, foreign := shim(Namespace, run), shim(Namespace, "alive"), shim("k8s.io", run)
	if err := r.Sweep(t.Context(), []string{run}); err != nil {
		t.Fatal(err)
	}
	<-member.ended
	<-lost.ended
	for _, p := range []process{others, foreign} {
		select {
		case <-p.ended:
			t.Errorf("the sweep ended process %d of another", p.pid)
		default:
		}
	}
	if left := controlGroups(t, run); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// process is a program that a test runs.
type process struct {
	pid   int
	ended chan struct{}
}

// start runs a program until the test ends. Its arguments begin with its name.
func start(t *testing.T, path string, args ...string) process {
	t.Helper()
	requireContainerd(t)
	cmd := &osexec.Cmd{Path: path, Args: args, Dir: "/", SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := process{pid: cmd.Process.Pid, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // killed, one way or the other
		close(p.ended)
	}()
	t.Cleanup(func() {
		// The whole group, as a shell's child outlives it.
		if err := syscall.Kill(-p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
		<-p.ended
	})
	return p
}
