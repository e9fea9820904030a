//go:build linux

package containerd

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

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

// cgroupMount shows a container its control groups.
func cgroupMount(access string) specs.Mount {
	return specs.Mount{
		Type: "cgroup", Source: "cgroup", Destination: "/sys/fs/cgroup",
		Options: []string{"nosuid", "noexec", "nodev", "relatime", access},
	}
}
