//go:build linux

package containerd

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
