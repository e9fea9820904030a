//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sys/unix"
)

const (
	systemSocket = "/run/containerd/containerd.sock"
	// privateAddress stands for the private containerd of the state directory.
	privateAddress = "private"
	// contactTimeout bounds the first call to a containerd.
	contactTimeout = 10 * time.Second
)

// connect finds a containerd: the one that was asked for, or else the system's,
// or else a private one.
func (r *Runtime) connect(ctx context.Context) error {
	if r.cfg.Address != "" {
		address := strings.TrimPrefix(r.cfg.Address, "unix://")
		c, err := contact(ctx, address)
		if err != nil {
			return err
		}
		r.client, r.address = c, address
		return nil
	}
	if c, err := contact(ctx, systemSocket); err == nil {
		r.client, r.address = c, systemSocket
		return nil
	} else if !errnoIs(err, unix.ENOENT, unix.ENOTDIR) {
		r.cfg.Warn(fmt.Sprintf("using a private containerd: %v", err))
	}
	d, c, err := acquireDaemon(ctx, r.cfg.StateDir, r.cfg.Progress)
	if err != nil {
		return err
	}
	r.daemon, r.client, r.address = d, c, privateAddress
	return nil
}

// Address is the socket of the containerd in use, or "private" for that of the
// state directory. What a run left behind can only be swept at its own.
func (r *Runtime) Address() string { return r.address }

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
	c, err := client.New(socket, client.WithDefaultNamespace(Namespace), client.WithTimeout(contactTimeout))
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
	help := "check that it is the socket of a containerd, and that containerd is healthy: ctr --address " + socket + " version"
	switch {
	case errnoIs(err, unix.ENOENT, unix.ENOTDIR):
		help = "start containerd (systemctl start containerd), or give the right path of its socket, or none for a private containerd"
	case errnoIs(err, unix.EACCES, unix.EPERM):
		help = "run as root, or as a user who may open " + socket
	case errnoIs(err, unix.ECONNREFUSED):
		help = "nobody listens there any more: start containerd (systemctl start containerd)"
	}
	return systemError(help, fmt.Errorf("containerd at %s: %w", socket, reason))
}
