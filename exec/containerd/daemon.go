//go:build linux

package containerd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/workspace"
)

const (
	// startTimeout and stopTimeout are generous: a busy disk delays both.
	startTimeout = 60 * time.Second
	stopTimeout  = 10 * time.Second
	pollInterval = 10 * time.Millisecond
)

// daemonPath is where containerd finds runc and its shim: fixed, so that a
// project cannot put another in their place.
const daemonPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// shimProgram keeps a container's processes in touch with containerd.
const shimProgram = "containerd-shim-runc-v2"

// daemon is a private containerd, shared by all runs with one state directory.
//
// Images and metadata are kept in the state directory; the socket and what is
// only true until the next boot are under /run, where paths are also short
// enough for a socket's (108 bytes). A lock file orders starts and stops. Each
// user holds a shared lock on a second file, so that the kernel counts the users,
// also those that were killed; the last one stops the containerd. It does not
// die with the process that started it, as others may use it by then; one that
// was left behind is taken over by the next run, and found by its configuration
// file on its command line, which no crash can make stale.
type daemon struct {
	dir   string // persistent
	run   string // until the next boot
	users *os.File
}

// acquireDaemon takes part in the private containerd, starting it if need be.
func acquireDaemon(ctx context.Context, stateDir string, progress func(string)) (*daemon, *client.Client, error) {
	sum := sha256.Sum256([]byte(stateDir))
	d := &daemon{
		dir: filepath.Join(stateDir, "containerd"),
		run: "/run/cic-" + hex.EncodeToString(sum[:8]),
	}
	c, err := d.acquire(ctx, progress)
	if err != nil {
		if d.users != nil {
			err = errors.Join(err, d.users.Close())
		}
		return nil, nil, err
	}
	return d, c, nil
}

func (d *daemon) config() string { return filepath.Join(d.dir, "config.toml") }
func (d *daemon) socket() string { return filepath.Join(d.run, "containerd.sock") }
func (d *daemon) log() string    { return filepath.Join(d.dir, "log") }

func (d *daemon) acquire(ctx context.Context, progress func(string)) (_ *client.Client, err error) {
	for _, dir := range []string{d.dir, d.run} {
		if err := makeDir(dir, 0o700); err != nil {
			return nil, systemError("", fmt.Errorf("private containerd: %w", err))
		}
	}
	lock, err := lockFile(ctx, filepath.Join(d.dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return nil, systemError("", fmt.Errorf("private containerd: %w", err))
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if d.users, err = lockFile(ctx, filepath.Join(d.dir, "users"), unix.LOCK_SH); err != nil {
		return nil, systemError("", fmt.Errorf("private containerd: %w", err))
	}
	if c, err := contact(ctx, d.socket()); err == nil {
		return c, nil
	}
	// One that runs and does not answer would keep the new one from its database.
	if err := d.stop(ctx); err != nil {
		return nil, systemError("", err)
	}
	progress("Starting a private containerd")
	return d.start(ctx)
}

// start runs containerd and waits until it answers.
func (d *daemon) start(ctx context.Context) (*client.Client, error) {
	binary, err := findBinaries()
	if err != nil {
		return nil, err
	}
	if err := writeFile(d.config(), d.configuration(), 0o600); err != nil {
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
	cmd := osexec.Command(binary, "--config", d.config())
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + daemonPath}
	cmd.Stdout, cmd.Stderr = out, out
	// A session of its own keeps a terminal's interrupt from it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, systemError("", fmt.Errorf("start %s: %w", binary, err))
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
			return nil, d.startError(fmt.Errorf("it ended: %v", cmd.ProcessState))
		case <-ctx.Done():
			return nil, errors.Join(interrupted(ctx), d.stop(context.WithoutCancel(ctx)))
		case <-deadline.C:
			return nil, errors.Join(d.startError(fmt.Errorf("no answer for %v", startTimeout)), d.stop(ctx))
		case <-time.After(pollInterval):
		}
	}
}

// startError adds the end of the log to an error.
func (d *daemon) startError(err error) error {
	help := "see " + d.log()
	if data, readErr := os.ReadFile(d.log()); readErr == nil {
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		help += "; it ends with: " + lines[len(lines)-1]
	}
	return systemError(help, fmt.Errorf("start a private containerd: %w", err))
}

// findBinaries checks that containerd and what it runs are installed.
func findBinaries() (containerd string, err error) {
	for _, name := range []string{"runc", shimProgram, "containerd"} {
		found := ""
		for _, dir := range filepath.SplitList(daemonPath) {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				found = path
				break
			}
		}
		if found == "" {
			return "", systemError("install containerd and runc, for instance: apt-get install containerd runc",
				fmt.Errorf("no containerd answers at %s, and %s is not installed in %s", systemSocket, name, daemonPath))
		}
		containerd = found
	}
	return containerd, nil
}

// configuration leaves out the plugins that cic has no use for, as they make a
// start slower, open ports or write outside the state directory. Version 2 is
// read by containerd 1.6 and by all since.
func (d *daemon) configuration() []byte {
	disabled := []string{
		"io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
		"io.containerd.podsandbox.controller.v1.podsandbox", "io.containerd.nri.v1.nri",
		"io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs",
		"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs",
		"io.containerd.internal.v1.opt", "io.containerd.internal.v1.restart", "io.containerd.internal.v1.tracing",
		"io.containerd.tracing.processor.v1.otlp",
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\n", filepath.Join(d.dir, "root"), filepath.Join(d.run, "state"))
	for _, plugin := range disabled {
		fmt.Fprintf(&b, "  %q,\n", plugin)
	}
	fmt.Fprintf(&b, "]\n[grpc]\n  address = %q\n", d.socket())
	return b.Bytes()
}

// release ends this process's use. If nobody else uses the containerd, sweep
// is called, and the containerd stopped.
func (d *daemon) release(ctx context.Context, sweep func() error) (err error) {
	defer func() { err = errors.Join(err, d.users.Close()) }()
	lock, err := lockFile(ctx, filepath.Join(d.dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return fmt.Errorf("private containerd: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	switch err := flock(d.users, unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil
	case err != nil:
		return fmt.Errorf("private containerd: %w", err)
	}
	// What still runs belongs to runs that were killed.
	sweepErr := sweep()
	if err := errors.Join(sweepErr, d.stop(ctx)); err != nil {
		return err
	}
	// What it had no knowledge of any more goes with it, processes before mounts.
	err = killShims(func(args []string) bool { return option(args, "-address") == d.socket() })
	if err = errors.Join(err, workspace.UnmountAll(d.run)); err == nil {
		err = os.RemoveAll(d.run)
	}
	if err != nil {
		return fmt.Errorf("private containerd: %w", err)
	}
	return nil
}

// stop ends the containerd, if one runs, and waits for its end.
func (d *daemon) stop(ctx context.Context) error {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		gone, err := d.signal(ctx, sig)
		if err != nil {
			return fmt.Errorf("stop the private containerd: %w", err)
		}
		if gone {
			return nil
		}
	}
	return errors.New("the private containerd does not end, not even by SIGKILL")
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

// processes lists the processes that run with this containerd's configuration.
func (d *daemon) processes() ([]int, error) {
	return processes(func(args []string) bool { return option(args, "--config") == d.config() })
}

// lockFile opens a file and locks it (flock(2)); closing it unlocks.
func lockFile(ctx context.Context, path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := flock(f, how|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		case <-time.After(pollInterval):
		}
	}
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			if err != nil {
				return fmt.Errorf("lock %s: %w", f.Name(), err)
			}
			return nil
		}
	}
}
