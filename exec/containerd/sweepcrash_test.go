//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// atWork are the processes of a run that work on its containers.
func atWork(t *testing.T, run string) []int {
	t.Helper()
	list, err := processes(func(args []string) bool {
		return slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, idPrefix(run)) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Of a sweep in which containerd dies nothing is lost but time: the next one, by
// whomever, ends it. Two at once do not harm each other.
func TestDaemonDiesDuringASweep(t *testing.T) {
	requireContainerd(t)
	dir := t.TempDir()
	dead, r, other := acquire(t, dir, 0), acquire(t, dir, 0), acquire(t, dir, 0)
	for range 3 {
		if _, err := dead.Setup(t.Context(), job{}.spec(t)); err != nil {
			t.Fatal(err)
		}
	}
	j := begin(t, other)
	die(t, dead)
	var sweeps sync.WaitGroup
	for _, by := range []*Runtime{r, other} {
		sweeps.Go(func() {
			// It may fail, as containerd does.
			if err := by.Sweep(context.Background(), []string{dead.cfg.RunID}); err != nil {
				t.Log("interrupted:", err)
			}
		})
	}
	kill(t, unix.SIGKILL, pids(t, r.daemon)...)
	sweeps.Wait()
	if err := r.daemon.revive(context.Background()); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	for _, by := range []*Runtime{r, other} {
		both.Go(func() {
			if err := by.Sweep(context.Background(), []string{dead.cfg.RunID}); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	// containerd has a program of its own clear up after a shim that was killed, which
	// may still be about to end.
	for deadline := time.Now().Add(deadShimTimeout); len(atWork(t, dead.cfg.RunID)) > 0 && time.Now().Before(deadline); {
		time.Sleep(pollInterval)
	}
	for _, pid := range atWork(t, dead.cfg.RunID) {
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		t.Errorf("left: process %d: %q, %v", pid, args, err)
	}
	if got := controlGroups(t, dead.cfg.RunID); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
	for _, pattern := range []string{r.daemon.runcRoot() + "/" + Namespace, r.daemon.state() + "/io.containerd.runtime.v2.task/" + Namespace} {
		if left, err := filepath.Glob(filepath.Join(pattern, idPrefix(dead.cfg.RunID)+"*")); err != nil || len(left) > 0 {
			t.Errorf("left: %q, %v", left, err)
		}
	}
	// The other run's job has not noticed.
	j.proceed(t)
	if err := errors.Join(j.err, j.sandbox.Close()); err != nil || j.code != 7 {
		t.Errorf("exit code %d, %v", j.code, err)
	}
}
