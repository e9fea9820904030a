package userns

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// spareID stands on the disk for root of the machine: the kernel makes whiteouts and
// work directories of an overlay in its name, and the mount must have an id for it.
// It is the last id that is one.
const spareID = 1<<32 - 2

// Namespace is a user namespace to mount file systems by: ids on the disk are those
// inside of the namespace. No process is in it.
type Namespace struct {
	Mapping
	file *os.File
}

// Open makes a namespace for mounts in which jobs work on a project, a directory: with
// the ids that [Choose] gives for the project's owner. It needs root.
func Open(project string) (*Namespace, error) {
	var st unix.Stat_t
	if err := unix.Stat(project, &st); err != nil {
		return nil, fmt.Errorf("project %q: %w", project, err)
	}
	m, err := Choose(st.Uid, st.Gid)
	if err != nil {
		return nil, fmt.Errorf("ids for user namespaces: %w", err)
	}
	file, err := create(m)
	if err != nil {
		return nil, fmt.Errorf("make a user namespace: %w", err)
	}
	return &Namespace{Mapping: m, file: file}, nil
}

// create makes a user namespace in which no process is.
func create(m Mapping) (*os.File, error) {
	// The child stops before its first instruction, waiting for its tracer, the thread
	// that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child, err := os.StartProcess("/proc/self/exe", []string{"cic"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER, UidMappings: onDisk(m.UID), GidMappings: onDisk(m.GID),
		Ptrace: true, Pdeathsig: unix.SIGKILL,
	}})
	if err != nil {
		return nil, err
	}
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", child.Pid))
	killErr := child.Kill()
	_, waitErr := child.Wait()
	return file, errors.Join(err, killErr, waitErr)
}

// onDisk are the ranges of a namespace for mounts.
func onDisk(ranges []Range) []syscall.SysProcIDMap {
	list := []syscall.SysProcIDMap{{ContainerID: spareID, HostID: 0, Size: 1}}
	for _, r := range ranges {
		list = append(list, syscall.SysProcIDMap{ContainerID: int(r.Inside), HostID: int(r.Host), Size: int(r.Size)})
	}
	return list
}

// Fd is the descriptor of the namespace, for mount_setattr(2). It is valid until
// Close.
func (n *Namespace) Fd() int { return int(n.file.Fd()) }

// Close gives the namespace up, if there is one. What was mounted by it stays as it is.
func (n *Namespace) Close() error {
	if n == nil {
		return nil
	}
	return n.file.Close()
}
