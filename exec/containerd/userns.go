//go:build linux

package containerd

import (
	"errors"
	"os"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/cic-ci/cic/exec/userns"
)

// openToRoot lets root of user namespaces, who is another user, come as far as the
// root file systems of containers. Nobody else has that group.
func (r *Runtime) openToRoot() error {
	if r.cfg.Users == nil || r.daemon == nil {
		return nil // another containerd sees to its own directories
	}
	// What lies in it is open to all who come so far.
	_, gid := r.cfg.Users.Root()
	if err := errors.Join(os.Chown(r.daemon.run, -1, int(gid)), os.Chmod(r.daemon.run, 0o710)); err != nil {
		return systemError("", err)
	}
	return nil
}

// setUserNamespace gives a container a user namespace of its own.
func (r *Runtime) setUserNamespace(s *oci.Spec, img *image) error {
	users := r.cfg.Users
	if users == nil {
		return systemError("", errors.New("a job is to run in a user namespace, and there are no ids for one"))
	}
	groups := append([]uint32{s.Process.User.GID}, s.Process.User.AdditionalGids...)
	for _, gid := range groups {
		if _, _, ok := users.Host(s.Process.User.UID, gid); !ok {
			return configError("leave out --userns, or use image:docker:user", "image %s runs as user %d of group %d, and a user namespace has ids up to 65534 only",
				familiar(img.name), s.Process.User.UID, gid)
		}
	}
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings, s.Linux.GIDMappings = linuxMappings(users.UID), linuxMappings(users.GID)
	return nil
}

func linuxMappings(ranges []userns.Range) []specs.LinuxIDMapping {
	list := make([]specs.LinuxIDMapping, len(ranges))
	for i, r := range ranges {
		list[i] = specs.LinuxIDMapping{ContainerID: r.Inside, HostID: r.Host, Size: r.Size}
	}
	return list
}

// hostIDs are the machine's ids of a user of the container.
func (s *sandbox) hostIDs(uid, gid uint32) (int, int) {
	if s.job.UserNamespace {
		// That it is mapped has been seen to.
		uid, gid, _ = s.r.cfg.Users.Host(uid, gid)
	}
	return int(uid), int(gid)
}

// give makes root in the container the owner of a file on the machine.
func (s *sandbox) give(path string) error {
	if !s.job.UserNamespace {
		return nil
	}
	uid, gid := s.hostIDs(0, 0)
	return os.Lchown(path, uid, gid)
}

// taskOpts let the container's user open its standard output by name.
func (s *sandbox) taskOpts() []client.NewTaskOpts {
	if !s.job.UserNamespace {
		return nil
	}
	uid, gid := s.hostIDs(s.spec.Process.User.UID, s.spec.Process.User.GID)
	return []client.NewTaskOpts{client.WithUIDOwner(uint32(uid)), client.WithGIDOwner(uint32(gid))}
}
