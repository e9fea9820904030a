//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/log"
	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/network"
)

// The labels on everything that a run makes in containerd.
const (
	labelRun = "cic/run"
	labelJob = "cic/job"
)

const (
	// leaseLife bounds how long what a run made survives it where no sweep comes by.
	leaseLife = 24 * time.Hour
	// closeTimeout bounds one clean-up, which must also work after a cancellation.
	closeTimeout = 60 * time.Second
)

// safeID is what identifiers of runs and jobs must look like, as they become
// parts of paths and labels.
var safeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Runtime runs jobs in containers. Its methods may be called concurrently.
type Runtime struct {
	cfg         Config
	client      *client.Client
	daemon      *daemon // nil for a containerd that is not ours
	address     string
	socket      string
	snapshotter string
	// ociRuntime is the path of the program that makes containers, for the embedded
	// containerd; another knows its own.
	ociRuntime string
	// unguard ends the watch over containerd and waits for that.
	unguard func()

	images  imageCache
	network runNetwork
	shim    sharedShim
	// warming is done once, and warm while that goes on.
	warming sync.Once
	warm    sync.WaitGroup
	// unlimited says once what cannot be limited.
	unlimited sync.Once
	counter   atomic.Uint64

	mu         sync.Mutex
	lease      string
	leaseSince time.Time
	leaseCount int

	// importing is held while the archive of a mapping is read.
	importing sync.Mutex

	closeOnce sync.Once
	closeErr  error
}

