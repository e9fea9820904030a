//go:build linux

package containerd

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sys/unix"
)

const (
	// startTimeout and stopTimeout are generous: a busy disk delays both.
	startTimeout = 60 * time.Second
	stopTimeout  = 10 * time.Second
	pollInterval = 10 * time.Millisecond
)

// daemonPath is where the OCI runtime is looked for: fixed, so that a project
// cannot put another in its place.
const daemonPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// shimProgram keeps a container's processes in touch with containerd.
const shimProgram = "containerd-shim-runc-v2"

const (
	// daemonWord is the first argument of the process that [Main] makes a containerd:
	// cic @containerd PROTOCOL STATEDIR.
	daemonWord = "@containerd"
	// protocol counts changes after which a cic and the containerd of another version
	// of it do not fit together: other places of files, or plugins.
	protocol = "3"
)

// start runs a containerd and waits until it answers.
func (d *daemon) start(ctx context.Context) (*client.Client, error) {
	if err := ownDir(filepath.Dir(d.run)); err != nil {
		return nil, systemError("", err)
	}
	// One that is there may be open to root of user namespaces, for jobs that go on.
	if err := os.Mkdir(d.run, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, systemError("", err)
	}
	if err := os.Rename(d.log(), d.log()+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, systemError("", err)
	}
	out, err := os.OpenFile(d.log(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, systemError("", err)
	}
	defer out.Close()
	cmd := &osexec.Cmd{
		Path: d.program,
		Args: []string{"cic", daemonWord, d.protocol, d.stateDir()},
		Dir:  "/",
		Env:  []string{"PATH=" + d.programs() + ":" + daemonPath},
		// A session of its own keeps a terminal's signals from it.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
		Stdout:      out, Stderr: out,
	}
	if err := cmd.Start(); err != nil {
		return nil, systemError("", fmt.Errorf("start containerd: %w", err))
	}
	exited := make(chan struct{})
	go func() {
		// What it exited with is in cmd.ProcessState.
		_ = cmd.Wait()
		close(exited)
	}()
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	for {
		if c, err := contact(ctx, d.socket()); err == nil {
			return c, nil
		}
		select {
		case <-exited:
			if cmd.ProcessState.ExitCode() == exitDiskFull {
				return nil, systemError("", fmt.Errorf("start containerd in %s: %w", d.stateDir(), unix.ENOSPC))
			}
			return nil, d.startError(fmt.Errorf("it ended: %v", cmd.ProcessState))
		case <-ctx.Done():
			return nil, errors.Join(interrupted(ctx), d.stop(context.WithoutCancel(ctx), unix.SIGTERM, unix.SIGKILL))
		case <-deadline.C:
			return nil, errors.Join(d.startError(fmt.Errorf("no answer for %v", startTimeout)), d.stop(ctx, unix.SIGKILL))
		case <-time.After(pollInterval):
		}
	}
}

// ownDir makes sure that others cannot write to a directory, which is made if need be:
// in /tmp, anybody may have made it.
func ownDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s is no directory of this user alone, where sockets could be", dir)
	}
	return nil
}

// startError adds the end of the log to an error.
func (d *daemon) startError(err error) error {
	help := "see " + d.log()
	if data, readErr := os.ReadFile(d.log()); readErr == nil {
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		help += "; it ends with: " + lines[len(lines)-1]
	}
	// Nothing is in it, unless an earlier containerd left something running.
	_ = os.Remove(d.run)
	return systemError(help, fmt.Errorf("start containerd: %w", err))
}

// stop ends the containerd's process, if one runs, and waits for its end: by one
// signal, and if that does not do by the next.
func (d *daemon) stop(ctx context.Context, signals ...unix.Signal) error {
	for _, sig := range signals {
		gone, err := d.signal(ctx, sig)
		if err != nil {
			return fmt.Errorf("stop containerd: %w", err)
		}
		if gone {
			return nil
		}
	}
	return errors.New("containerd does not end, not even by SIGKILL")
}

// signal sends a signal to the containerd and reports whether it ended in time.
func (d *daemon) signal(ctx context.Context, sig unix.Signal) (gone bool, err error) {
	pids, err := d.processes()
	if err != nil {
		return false, err
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return false, err
		}
	}
	for deadline := time.Now().Add(stopTimeout); len(pids) > 0; {
		if time.Now().After(deadline) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(pollInterval):
		}
		if pids, err = d.processes(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// processes lists the processes that are this state directory's containerd.
func (d *daemon) processes() ([]int, error) {
	return processes(func(args []string) bool {
		return len(args) == 4 && args[1] == daemonWord && args[3] == d.stateDir()
	})
}

// compare tells whether the containerd that runs is of the same build as this
// process, and whether it is compatible with it at least.
func (d *daemon) compare() (same, compatible bool, err error) {
	pids, err := d.processes()
	if err != nil {
		return false, false, err
	}
	if len(pids) == 0 {
		return false, false, nil // it just ended
	}
	dir := filepath.Join("/proc", strconv.Itoa(pids[0]))
	line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return false, false, err
	}
	args := strings.Split(string(line), "\x00")
	compatible = len(args) > 2 && args[2] == d.protocol
	theirs, err := buildID(filepath.Join(dir, "exe"))
	if err != nil {
		return false, false, err
	}
	ours, err := buildID(d.program)
	return theirs == ours && compatible, compatible, err
}

// buildID is what the Go linker wrote into a program to name what it was made of.
func buildID(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	note := f.Section(".note.go.buildid")
	if note == nil {
		return "", fmt.Errorf("%s has no build id", path)
	}
	data, err := note.Data()
	return string(data), err
}
