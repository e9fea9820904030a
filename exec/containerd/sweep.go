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

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
)

// Sweep removes everything that dead runs, given by their ids, left in
// containerd: processes, containers, snapshots, leases and control groups. It
// goes on after an error and returns all of them. Runs that still live must not
// be named; mounts and files under a run's directory are its owner's.
func (r *Runtime) Sweep(ctx context.Context, dead []string) error {
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
		errs = append(errs, r.deleteLeases(ctx, run), removeCgroups(filepath.Join("cic", run)))
	}
	return errors.Join(errs...)
}

// sweepAll removes the remains of all runs, when none lives.
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
	task, err := c.Task(ctx, nil)
	if err == nil {
		_, err = task.Delete(ctx, client.WithProcessKill)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete task: %w", err)
	}
	if err := c.Delete(ctx, client.WithSnapshotCleanup); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return nil
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

// removeCgroups removes a control group and those below in all hierarchies.
// containerd removes those of containers, never their parents.
func removeCgroups(path string) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	var errs []error
	for _, root := range roots {
		var dirs []string
		err := filepath.WalkDir(filepath.Join(root, path), func(dir string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				dirs = append(dirs, dir)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove control groups: %w", err))
		}
		for i := len(dirs) - 1; i >= 0; i-- {
			if err := os.Remove(dirs[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("remove control group: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}