// Open connects to containerd, or starts the embedded one, as [Config.Address]
// says. An error is an [exec.Error] of class system, with the usual remedies.
func Open(ctx context.Context, cfg Config) (*Runtime, error) {
	if err := errors.Join(cfg.complete(), quiet()); err != nil {
		return nil, systemError("", err)
	}
	if os.Geteuid() != 0 {
		return nil, systemError("run it with sudo; mounting a job's file systems needs root", errors.New("running jobs in containers needs root"))
	}
	if err := requireFiles(); err != nil {
		return nil, err
	}
	r := &Runtime{cfg: cfg, unguard: func() {}}
	r.images.init()
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	var err error
	if r.snapshotter, err = chooseSnapshotter(ctx, r.client, cfg.Warn); err != nil {
		return nil, errors.Join(systemError("", err), r.Close())
	}
	if cfg.StrictRuntime {
		holes, err := r.holes(ctx)
		if err == nil && holes != "" {
			err = errors.New(holes)
		}
		if err != nil {
			return nil, errors.Join(systemError("update it, or leave out --strict-runtime", err), r.Close())
		}
	}
	if err := r.openToRoot(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.startGuard()
	return r, nil
}

// complete checks a configuration and fills in its defaults.
func (c *Config) complete() error {
	if !filepath.IsAbs(c.StateDir) {
		return fmt.Errorf("the state directory %q is not an absolute path", c.StateDir)
	}
	if c.RunID != "" && !safeID.MatchString(c.RunID) {
		return fmt.Errorf("run id %q is not safe as a file name", c.RunID)
	}
	if c.RunID != "" && !filepath.IsAbs(c.RunDir) {
		return fmt.Errorf("the run's directory %q is not an absolute path", c.RunDir)
	}
	switch c.Network {
	case "":
		c.Network = NetworkBridge
	case NetworkBridge, NetworkNone, NetworkHost:
	default:
		return fmt.Errorf("unknown network %q: it is %s, %s or %s", c.Network, NetworkBridge, NetworkNone, NetworkHost)
	}
	if c.ServiceTimeout == 0 {
		c.ServiceTimeout = serviceTimeout
	}
	if c.Keychain == nil {
		c.Keychain = authn.DefaultKeychain
	}
	if c.CertDirs == nil {
		c.CertDirs = certDirs
	}
	if c.Warn == nil {
		c.Warn = func(string) {}
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	return nil
}

// quiet keeps the client library from logging on standard error what it also returns as
// errors.
func quiet() error { return log.SetLevel(log.FatalLevel) }

// chooseSnapshotter prefers overlayfs, whose set-up does not depend on the size
// of the image, and falls back to copies.
func chooseSnapshotter(ctx context.Context, c *client.Client, warn func(string)) (string, error) {
	plugins, err := c.IntrospectionService().Plugins(ctx, "type==io.containerd.snapshotter.v1")
	if err != nil {
		return "", fmt.Errorf("ask containerd for its snapshotters: %w", err)
	}
	usable := make(map[string]bool)
	for _, p := range plugins.Plugins {
		usable[p.ID] = p.InitErr == nil
	}
	switch {
	case usable["overlayfs"]:
		return "overlayfs", nil
	case usable["native"]:
		warn("containerd cannot use overlayfs here; each container copies its image, which is slow")
		return "native", nil
	}
	return "", errors.New("containerd has neither the overlayfs nor the native snapshotter")
}

// leased gives a context for calls to containerd that make things, under a lease
// of the run: without one, a snapshot may be collected as garbage before the
// container that uses it exists. A lease cannot be renewed, so that a new one is
// taken after half the life of the last.
func (r *Runtime) leased(ctx context.Context) (context.Context, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx = namespaces.WithNamespace(ctx, Namespace)
	if r.lease == "" || time.Since(r.leaseSince) > leaseLife/2 {
		r.leaseCount++
		id := fmt.Sprintf("cic-%s-%d", r.cfg.RunID, r.leaseCount)
		_, err := r.client.LeasesService().Create(ctx, leases.WithID(id), leases.WithExpiration(leaseLife),
			leases.WithLabels(map[string]string{labelRun: r.cfg.RunID}))
		if err != nil {
			return nil, fmt.Errorf("create a lease in containerd: %w", err)
		}
		r.lease, r.leaseSince = id, time.Now()
	}
	return leases.WithLease(ctx, r.lease), nil
}

// Close removes what the run made in containerd beside its sandboxes, which
// must be closed before, and disconnects. Close may be called twice.
func (r *Runtime) Close() error {
	r.closeOnce.Do(func() { r.closeErr = r.close() })
	return r.closeErr
}

func (r *Runtime) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	r.images.close()
	r.warm.Wait()
	var errs []error
	if r.cfg.RunID != "" {
		run := []string{r.cfg.RunID}
		var networkErr error
		var all sync.WaitGroup
		all.Go(func() { networkErr = errors.Join(r.network.close(), network.Sweep(run)) })
		errs = append(errs, r.sweepContainers(ctx, run), os.RemoveAll(r.imageDir()))
		all.Wait()
		errs = append(errs, networkErr)
	}
	r.unguard()
	if r.daemon != nil {
		errs = append(errs, r.daemon.release(ctx, r.cfg.Idle, func() error { return r.sweepAll(ctx) }))
	}
	errs = append(errs, r.client.Close())
	return errors.Join(errs...)
}

// imageDir is where this package works in the run's directory. No job's
// directory can have this name.
func (r *Runtime) imageDir() string { return filepath.Join(r.cfg.RunDir, "@images") }

// makeDir makes a directory with exactly this mode, whatever the umask.
func makeDir(path string, mode fs.FileMode) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// writeFile writes a file with exactly this mode, whatever the umask.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// systemError is an [exec.Error] of class system.
func systemError(help string, err error) error {
	return &exec.Error{Class: exec.ClassSystem, Help: help, Err: err}
}

// configError is an [exec.Error] of class config.
func configError(help, format string, args ...any) error {
	return &exec.Error{Class: exec.ClassConfig, Help: help, Err: fmt.Errorf(format, args...)}
}

// interrupted is the error of something that ctx ended.
func interrupted(ctx context.Context) error {
	return &exec.Error{Class: exec.ClassCanceled, Err: context.Cause(ctx)}
}

// errnoIs reports whether err is, or wraps, one of these error numbers.
func errnoIs(err error, numbers ...unix.Errno) bool {
	for _, n := range numbers {
		if errors.Is(err, n) {
			return true
		}
	}
	return false
}
