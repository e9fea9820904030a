//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

const (
	// embeddedAddress stands for the containerd of the state directory.
	embeddedAddress = "private"
	// contactTimeout bounds the first call to a containerd.
	contactTimeout = 10 * time.Second
)

// connect finds the containerd that was asked for, or else the embedded one.
func (r *Runtime) connect(ctx context.Context) error {
	if r.cfg.Address != "" {
		address := socketPath(r.cfg.Address)
		c, err := contact(ctx, address)
		if err != nil {
			return err
		}
		r.client, r.address, r.socket = c, address, address
		return nil
	}
	var err error
	if r.ociRuntime, err = findRuntime(); err != nil {
		return err
	}
	d, c, err := acquireDaemon(ctx, r.cfg.StateDir, r.cfg.Idle, r.cfg.Progress)
	if err != nil {
		return err
	}
	r.daemon, r.client, r.address, r.socket = d, c, embeddedAddress, d.socket()
	return nil
}

// socketPath is the path in an address of a socket.
func socketPath(address string) string { return strings.TrimPrefix(address, "unix://") }

// Address is the socket of the containerd that [Config.Address] asked for, or
// "private" for the embedded one. What a run left behind can only be swept at its own.
func (r *Runtime) Address() string { return r.address }

// Socket is the path of the socket of the containerd in use.
func (r *Runtime) Socket() string { return r.socket }

// contact connects to a containerd and makes sure that it answers.
func contact(ctx context.Context, socket string) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, contactTimeout)
	defer cancel()
	// A plain connection first: its errors say what is wrong with the socket, those of
	// gRPC do not.
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, contactError(socket, err)
	}
	if err := conn.Close(); err != nil {
		return nil, contactError(socket, err)
	}
	// The timeout is the longest pause between attempts to connect again; calls wait
	// for the connection, as long as their context allows.
	c, err := client.New(socket, client.WithDefaultNamespace(Namespace), client.WithTimeout(time.Second),
		client.WithCallOpts([]grpc.CallOption{grpc.WaitForReady(true)}))
	if err != nil {
		return nil, contactError(socket, err)
	}
	if _, err := c.Version(ctx); err != nil {
		return nil, errors.Join(contactError(socket, err), c.Close())
	}
	return c, nil
}

// contactError says why a containerd cannot be used and what to do about it.
func contactError(socket string, err error) error {
	reason := err
	var op *net.OpError
	if errors.As(err, &op) {
		reason = op.Err
	}
	if errors.Is(err, context.DeadlineExceeded) || grpcstatus.Code(err) == codes.DeadlineExceeded {
		reason = fmt.Errorf("no answer within %v", contactTimeout)
	}
	help := "check that it is the socket of a containerd, and that containerd is healthy: ctr --address " + socket + " version"
	switch {
	case errnoIs(err, unix.ENOENT, unix.ENOTDIR):
		help = "start containerd (systemctl start containerd), or give the right path of its socket, or none for the containerd in cic"
	case errnoIs(err, unix.EACCES, unix.EPERM):
		help = "run as root, or as a user who may open " + socket
	case errnoIs(err, unix.ECONNREFUSED):
		help = "nobody listens there any more: start containerd (systemctl start containerd)"
	}
	return systemError(help, fmt.Errorf("containerd at %s: %w", socket, reason))
}

const (
	// healthInterval is how often containerd is asked whether it is well.
	healthInterval = 10 * time.Second
	// maxRevivals bounds how often one run starts containerd again within
	// revivalWindow: one that cannot live does not get there.
	maxRevivals   = 30
	revivalWindow = time.Minute
)

// startGuard starts guard, which [Runtime.unguard] ends.
func (r *Runtime) startGuard() {
	ctx, cancel := context.WithCancel(context.Background())
	var watches sync.WaitGroup
	watches.Go(func() { r.guard(ctx) })
	if r.cfg.RunID != "" && !r.cfg.StrictRuntime {
		// Starting a program for its version would keep the jobs waiting.
		watches.Go(func() { r.warnAdvisories(ctx) })
	}
	r.unguard = func() { cancel(); watches.Wait() }
}

// guard keeps an eye on containerd until ctx is done. An embedded one that died, or
// twice does not answer, is replaced; without an answer from another, the
// connection is closed, so that nothing waits for it any more.
func (r *Runtime) guard(ctx context.Context) {
	var revivals []time.Time // within the window
	for ctx.Err() == nil {
		reason := r.awaitTrouble(ctx)
		if ctx.Err() != nil {
			return
		}
		if r.daemon == nil {
			r.cfg.Warn(fmt.Sprintf("containerd at %s: %s; giving up on it", r.address, reason))
			// Its error would say what the warning said.
			_ = r.client.Close()
			return
		}
		now, err := time.Now(), error(nil)
		revivals = slices.DeleteFunc(revivals, func(t time.Time) bool { return now.Sub(t) > revivalWindow })
		if revivals = append(revivals, now); len(revivals) > maxRevivals {
			err = fmt.Errorf("it has died %d times within %v", len(revivals), revivalWindow)
		} else {
			err = r.daemon.revive(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.cfg.Warn(fmt.Sprintf("containerd: %s, and could not be started again: %v", reason, err))
			_ = r.client.Close()
			return
		}
		r.cfg.Warn(fmt.Sprintf("containerd: %s; it was started again, and the jobs go on", reason))
	}
}

// awaitTrouble waits until containerd died or does not answer any more, and says
// which.
func (r *Runtime) awaitTrouble(ctx context.Context) string {
	var died <-chan struct{}
	if r.daemon != nil {
		pids, err := r.daemon.processes()
		if err == nil && len(pids) == 0 {
			return "it died"
		}
		if err == nil {
			// Without the watch, the calls below find out later.
			if ended, stop, err := processEnd(pids[0]); err == nil {
				defer stop()
				died = ended
			}
		}
	}
	for failures := 0; failures < 2; {
		select {
		case <-ctx.Done():
			return ""
		case <-died:
			return "it died"
		case <-time.After(healthInterval):
		}
		call, cancel := context.WithTimeout(ctx, contactTimeout)
		_, err := r.client.Version(call)
		cancel()
		failures++
		if err == nil {
			failures = 0
		}
	}
	return fmt.Sprintf("it does not answer within %v", contactTimeout)
}
