//go:build linux

package containerd

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
)

// Without its shim a job has no exit code: that is the system's failure, told at
// once, and nothing of the job goes on.
func TestShimDies(t *testing.T) {
	requireContainerd(t)
	r := acquire(t, t.TempDir(), 0)
	j := begin(t, r)
	shims, err := processes(func(args []string) bool {
		return filepath.Base(args[0]) == shimProgram && option(args, "-address") == r.daemon.socket()
	})
	if err != nil {
		t.Fatal(err)
	}
	kill(t, unix.SIGKILL, shims...)
	<-j.ended
	if classOf(j.err) != exec.ClassSystem || !strings.Contains(fmt.Sprint(j.err), "the shim, a process that all containers of the run need, has died") {
		t.Errorf("exit code %d, %v", j.code, j.err)
	}
	if err := j.sandbox.Close(); err != nil {
		t.Error(err)
	}
	// The run's next jobs share another.
	next := begin(t, r)
	next.proceed(t)
	if err := errors.Join(next.err, next.sandbox.Close()); err != nil || next.code != 7 {
		t.Errorf("exit code %d, %v", next.code, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if got := controlGroups(t, r.cfg.RunID); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
}

// A shim that hangs costs its jobs, and not the run.
func TestShimHangs(t *testing.T) {
	requireContainerd(t)
	r := acquire(t, t.TempDir(), 0)
	j := begin(t, r)
	shims, err := processes(func(args []string) bool { return option(args, "-address") == r.daemon.socket() })
	if err != nil {
		t.Fatal(err)
	}
	kill(t, unix.SIGSTOP, shims...)
	j.proceed(t)
	if classOf(j.err) != exec.ClassSystem || !errors.Is(j.err, errSilence) {
		t.Errorf("exit code %d, %v", j.code, j.err)
	}
	if err := j.sandbox.Close(); err != nil {
		t.Error(err)
	}
	next := begin(t, r)
	next.proceed(t)
	if err := errors.Join(next.err, next.sandbox.Close()); err != nil || next.code != 7 {
		t.Errorf("exit code %d, %v", next.code, err)
	}
}

// A run's containers share one shim, which waits for the next of them.
func TestContainersShareAShim(t *testing.T) {
	requireContainerd(t)
	r := acquire(t, t.TempDir(), 0)
	for range 2 {
		first, second := begin(t, r), begin(t, r)
		shims, err := processes(func(args []string) bool { return option(args, "-address") == r.daemon.socket() })
		if err != nil || len(shims) != 1 {
			t.Errorf("shims %v, %v", shims, err)
		}
		for _, j := range []*running{first, second} {
			j.proceed(t)
			if err := errors.Join(j.err, j.sandbox.Close()); err != nil || j.code != 7 {
				t.Errorf("exit code %d, %v", j.code, err)
			}
		}
	}
}

// A shim may hang while the kernel knows that the job is over.
func TestExitIsNotAwaitedForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		close(gone)
		start := time.Now()
		status := (&exitWait{r: &Runtime{}}).await(t.Context(), make(chan client.ExitStatus), gone)
		if !errors.Is(status.Error(), errSilence) || time.Since(start) != silenceTimeout {
			t.Errorf("%v after %v", status.Error(), time.Since(start))
		}
	})
}
