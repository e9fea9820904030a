//go:build linux

package containerd

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/image-spec/identity"

	"github.com/cic-ci/cic/exec/workspace"
)

// rootfsUpper holds what the job writes over a directory of the host.
func (s *sandbox) rootfsUpper() string { return filepath.Join(s.job.Scratch, "rootfs") }

// rootfs is the root file system where containerd does not make it itself. unmount
// is to be called once it is mounted.
func (s *sandbox) rootfs() (mounts []mount.Mount, unmount func() error, err error) {
	unmount = func() error { return nil }
	var m mount.Mount
	switch {
	case s.job.UserNamespace:
		m, unmount, err = s.translatedRootfs()
	case s.img.stored == nil:
		m, err = s.overlay(s.img.lower)
	default:
		return nil, unmount, nil
	}
	return []mount.Mount{m}, unmount, err
}

// overlay is the root file system over a directory of the host, lower: that is only
// read, and what the job writes is in the scratch directory. A work directory
// serves one mount only if that is volatile, which spares the disk a sync.
func (s *sandbox) overlay(lower string) (mount.Mount, error) {
	upper := s.rootfsUpper()
	work := filepath.Join(s.job.Scratch, fmt.Sprintf("rootfs-work-%d", s.tasks))
	for _, dir := range []string{upper, work} {
		if err := makeDir(dir, 0o755); err != nil {
			return mount.Mount{}, err
		}
	}
	if err := s.give(upper); err != nil {
		return mount.Mount{}, err
	}
	return mount.Mount{Type: "overlay", Source: "overlay", Options: append([]string{
		"lowerdir=" + overlayOption(lower), "upperdir=" + overlayOption(upper), "workdir=" + overlayOption(work),
	}, workspace.OverlayOptions()...)}, nil
}

// newSnapshot makes the root file system of an image's container: not by the client's
// option, with which containerd would mount it itself, and would translate owners by
// mounts that nobody clears away after a crash.
func (s *sandbox) newSnapshot(ctx context.Context, labels map[string]string) error {
	diffIDs, err := s.img.stored.RootFS(ctx)
	if err != nil {
		return err
	}
	s.snapshot, err = s.r.client.SnapshotService(s.r.snapshotter).Prepare(ctx, s.id, identity.ChainID(diffIDs).String(), snapshots.WithLabels(labels))
	return err
}

// translatedRootfs is the root file system of the job's container, whose owners are
// those that its user namespace shows. It has a mount in the scratch directory, which
// unmount ends: it is to be called once the root file system is mounted.
func (s *sandbox) translatedRootfs() (m mount.Mount, unmount func() error, err error) {
	lower := []string{s.img.lower}
	if s.img.stored != nil {
		if len(s.snapshot) != 1 || s.snapshot[0].Type != "overlay" {
			return m, nil, fmt.Errorf("snapshotter %s makes no overlay, whose owners could be translated: %v", s.r.snapshotter, s.snapshot)
		}
		m = s.snapshot[0]
		lower = strings.Split(overlayValue(m, "lowerdir"), ":")
	}
	if lower, unmount, err = s.translate(lower); err != nil {
		return m, nil, err
	}
	if s.img.stored == nil {
		m, err = s.overlay(lower[0])
		return m, unmount, err
	}
	m.Options = append(slices.DeleteFunc(slices.Clone(m.Options), func(option string) bool {
		return strings.HasPrefix(option, "lowerdir=")
	}), "lowerdir="+strings.Join(lower, ":"))
	return m, unmount, s.give(overlayValue(m, "upperdir"))
}

// overlayValue is the value of an option of an overlay mount.
func overlayValue(m mount.Mount, name string) string {
	for _, option := range m.Options {
		if value, ok := strings.CutPrefix(option, name+"="); ok {
			return value
		}
	}
	return ""
}

// translate shows directories with their owners translated, all by one mount of the
// directory that holds them.
func (s *sandbox) translate(dirs []string) (translated []string, unmount func() error, err error) {
	top := dirs[0]
	for _, dir := range dirs {
		for !within(dir, top) && top != "/" {
			top = filepath.Dir(top)
		}
	}
	point := filepath.Join(s.job.Scratch, "rootfs-lower")
	if err := makeDir(point, 0o700); err != nil {
		return nil, nil, err
	}
	if err := workspace.BindReadOnly(top, point, s.r.cfg.Users); err != nil {
		return nil, nil, err
	}
	for _, dir := range dirs {
		translated = append(translated, filepath.Join(point, strings.TrimPrefix(dir, top)))
	}
	return translated, func() error { return workspace.UnmountAll(point) }, nil
}

// removeSnapshot removes the container's root file system, if there is one that did
// not go with the container.
func (s *sandbox) removeSnapshot(ctx context.Context) error {
	err := s.r.client.SnapshotService(s.r.snapshotter).Remove(ctx, s.id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
