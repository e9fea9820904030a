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
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
)

const (
	// pullAttempts is how often a pull is tried when the registry is at fault.
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
	pause := pullBackoff
	for attempt := 1; ; attempt++ {
		stored, err := r.client.Pull(ctx, ref,
			client.WithResolver(r.resolver()),
			client.WithPullUnpack,
			client.WithPullSnapshotter(r.snapshotter))
		if err == nil {
			return stored, nil
		}
		if ctx.Err() != nil {
			return nil, interrupted(ctx)
		}
		if attempt == pullAttempts || !transient(err) {
			return nil, pullError(ref, err)
		}
		r.cfg.Warn(fmt.Sprintf("pull %s: %v; trying again in %v", familiar(ref), pullReason(err), pause))
		select {
		case <-ctx.Done():
			return nil, interrupted(ctx)
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// resolver speaks to registries. It is made anew for each attempt: it remembers
// authorisations, also those that failed.
func (r *Runtime) resolver() remotes.Resolver {
	httpClient := &http.Client{Transport: stallGuard{&http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: pullIdle}).DialContext,
		TLSHandshakeTimeout:   pullIdle,
		ResponseHeaderTimeout: pullIdle,
		ForceAttemptHTTP2:     true,
		// Each resolver has its own; nothing must keep its connections open.
		IdleConnTimeout: 10 * time.Second,
	}}}
	authorizer := docker.NewDockerAuthorizer(docker.WithAuthClient(httpClient), docker.WithAuthCreds(r.credentials))
	return docker.NewResolver(docker.ResolverOptions{
		Hosts: docker.ConfigureDefaultRegistries(
			docker.WithClient(httpClient),
			docker.WithAuthorizer(authorizer),
			docker.WithPlainHTTP(func(host string) (bool, error) { return r.cfg.PlainHTTP(host), nil }),
		),
	})
}

// credentials gives the user name and secret for a registry, and for that one
// alone; an empty name with a secret means an identity token.
func (r *Runtime) credentials(host string) (user, secret string, err error) {
	if host == "registry-1.docker.io" {
		// Where Docker Hub is served is not what its credentials are filed under.
		host = name.DefaultRegistry
	}
	registry, err := name.NewRegistry(host)
	if err != nil {
		return "", "", err
	}
	authenticator, err := r.cfg.Keychain.Resolve(registry)
	if err != nil {
		return "", "", fmt.Errorf("credentials for %s: %w", host, err)
	}
	if authenticator == authn.Anonymous {
		return "", "", nil
	}
	config, err := authenticator.Authorization()
	if err != nil {
		return "", "", fmt.Errorf("credentials for %s: %w", host, err)
	}
	if config.IdentityToken != "" {
		return "", config.IdentityToken, nil
	}
	return config.Username, config.Password, nil
}

// loopback reports whether a registry is on this machine.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// transient reports whether the same pull may work a little later.
func transient(err error) bool {
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

// pullError names the image, the registry and the remedy. It never holds a
// credential: addresses are left out, as those of a redirection may be signed.
func pullError(ref string, err error) error {
	if errdefs.IsNotFound(err) && strings.Contains(err.Error(), "no match for platform") {
		return platformError(ref, "has no variant for this machine")
	}
	return &exec.Error{
		Class: exec.ClassImagePull,
		Help:  pullHelp(err),
		Err:   fmt.Errorf("pull image %s from %s: %w", familiar(ref), registryHost(ref), pullReason(err)),
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
		return "add the registry's authority to this machine's certificates"
	case errors.As(err, &dns):
		return "check the registry's name and this machine's network, or " + substitute
	}
	return "check that the registry can be reached, or " + substitute
}

// stallGuard ends a response whose body stops flowing.
type stallGuard struct{ next http.RoundTripper }

func (g stallGuard) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	resp, err := g.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel(nil)
		return nil, err
	}
	resp.Body = &guardedBody{
		ReadCloser: resp.Body,
		cancel:     cancel,
		ctx:        ctx,
		timer:      time.AfterFunc(pullIdle, func() { cancel(errStalled) }),
	}
	return resp, nil
}

type guardedBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (b *guardedBody) Read(p []byte) (int, error) {
	b.timer.Reset(pullIdle)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && errors.Is(context.Cause(b.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

func (b *guardedBody) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// registryHost gives the registry's name as it stands in a normalised reference.
func registryHost(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.Domain(named)
}
