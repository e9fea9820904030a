//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
)

// droppedCapabilities are those of containerd's default set that a job does
// without: sending forged packets, making devices, and writing the audit log.
var droppedCapabilities = []string{"CAP_NET_RAW", "CAP_MKNOD", "CAP_AUDIT_WRITE"}

// oomScore makes the kernel end a job before containerd or cic where the
// machine runs out of memory (proc(5), oom_score_adj; from -1000 to 1000).
const oomScore = 500

// confine sets what a container may do: what was granted to it, else as little
// as no_new_privileges (containerd's default), fewer capabilities and the
// default filter of system calls leave.
func confine(s *oci.Spec, granted exec.Granted) error {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	score := oomScore
	s.Process.OOMScoreAdj = &score
	if granted.Privileged {
		return privilege(s)
	}
	c := s.Process.Capabilities
	for _, set := range []*[]string{&c.Bounding, &c.Permitted, &c.Effective, &c.Inheritable, &c.Ambient} {
		*set = slices.DeleteFunc(*set, func(name string) bool { return slices.Contains(droppedCapabilities, name) })
	}
	// It depends on the capabilities, and so comes after them.
	s.Linux.Seccomp = seccomp.DefaultProfile(s)
	// Almost no kernel runs programs of the x32 ABI, and translating the filter for
	// each ABI takes the OCI runtime 9 ms of processor time a container. Without a
	// filter of its own an ABI is shut off whole.
	s.Linux.Seccomp.Architectures = slices.DeleteFunc(s.Linux.Seccomp.Architectures, func(a specs.Arch) bool { return a == specs.ArchX32 })
	for _, device := range granted.Devices {
		err := oci.WithDevices(device, "", "rw")(context.Background(), nil, nil, s)
		if errors.Is(err, fs.ErrNotExist) {
			return configError("", "device %s was granted, and this machine does not have it", device)
		}
		if err != nil {
			return configError("", "device %s: %w", device, err)
		}
	}
	return nil
}

// privilege gives a container what Docker's --privileged does: every capability
// and device, control groups and /sys to write to, no filter of system calls. It
// keeps its own namespaces.
func privilege(s *oci.Spec) error {
	s.Mounts = append(s.Mounts, cgroupMount("rw"))
	s.Process.NoNewPrivileges = false
	err := oci.Compose(oci.WithPrivileged, oci.WithAllDevicesAllowed, oci.WithHostDevices)(context.Background(), nil, nil, s)
	if err != nil {
		return systemError("", err)
	}
	return nil
}

// addVolumes gives a privileged container the volumes of its image, as empty
// directories of cic's own file system. Docker in a container needs that: its
// overlays cannot lie on another. Other containers do without, as what they
// write is in their root file system, which is removed like a volume.
func (s *sandbox) addVolumes() error {
	if !s.job.Granted.Privileged {
		return nil
	}
	for i, volume := range s.img.volumes {
		dir := filepath.Join(s.job.Scratch, fmt.Sprintf("volume-%d", i+1))
		if err := makeDir(dir, 0o755); err != nil {
			return systemError("", err)
		}
		s.spec.Mounts = append(s.spec.Mounts, specs.Mount{Type: "bind", Source: dir, Destination: volume, Options: []string{"rbind", "rprivate", "rw"}})
		s.layers = append(s.layers, dir)
	}
	return nil
}

// emptyVolumes are those of the paths that are not in an image yet, or empty
// directories there, and no part of what cic mounts. A link on the way, which
// could lead out, makes a path none of them (CVE-2022-23648).
func emptyVolumes(root *os.File, paths []string) ([]string, error) {
	var volumes []string
	for _, volume := range paths {
		if path.Clean(volume) != volume || !path.IsAbs(volume) || volume == "/" || slices.ContainsFunc(mountPoints, func(point string) bool {
			return within(volume, point) || within(point, volume)
		}) {
			continue
		}
		empty, err := emptyIn(root, volume)
		if err != nil {
			return nil, err
		}
		if empty {
			volumes = append(volumes, volume)
		}
	}
	return volumes, nil
}

// within reports whether a clean path is dir, or lies below it.
func within(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// emptyIn reports whether a path is an empty directory, or could become one.
func emptyIn(root *os.File, name string) (bool, error) {
	fd, err := unix.Openat2(int(root.Fd()), strings.TrimPrefix(name, "/"), &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if errors.Is(err, unix.ENOENT) {
		return true, nil
	}
	if absent(err) {
		return false, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "open", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	entries, err := f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return len(entries) == 0, errors.Join(err, f.Close())
}

// cgroupMount shows a container its control groups.
func cgroupMount(access string) specs.Mount {
	return specs.Mount{
		Type: "cgroup", Source: "cgroup", Destination: "/sys/fs/cgroup",
		Options: []string{"nosuid", "noexec", "nodev", "relatime", access},
	}
}
