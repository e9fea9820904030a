//go:build linux

package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// processes lists this user's processes whose command line matches. One that has
// ended and waits to be reaped has no command line, and is left out.
func processes(match func(args []string) bool) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join("/proc", entry.Name())
		// A process that ends meanwhile has no files any more: it is not what is sought.
		var st unix.Stat_t
		if unix.Stat(dir, &st) != nil || int(st.Uid) != os.Geteuid() {
			continue
		}
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err == nil && match(strings.Split(string(bytes.TrimSuffix(line, []byte{0})), "\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// killed ends a process before it is deleted. Those of a container go with its first,
// as their PID namespace does: there is no need to look for them in a control group,
// which an ordinary user's containers do not have. One that has ended needs no signal:
// the shim would start the OCI runtime to send it.
func killed(ctx context.Context, p client.Process) error {
	if status, err := p.Status(ctx); err == nil && status.Status == client.Stopped {
		return nil
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	exit, err := p.Wait(waiting)
	if err != nil {
		return err
	}
	if err := p.Kill(ctx, unix.SIGKILL); errdefs.IsFailedPrecondition(err) {
		return nil // it has ended
	} else if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	select {
	case <-exit:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// option returns the value that follows a flag on a command line.
func option(args []string, flag string) string {
	for i := 1; i+1 < len(args); i++ {
		if args[i] == flag {
			return args[i+1]
		}
	}
	return ""
}

// killShims ends the shims of this package's namespace that match. containerd
// forgets a shim whose start its client did not live to see.
func killShims(match func(args []string) bool) error {
	pids, err := processes(func(args []string) bool {
		return filepath.Base(args[0]) == shimProgram && option(args, "-namespace") == Namespace && match(args)
	})
	if err != nil {
		return fmt.Errorf("look for shims: %w", err)
	}
	var errs []error
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("kill shim %d: %w", pid, err))
		}
	}
	return errors.Join(errs...)
}

// processEnd returns a channel that is closed when a process has ended. stop ends
// the watch.
func processEnd(pid int) (ended <-chan struct{}, stop func(), err error) {
	done := make(chan struct{})
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		close(done)
		return done, func() {}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	go func() {
		err := conn.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
		})
		if err == nil { // else the watch was ended
			close(done)
		}
	}()
	return done, func() { _ = f.Close() }, nil // nothing was written
}
