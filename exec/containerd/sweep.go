//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/network"
)

// Sweep removes everything that dead runs, given by their ids, left in
// containerd and in the kernel: processes, containers, snapshots, leases, control
// groups, links and packet rules. It goes on after an error and returns all of
// them. Runs that still live must not be named; mounts and files under a run's
// directory are its owner's.
func (r *Runtime) Sweep(ctx context.Context, dead []string) error {
	return errors.Join(network.Sweep(dead), r.sweepContainers(ctx, dead))
}

// sweepContainers is Sweep without the network.
func (r *Runtime) sweepContainers(ctx context.Context, dead []string) error {
	ctx = namespaces.WithNamespace(ctx, Namespace)
	var errs []error
	for _, run := range dead {
		if !safeID.MatchString(run) {
			errs = append(errs, fmt.Errorf("sweep: run id %q is not safe as a file name", run))
			continue
		}
		if err := r.sweepMatching(ctx, fmt.Sprintf("labels.%q==%q", labelRun, run)); err != nil {
			errs = append(errs, fmt.Errorf("sweep run %s: %w", run, err))
		}
		errs = append(errs, r.removeShims(ctx, run))
		shims := killShims(func(args []string) bool { return strings.HasPrefix(option(args, "-id"), idPrefix(run)) })
		errs = append(errs, shims, r.deleteLeases(ctx, run), removeCgroups(ctx, filepath.Join("cic", run)), r.removeHalfMade(run))
	}
	return errors.Join(errs...)
}

// removeHalfMade removes the containers of a run that the OCI runtime was about to
// make as their shim was killed: it goes on, and containerd does not know of them.
func (r *Runtime) removeHalfMade(run string) error {
	if r.daemon == nil {
		return nil
	}
	var errs []error
	bundles := filepath.Join(r.daemon.state(), "io.containerd.runtime.v2.task", Namespace)
	for _, dir := range []string{bundles, filepath.Join(r.daemon.runcRoot(), Namespace)} {
		left, err := filepath.Glob(filepath.Join(dir, idPrefix(run)+"*"))
		errs = append(errs, err)
		for _, path := range left {
			// Without a mount there it fails, and that is as well.
			_ = unix.Unmount(filepath.Join(path, "rootfs"), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}

// sweepAll removes the remains of all runs in a containerd, when none lives.
func sweepAll(ctx context.Context, c *client.Client) error {
	snapshotter, err := chooseSnapshotter(ctx, c, func(string) {})
	if err != nil {
		return err
	}
	r := &Runtime{client: c, snapshotter: snapshotter}
	return r.sweepAll(ctx)
}

func (r *Runtime) sweepAll(ctx context.Context) error {
	ctx = namespaces.WithNamespace(ctx, Namespace)
	filter := fmt.Sprintf("labels.%q", labelRun)
	runs := make(map[string]bool)
	list, err := r.client.LeasesService().List(ctx, filter)
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	for _, l := range list {
		runs[l.Labels[labelRun]] = true
	}
	containers, err := r.client.ContainerService().List(ctx, filter)
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	for _, c := range containers {
		runs[c.Labels[labelRun]] = true
	}
	err = r.client.SnapshotService(r.snapshotter).Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		runs[info.Labels[labelRun]] = true
		return nil
	}, filter)
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	return r.Sweep(ctx, slices.Sorted(maps.Keys(runs)))
}

// deleteLeases removes the leases of a run.
func (r *Runtime) deleteLeases(ctx context.Context, run string) error {
	manager := r.client.LeasesService()
	list, err := manager.List(ctx, fmt.Sprintf("labels.%q==%q", labelRun, run))
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	var errs []error
	for _, l := range list {
		if err := manager.Delete(ctx, l, leases.SynchronousDelete); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete lease %s: %w", l.ID, err))
		}
	}
	return errors.Join(errs...)
}

// sweepMatching removes containers and snapshots that a filter of containerd selects.
func (r *Runtime) sweepMatching(ctx context.Context, filter string) error {
	var errs []error
	containers, err := r.client.Containers(ctx, filter)
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	for _, c := range containers {
		if err := removeContainer(ctx, c); err != nil {
			errs = append(errs, fmt.Errorf("remove container %s: %w", c.ID(), err))
		}
	}
	snapshotter := r.client.SnapshotService(r.snapshotter)
	var keys []string
	err = snapshotter.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		keys = append(keys, info.Name)
		return nil
	}, filter)
	if err != nil {
		errs = append(errs, fmt.Errorf("list snapshots: %w", err))
	}
	for _, key := range keys {
		if err := snapshotter.Remove(ctx, key); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove snapshot %s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

// removeContainer ends what runs in a container and removes it with its snapshot.
// What is gone already is no error.
func removeContainer(ctx context.Context, c client.Container) error {
	if err := removeTask(ctx, c); err != nil {
		return fmt.Errorf("delete task: %w", err)
	}
	if err := c.Delete(ctx, client.WithSnapshotCleanup); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return nil
}

// deadShimTimeout is how long containerd may take to notice that a shim died and
// to clear up after it.
const deadShimTimeout = 10 * time.Second

// removeTask ends a container's task and removes it.
func removeTask(ctx context.Context, c client.Container) error {
	for deadline := time.Now().Add(deadShimTimeout); ; {
		task, err := c.Task(ctx, nil)
		if err == nil {
			_, err = task.Delete(ctx, killed)
		}
		if err == nil || errdefs.IsNotFound(err) {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pollInterval):
		}
	}
}

// cgroupRoots are the roots of all hierarchies: one with cgroup v2, one a
// controller with v1, both in a hybrid.
func cgroupRoots() ([]string, error) {
	roots, err := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	if err != nil {
		return nil, err
	}
	for i, path := range roots {
		roots[i] = filepath.Dir(path)
	}
	return append(roots, "/sys/fs/cgroup"), nil
}

// emptyTimeout is how long a control group may take to be empty once what was
// in it has been killed.
const emptyTimeout = 5 * time.Second

// removeCgroups removes a control group and those below in all hierarchies, and
// ends the processes in them. containerd removes those of containers, unless it
// lost a container half made, and never their parents.
func removeCgroups(ctx context.Context, path string) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(emptyTimeout); ; {
		var errs []error
		for _, root := range roots {
			errs = append(errs, removeCgroup(filepath.Join(root, path)))
		}
		err := errors.Join(errs...)
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pollInterval):
		}
	}
}

// removeCgroup removes a control group and those below. Where processes are in
// one, it kills them and fails with EBUSY.
func removeCgroup(path string) error {
	var dirs []string
	err := filepath.WalkDir(path, func(dir string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, dir)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed by containerd meanwhile
		}
		return err
	})
	errs := []error{err}
	for _, dir := range slices.Backward(dirs) {
		err := os.Remove(dir)
		if errors.Is(err, unix.EBUSY) {
			err = errors.Join(err, killMembers(dir))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove control group: %w", err))
		}
	}
	return errors.Join(errs...)
}

// killMembers kills the processes in a control group.
func killMembers(dir string) error {
	list, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return err
	}
	var errs []error
	for field := range strings.FieldsSeq(string(list)) {
		pid, err := strconv.Atoi(field)
		// Zero stands for a process that this process's PID namespace does not hold.
		if err == nil && pid > 0 {
			err = unix.Kill(pid, unix.SIGKILL)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("kill process %s: %w", field, err))
		}
	}
	return errors.Join(errs...)
}
