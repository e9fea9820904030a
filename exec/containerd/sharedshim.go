//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
)

// sharedShim is one shim for all containers of a run, which containerd knows as a
// sandbox. A shim for each takes two programs' start, which cost more than the
// container. The price: with a shim that is killed, all of the run's containers end.
type sharedShim struct {
	mu sync.Mutex
	// id is that of the sandbox, empty before the first container.
	id string
}

// runtimeOptions tell the shim which OCI runtime to use, and where that keeps its state.
func (r *Runtime) runtimeOptions() *options.Options {
	return &options.Options{BinaryName: r.ociRuntime, Root: r.daemon.runcRoot()}
}

// runtimeOptions are those of a container whose output is not its start program's:
// standard output and standard error keep their order.
func (s *sandbox) runtimeOptions() *options.Options {
	opts := s.r.runtimeOptions()
	if !s.own {
		opts.BinaryName = s.r.daemon.merged(s.r.ociRuntime)
	}
	return opts
}

// join returns the run's shim in the embedded containerd, and starts it first if
// need be. Another containerd may know no sandboxes, or no shim like ours.
func (r *Runtime) join(ctx context.Context) (string, error) {
	r.shim.mu.Lock()
	defer r.shim.mu.Unlock()
	if r.shim.id == "" {
		id := r.newID("shim")
		_, err := r.client.NewSandbox(ctx, id, client.WithSandboxRuntime(runtimeName, r.runtimeOptions()),
			client.WithSandboxSpec(&oci.Spec{}), client.WithSandboxLabels(map[string]string{labelRun: r.cfg.RunID}))
		if err != nil {
			return "", systemError("", fmt.Errorf("start the run's shim: %w", err))
		}
		r.shim.id = id
	}
	return r.shim.id, nil
}

// shimLost reports whether a shim is not there any more. Then the next container
// gets another.
func (r *Runtime) shimLost(id string) bool {
	if id == "" {
		return false
	}
	alive, err := processes(func(args []string) bool {
		// containerd removes what a dead one left by the same program.
		return option(args, "-id") == id && args[len(args)-1] != "delete"
	})
	if err != nil || len(alive) > 0 {
		return false
	}
	r.shim.mu.Lock()
	defer r.shim.mu.Unlock()
	if r.shim.id == id {
		r.shim.id = ""
	}
	return true
}

// removeShims ends the shims of a run and removes containerd's records of them. One
// may end before its answer is out, or have been killed before: [killShims], which
// comes after, makes sure.
func (r *Runtime) removeShims(ctx context.Context, run string) error {
	store := r.client.SandboxStore()
	list, err := store.List(ctx, fmt.Sprintf("labels.%q==%q", labelRun, run))
	if errdefs.IsNotImplemented(err) {
		return nil // an older containerd
	}
	if err != nil {
		return fmt.Errorf("list shims: %w", err)
	}
	var errs []error
	for _, sandbox := range list {
		_ = r.client.SandboxController(sandbox.Sandboxer).Shutdown(ctx, sandbox.ID)
		if err := store.Delete(ctx, sandbox.ID); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("forget shim %s: %w", sandbox.ID, err))
		}
	}
	return errors.Join(errs...)
}
