//go:build linux

package containerd

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
)

// beginService makes a job with a service that says ready, waits for the file go in
// the project and says more than a FIFO holds before it ends. What is noted of it
// comes through told.
func beginService(t *testing.T, r *Runtime) (s exec.Sandbox, goOn string, out *safeBuffer, told <-chan string) {
	t.Helper()
	spec := job{}.spec(t)
	service := command(serviceOf("one"), `echo ready; while [ ! -e /builds/project/go ]; do sleep 0.05; done
		i=0; while [ $i -lt 20000 ]; do echo "0123456789012345678901234567890123456789 $i"; i=$((i+1)); done; exit 9`)
	spec.Services = []exec.Service{service}
	s, err := r.Setup(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	notes := make(chan string, 4)
	if err := s.Start(t.Context(), func(_ int, text string) { notes <- text }); err != nil {
		t.Fatal(err)
	}
	out = service.Output.(*safeBuffer)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(out.String(), "ready"); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			t.Fatalf("the service says %q", out)
		}
	}
	return s, filepath.Join(spec.Builds, "project", "go"), out, notes
}

// A service outlives containerd, as its job does: what it prints arrives, and how it
// ends is told.
func TestDaemonDiesWhileServicesRun(t *testing.T) {
	requireContainerd(t)
	r := acquire(t, t.TempDir(), 0)
	_, goOn, out, told := beginService(t, r)
	kill(t, unix.SIGKILL, pids(t, r.daemon)...)
	if err := r.daemon.revive(context.Background()); err != nil {
		t.Fatal(err)
	}
	select {
	case text := <-told:
		t.Fatalf("told as containerd died: %s", text)
	case <-time.After(2 * drainTimeout): // by when its output is not read any more, if it was taken for dead
	}
	if err := writeFile(goOn, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if text := <-told; text != "ended with exit code 9 before the job did" {
		t.Error(text)
	}
	if !strings.HasSuffix(out.String(), " 19999\n") {
		t.Errorf("%d bytes of its output arrived", len(out.String()))
	}
}

// With the shim services end too, and that is said as of a job.
func TestShimOfServicesDies(t *testing.T) {
	requireContainerd(t)
	r := acquire(t, t.TempDir(), 0)
	_, _, _, told := beginService(t, r)
	if err := killShims(func(args []string) bool { return option(args, "-address") == r.daemon.socket() }); err != nil {
		t.Fatal(err)
	}
	if text := <-told; !strings.HasPrefix(text, "is gone: the shim, a process that all containers of the run need, has died") {
		t.Error(text)
	}
}
