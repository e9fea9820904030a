//go:build linux

package containerd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteserrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/cic-ci/cic/exec"
)

const (
	// pullAttempts is how often a pull is tried when the image is not.
	pullAttempts = 3
	// pullIdle is how long a registry may send nothing.
	pullIdle = 30 * time.Second
)

// pullBackoff is the pause before the second attempt; it doubles with each. Tests shorten it.
var pullBackoff = 2 * time.Second

// errStalled is the error of a registry that stopped sending.
var errStalled = fmt.Errorf("the registry sent nothing for %v", pullIdle)

// pull fetches an image from its registry and unpacks it.
func (r *Runtime) pull(ctx context.Context, ref string) (client.Image, error) {
	r.cfg.Progress("Pulling " + familiar(ref))
	var stored client.Image
	err := r.cfg.askRegistry(ctx, "pull", ref, func(resolver remotes.Resolver) (err error) {
		stored, err = r.client.Pull(ctx, ref,
			client.WithResolver(resolver),
			client.WithPullUnpack,
			client.WithPullSnapshotter(r.snapshotter))
		return err
	})
	return stored, err
}

// askRegistry does something that needs the registry of an image, and does it again
// where that may help.
func (c *Config) askRegistry(ctx context.Context, what, ref string, do func(remotes.Resolver) error) error {
	pause := pullBackoff
	for attempt := 1; ; attempt++ {
		err := do(c.resolver(ctx))
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return interrupted(ctx)
		}
		if attempt == pullAttempts || !transient(err) {
			return pullError(what, ref, err)
		}
		c.Warn(fmt.Sprintf("%s %s: %v; trying again in %v", what, familiar(ref), pullReason(err), pause))
		select {
		case <-ctx.Done():
			return interrupted(ctx)
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// transient reports whether the same pull may work a little later: also where
// containerd died meanwhile, which is started again.
func transient(err error) bool {
	if errdefs.IsUnavailable(err) || grpcstatus.Code(err) == codes.Unavailable || strings.Contains(err.Error(), "failed to send write") {
		return true // the last is the client's text for a stream that ended, with no error behind it
	}
	var status remoteserrors.ErrUnexpectedStatus
	if errors.As(err, &status) {
		return status.StatusCode == http.StatusTooManyRequests || status.StatusCode >= 500
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.IsTemporary
	}
	var timeout net.Error
	return errnoIs(err, unix.ECONNRESET, unix.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, errStalled) || errors.As(err, &timeout) && timeout.Timeout()
}

// pullError names what failed, the image, the registry and the remedy. It never holds a
// credential: addresses are left out, as those of a redirection may be signed.
func pullError(what, ref string, err error) error {
	if errdefs.IsNotFound(err) && strings.Contains(err.Error(), "no match for platform") {
		return platformError(ref, "has no variant for this machine")
	}
	return &exec.Error{
		Class: exec.ClassImagePull,
		Help:  pullHelp(err),
		Err:   fmt.Errorf("%s image %s from %s: %w", what, familiar(ref), registryHost(ref), pullReason(err)),
	}
}

// pullReason says in short why a pull failed.
func pullReason(err error) error {
	var status remoteserrors.ErrUnexpectedStatus
	var request *url.Error
	var unknownCA x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &status):
		return fmt.Errorf("the registry answers %s", status.Status)
	case errors.Is(err, docker.ErrInvalidAuthorization):
		return errors.New("the registry refuses access, or has no such repository")
	case errors.Is(err, errStalled):
		return errStalled
	case errors.As(err, &unknownCA), errors.As(err, &certificate):
		return errors.New("the registry's certificate is not signed by a known authority")
	case errors.As(err, &request):
		return request.Err
	case errdefs.IsNotFound(err):
		return errors.New("the registry has no such image")
	}
	return err
}

// pullHelp says what to do about a failed pull.
func pullHelp(err error) string {
	var status remoteserrors.ErrUnexpectedStatus
	errors.As(err, &status)
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	const substitute = "use another with --image 'PATTERN=TARGET'"
	switch {
	case errors.Is(err, docker.ErrInvalidAuthorization), status.StatusCode == http.StatusUnauthorized, status.StatusCode == http.StatusForbidden:
		return "log in to the registry (docker login), and check the image's name"
	case status.StatusCode == http.StatusTooManyRequests:
		return "the registry limits how much you pull: log in (docker login), or wait"
	case errdefs.IsNotFound(err):
		return "check the image's name and tag, or " + substitute
	case errors.As(err, &certificate):
		return "add the registry's authority to this machine's certificates, or to /etc/containerd/certs.d/HOST"
	case errors.As(err, &dns):
		return "check the registry's name and this machine's network, or " + substitute
	}
	return "check that the registry can be reached, or " + substitute
}

// registryHost gives the registry's name as it stands in a normalised reference.
func registryHost(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.Domain(named)
}
