//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/sirupsen/logrus"
)

// certDirs are where a machine's administrator says how to reach registries:
// hosts.toml of containerd (mirrors, authorities, client certificates), and files
// of certificates in Docker's layout. The first with a directory for a registry counts.
var certDirs = []string{"/etc/containerd/certs.d", "/etc/docker/certs.d"}

// resolver speaks to registries. It is made anew for each attempt: it remembers
// authorisations, also those that failed. A registry on this machine's loopback may
// speak HTTP, and its certificate is not checked, as with Docker.
func (c *Config) resolver(ctx context.Context) remotes.Resolver {
	return docker.NewResolver(docker.ResolverOptions{Hosts: config.ConfigureHosts(c.warnLogged(ctx), config.HostOptions{
		HostDir:      c.certDir,
		Credentials:  c.credentials,
		UpdateClient: guardClient,
	})})
}

// warnLogged makes warnings of the errors that the client library only logs, and goes
// on after: a hosts.toml that it cannot read.
func (c *Config) warnLogged(ctx context.Context) context.Context {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.AddHook(warnHook(c.Warn))
	return log.WithLogger(ctx, logrus.NewEntry(logger))
}

// warnHook is called with each error that is logged.
type warnHook func(text string)

func (h warnHook) Levels() []logrus.Level { return []logrus.Level{logrus.ErrorLevel} }

func (h warnHook) Fire(entry *logrus.Entry) error {
	h(fmt.Sprintf("%s: %v", entry.Message, entry.Data[logrus.ErrorKey]))
	return nil
}

// certDir is the directory with the settings of a registry.
func (c *Config) certDir(host string) (string, error) {
	for _, root := range c.CertDirs {
		if dir, err := config.HostDirFromRoot(root)(host); !errdefs.IsNotFound(err) {
			return dir, err
		}
	}
	return "", nil
}

// guardClient bounds how long a registry may be silent.
func guardClient(c *http.Client) error {
	transport, fresh := c.Transport.(*http.Transport)
	if !fresh {
		return nil // a copy of one that was guarded
	}
	transport.TLSHandshakeTimeout = pullIdle
	transport.ResponseHeaderTimeout = pullIdle
	transport.ForceAttemptHTTP2 = true
	// Each resolver has its own; nothing must keep its connections open.
	transport.IdleConnTimeout = 10 * time.Second
	c.Transport = stallGuard{transport}
	return nil
}

// credentials gives the user name and secret for a registry, and for that one
// alone; an empty name with a secret means an identity token.
func (c *Config) credentials(host string) (user, secret string, err error) {
	if host == "registry-1.docker.io" {
		// Where Docker Hub is served is not what its credentials are filed under.
		host = name.DefaultRegistry
	}
	registry, err := name.NewRegistry(host)
	if err != nil {
		return "", "", err
	}
	authenticator, err := c.Keychain.Resolve(registry)
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
