//go:build linux

package containerd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/userns"
	"github.com/cic-ci/cic/exec/workspace"
)

// daemon is the embedded containerd of a state directory, as its users and its
// own process (serve.go) see it.
//
// Images and metadata are kept in the state directory; the socket and what is
// only true until the next boot are under /run, where paths are also short
// enough for a socket's (108 bytes). A lock file orders starts and ends. Each
// user holds a shared lock on a second file, so that the kernel counts the users,
// also those that were killed. The containerd is nobody's child: it ends itself
// once it had no user for a time, or its last user ends it, who asked for that.
// It is found by its command line, which no crash can make stale.
type daemon struct {
	dir   string // persistent
	run   string // until the next boot
	users *os.File
	held  *os.File // the lock file, once the containerd ends itself
	// program is what is started, and protocol what it calls its protocol.
	program, protocol string
}

func newDaemon(stateDir string) *daemon {
	sum := sha256.Sum256([]byte(stateDir))
	return &daemon{
		dir: filepath.Join(stateDir, "containerd"),
		run: runtimeDir(hex.EncodeToString(sum[:8])),
		// Its file may have been replaced meanwhile, by another version of cic.
		program: "/proc/self/exe", protocol: protocol,
	}
}

// runtimeDir is where the sockets of a state directory are, given by a hash of 16
// digits, and what is true until the next boot: of root in /run, of another user, who
// is root of a user namespace here, in the directory of the login (XDG Base Directory
// Specification) or, without a login, in one of that user's own. Its paths are short:
// containerd allows those of shims 42 bytes.
func runtimeDir(hash string) string {
	uid, err := userns.Owner()
	if !userns.Inside() || err != nil || uid == 0 {
		return "/run/cic-" + hash
	}
	if dir := fmt.Sprintf("/run/user/%d", uid); unix.Access(dir, unix.W_OK) == nil {
		return filepath.Join(dir, "cic"+hash[:8])
	}
	return fmt.Sprintf("/tmp/cic-%d/%s", uid, hash[:8])
}

func (d *daemon) stateDir() string { return filepath.Dir(d.dir) }
func (d *daemon) socket() string   { return filepath.Join(d.run, "containerd.sock") }
func (d *daemon) state() string    { return filepath.Join(d.run, "state") }
func (d *daemon) log() string      { return filepath.Join(d.dir, "log") }
func (d *daemon) lock() string     { return filepath.Join(d.dir, "lock") }

// usersFile is locked by all users.
func (d *daemon) usersFile() string { return filepath.Join(d.dir, "users") }

// idle holds how long the containerd outlives its last user; it was changed when
// the last user came.
func (d *daemon) idle() string { return filepath.Join(d.run, "idle") }

// runcRoot is where the OCI runtime keeps its containers' state.
func (d *daemon) runcRoot() string { return filepath.Join(d.run, "runc") }

// acquireDaemon takes part in the containerd of a state directory, starting it
// if need be.
func acquireDaemon(ctx context.Context, stateDir string, idle time.Duration, progress func(string)) (*daemon, *client.Client, error) {
	d := newDaemon(stateDir)
	c, err := d.acquire(ctx, idle, progress)
	if err != nil {
		if d.users != nil {
			err = errors.Join(err, d.users.Close())
		}
		return nil, nil, err
	}
	return d, c, nil
}

