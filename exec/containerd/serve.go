//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/containerd/server"
	"github.com/cic-ci/cic/exec/userns"
)

// exitDiskFull is how the containerd's process ends where its state directory is full.
const exitDiskFull = int(unix.ENOSPC)

// idleInterval is how often the containerd looks whether it is still in use.
const idleInterval = time.Second

// Main turns this process into the embedded containerd or its shim, if its
// arguments say so, and does not return then. A program that calls [Open] must
// call it first, as both are started from its own file.
func Main() {
	args := os.Args
	switch {
	// The shim starts itself again, perhaps under another name.
	case filepath.Base(args[0]) == shimProgram, len(args) > 1 && args[1] == "-namespace":
		server.Shim()
	case len(args) == 4 && args[1] == daemonWord:
		if err := serve(args[3]); err != nil {
			fmt.Fprintf(os.Stderr, "cic: containerd: %v\n", err)
			if exec.DiskFull(err) {
				os.Exit(exitDiskFull) // there may be no room for the message either
			}
			os.Exit(1)
		}
	default:
		return
	}
	os.Exit(0)
}

// serve is the containerd's process. SIGTERM ends it, and leaves the jobs running
// for its successor; after too long without a user it ends with all it made.
func serve(stateDir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	unix.Umask(0o022)
	if err := setOpenFiles(); err != nil {
		fmt.Fprintf(os.Stderr, "cic: containerd: %v\n", err)
	}
	if err := userns.Stay(stateDir); err != nil {
		return err
	}
	d := newDaemon(stateDir)
	if err := errors.Join(d.installShim(), d.installMerged()); err != nil {
		return err
	}
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(serving, server.Config{
			Root: filepath.Join(d.dir, "root"), State: d.state(), Socket: d.socket(),
		})
	}()
	unused := make(chan struct{})
	go func() {
		if d.awaitUnused(serving) {
			close(unused)
		}
	}()
	select {
	case err := <-served:
		return err
	case <-unused:
		return d.end(d.sweep, func() error { cancel(); return <-served })
	}
}

// awaitUnused waits until the containerd is not needed any more, or ctx is done,
// which is false. Nobody can begin to use it from then on.
func (d *daemon) awaitUnused(ctx context.Context) bool {
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(idleInterval):
		}
		unused, err := d.unused(&last)
		if err != nil {
			fmt.Fprintf(os.Stderr, "cic: containerd: see who uses it: %v\n", err)
		}
		if unused {
			return true
		}
	}
}

// unused reports whether it is time to end, and keeps the locks then. last is
// when the containerd was seen in use.
func (d *daemon) unused(last *time.Time) (_ bool, err error) {
	lock, err := os.OpenFile(d.lock(), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // the state directory was removed: nobody can find it any more
	}
	if err != nil {
		return false, err
	}
	defer func() {
		if d.held != lock {
			err = errors.Join(err, lock.Close())
		}
	}()
	if err := flock(lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return false, unlessLocked(err)
	}
	users, err := os.OpenFile(d.usersFile(), os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer func() {
		if d.users != users {
			err = errors.Join(err, users.Close())
		}
	}()
	if err := flock(users, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		*last = time.Now()
		return false, unlessLocked(err)
	}
	came, idle, err := d.used()
	if err != nil || time.Since(*last) < idle || time.Since(came) < idle {
		return false, err
	}
	d.held, d.users = lock, users
	return true, nil
}

// unlessLocked is err, but nil if it says that somebody else has a lock.
func unlessLocked(err error) error {
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	return err
}

// sweep removes what killed runs left running.
func (d *daemon) sweep() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	c, err := contact(ctx, d.socket())
	if err != nil {
		return err
	}
	return errors.Join(sweepAll(ctx, c), c.Close())
}

// programs is where the containerd finds its shim.
func (d *daemon) programs() string { return filepath.Join(d.dir, "bin") }

// shimScript stands before the shim. containerd runs its shim's program once more
// after every container, to remove what a dead one left, while next to always
// there is nothing: the shell knows that with a tenth of the processor time. Without
// a word about an exit status containerd keeps the one that it has.
const shimScript = `#!/bin/sh
id= last=
for word; do
	[ "$last" = -id ] && id=$word
	last=$word
done
[ "$last" = delete ] && [ -n "$id" ] && [ ! -e %s/"$id" ] && exit 0
exec %s "$@"
`

// mergedScript stands before the OCI runtime where a container's output is its own
// affair, not that of the start program: standard error becomes standard output, as
// the shim copies from two pipes in no order.
const mergedScript = `#!/bin/sh
for word; do
	[ "$word" = create ] && exec 2>&1
done
PATH=%s
exec %s "$@"
`

// merged is the program that stands before an OCI runtime so.
func (d *daemon) merged(ociRuntime string) string {
	return filepath.Join(d.programs(), "merged", filepath.Base(ociRuntime))
}

// installMerged installs it for each OCI runtime: which one is there may change.
func (d *daemon) installMerged() error {
	for _, name := range ociRuntimes {
		path := d.merged(name)
		if err := makeDir(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		err := replace(path, func(temporary string) error {
			return writeFile(temporary, fmt.Appendf(nil, mergedScript, daemonPath, name), 0o700)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// installShim makes this program the shim: by a hard link, so that it costs
// nothing and stays what it is when the file is replaced. A copy that is there from
// another time is kept: two may be more than the disk has room for.
func (d *daemon) installShim() error {
	program := filepath.Join(d.programs(), "cic", shimProgram)
	if err := errors.Join(makeDir(d.programs(), 0o700), makeDir(filepath.Dir(program), 0o700)); err != nil {
		return err
	}
	const own = "/proc/self/exe"
	if !sameProgram(own, program) {
		err := replace(program, func(temporary string) error {
			err := unix.Linkat(unix.AT_FDCWD, own, unix.AT_FDCWD, temporary, unix.AT_SYMLINK_FOLLOW)
			if err != nil {
				// Another file system, or a file that is gone.
				err = copyProgram(own, temporary)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	script := fmt.Sprintf(shimScript, singleQuoted(filepath.Join(d.runcRoot(), Namespace)), singleQuoted(program))
	return replace(filepath.Join(d.programs(), shimProgram), func(temporary string) error {
		return writeFile(temporary, []byte(script), 0o700)
	})
}

// replace makes a program under another name first, as one that runs cannot be written to.
func replace(path string, write func(temporary string) error) error {
	temporary := path + ".new"
	err := removeFile(temporary)
	if err == nil {
		err = write(temporary)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return fmt.Errorf("install %s: %w", path, errors.Join(err, removeFile(temporary)))
	}
	return nil
}

// sameProgram reports whether b is there and is a whole copy of the program a.
func sameProgram(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA != nil || errB != nil || infoA.Size() != infoB.Size() || infoB.Mode().Perm()&0o100 == 0 {
		return false
	}
	if os.SameFile(infoA, infoB) {
		return true
	}
	idA, errA := buildID(a)
	idB, errB := buildID(b)
	return errA == nil && errB == nil && idA == idB
}

func copyProgram(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync() // it is taken for whole later, also after a power failure
}
