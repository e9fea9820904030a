//go:build linux

package containerd

import (
	"context"
	"errors"

	"github.com/containerd/containerd/v2/core/remotes"
)

// ImageDigest implements [exec.ImageDigester].
func (r *Runtime) ImageDigest(ctx context.Context, name string, policies []string) (string, error) {
	img, err := r.image(ctx, name, policies)
	if err != nil || img.stored == nil {
		return "", err
	}
	return img.stored.Target().Digest.String(), nil
}

// ServedDigest asks the registry of an image, given by its normalised reference, for
// the digest of the manifest or index that it serves under that name: "sha256:...". It
// needs no containerd.
func ServedDigest(ctx context.Context, cfg Config, name string) (digest string, err error) {
	if err := errors.Join(cfg.complete(), quiet()); err != nil {
		return "", systemError("", err)
	}
	cfg.Progress("Asking for " + familiar(name))
	err = cfg.askRegistry(ctx, "look up", name, func(resolver remotes.Resolver) error {
		_, served, err := resolver.Resolve(ctx, name)
		digest = served.Digest.String()
		return err
	})
	return digest, err
}

// StoredDigest is the digest of an image in the store, or of the file that it is mapped
// to, which is loaded; no registry is asked.
func (r *Runtime) StoredDigest(ctx context.Context, name string) (digest string, err error) {
	ctx, done, err := r.client.WithLease(ctx)
	if err != nil {
		return "", systemError("", err)
	}
	defer func() { err = errors.Join(err, done(context.WithoutCancel(ctx))) }()
	stored, err := r.obtainMapped(ctx, name, MappingFor(name, r.cfg.Images), []string{"never"})
	if err != nil {
		return "", err
	}
	return stored.Target().Digest.String(), nil
}