func (d *daemon) acquire(ctx context.Context, idle time.Duration, progress func(string)) (_ *client.Client, err error) {
	// Logs and images in the state directory are nobody else's business.
	err = os.MkdirAll(d.stateDir(), 0o700)
	if err == nil {
		err = makeDir(d.dir, 0o700)
	}
	if err != nil {
		return nil, systemError("", fmt.Errorf("containerd: %w", err))
	}
	lock, err := lockFile(ctx, d.lock(), unix.LOCK_EX)
	if err != nil {
		return nil, systemError("", fmt.Errorf("containerd: %w", err))
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if d.users, err = lockFile(ctx, d.usersFile(), unix.LOCK_SH); err != nil {
		return nil, systemError("", fmt.Errorf("containerd: %w", err))
	}
	c, err := contact(ctx, d.socket())
	if err == nil {
		if c, err = d.settle(ctx, c); c != nil || err != nil {
			return c, errors.Join(err, d.setIdle(idle))
		}
	}
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	progress("Starting containerd")
	if c, err = d.replace(ctx); err != nil {
		return nil, err
	}
	return c, d.setIdle(idle)
}

// settle decides whether to use a containerd that runs already: one of another
// build of cic is ended if nobody else uses it, and c is nil then.
func (d *daemon) settle(ctx context.Context, c *client.Client) (*client.Client, error) {
	same, compatible, err := d.compare()
	if err != nil {
		return nil, errors.Join(systemError("", fmt.Errorf("containerd: %w", err)), c.Close())
	}
	if same {
		return c, nil
	}
	alone, err := d.alone()
	if alone {
		return nil, d.end(func() error { return sweepAll(ctx, c) }, func() error {
			return errors.Join(c.Close(), d.stop(ctx, unix.SIGTERM, unix.SIGKILL))
		})
	}
	if err == nil && !compatible {
		err = fmt.Errorf("another version of cic uses the state directory %s at the moment, and its containerd does not fit this one", d.stateDir())
	}
	if err != nil {
		return nil, errors.Join(systemError("wait until its runs have ended, or use another --state-dir", err), c.Close())
	}
	return c, nil
}

// replace starts a containerd where none answers. One that runs all the same hangs,
// and would keep the new one from its database.
func (d *daemon) replace(ctx context.Context) (*client.Client, error) {
	if err := d.stop(ctx, unix.SIGKILL); err != nil {
		return nil, systemError("", err)
	}
	return d.start(ctx)
}

// revive makes sure that a containerd answers at the socket: after its death one
// of its users starts another, and those that come later find it.
func (d *daemon) revive(ctx context.Context) (err error) {
	lock, err := lockFile(ctx, d.lock(), unix.LOCK_EX)
	if err != nil {
		return fmt.Errorf("containerd: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	c, err := contact(ctx, d.socket())
	if ctx.Err() != nil && err != nil {
		return interrupted(ctx) // which says nothing about the containerd
	}
	if err != nil {
		if c, err = d.replace(ctx); err != nil {
			return err
		}
	}
	return c.Close()
}

// alone reports whether nobody else uses the containerd. The caller holds the
// lock, and holds that on the users exclusively if so.
func (d *daemon) alone() (bool, error) {
	err := flock(d.users, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		// A failed conversion gives up the lock that was held (flock(2)).
		return false, flock(d.users, unix.LOCK_SH)
	}
	return err == nil, err
}

// release ends this process's use. If nobody else uses the containerd and it is
// not to stay, sweep is called and the containerd ended.
func (d *daemon) release(ctx context.Context, idle time.Duration, sweep func() error) (err error) {
	defer func() { err = errors.Join(err, d.users.Close()) }()
	if idle > 0 {
		return nil
	}
	lock, err := lockFile(ctx, d.lock(), unix.LOCK_EX)
	if err != nil {
		return fmt.Errorf("containerd: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if alone, err := d.alone(); err != nil || !alone {
		return err
	}
	return d.end(sweep, func() error { return d.stop(ctx, unix.SIGTERM, unix.SIGKILL) })
}

// end removes everything of a containerd that nobody uses: what still runs
// belongs to runs that were killed. The caller holds both locks.
func (d *daemon) end(sweep, stop func() error) error {
	errs := []error{sweep(), stop()}
	// What it had no knowledge of any more goes with it, processes before mounts.
	errs = append(errs, killShims(func(args []string) bool { return option(args, "-address") == d.socket() }))
	if err := workspace.UnmountAll(d.run); err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, os.RemoveAll(d.run))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("end containerd: %w", err)
	}
	return nil
}

// setIdle tells the containerd how long to outlive its users. The last word counts.
func (d *daemon) setIdle(idle time.Duration) error {
	if err := writeFile(d.idle(), []byte(idle.String()), 0o600); err != nil {
		return systemError("", err)
	}
	return nil
}

// used tells when the last user came, and how long the containerd is to stay
// after the last has gone.
func (d *daemon) used() (last time.Time, idle time.Duration, err error) {
	info, err := os.Stat(d.idle())
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, 0, nil // its starter died early
	}
	if err != nil {
		return time.Time{}, 0, err
	}
	data, err := os.ReadFile(d.idle())
	if err != nil {
		return time.Time{}, 0, err
	}
	idle, err = time.ParseDuration(strings.TrimSpace(string(data)))
	return info.ModTime(), idle, err
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
