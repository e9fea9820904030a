//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/bundle"
)

// Bundle writes a bundle of a plan's files and of images, which are obtained as for
// jobs. Of an image for several platforms it takes that for this machine.
func (r *Runtime) Bundle(ctx context.Context, w io.Writer, files []bundle.File, requests []ImageRequest) (err error) {
	ctx, done, err := r.client.WithLease(ctx)
	if err != nil {
		return systemError("", err)
	}
	defer func() { err = errors.Join(err, done(context.WithoutCancel(ctx))) }()
	var list []bundle.Image
	for _, request := range requests {
		image, err := r.bundled(ctx, request)
		if err != nil {
			return err
		}
		list = append(list, image)
	}
	return bundle.Write(w, files, list, func(blob ocispec.Descriptor) (io.ReadCloser, error) {
		at, err := r.client.ContentStore().ReaderAt(ctx, blob)
		if err != nil {
			return nil, systemError("", fmt.Errorf("read %s: %w", blob.Digest, err))
		}
		return struct {
			io.Reader
			io.Closer
		}{content.NewReader(at), at}, nil
	})
}

// bundled finds what an image consists of. One that is asked for by the digest of an
// index, which lists it for each platform, is bundled with that index, so that it has
// this digest elsewhere.
func (r *Runtime) bundled(ctx context.Context, request ImageRequest) (bundle.Image, error) {
	out := bundle.Image{Name: request.Name}
	m := MappingFor(request.Name, r.cfg.Images)
	if m.Kind == TargetHost || m.Kind == TargetRootfs {
		return out, configError("map it to an image, or to none", "image %s is mapped to a directory, which is no image that a bundle could hold", familiar(request.Name))
	}
	stored, err := r.obtainMapped(ctx, request.Name, m, request.Policies)
	if err != nil {
		return out, err
	}
	spec, err := stored.Spec(ctx)
	if err != nil {
		return out, systemError("", fmt.Errorf("read the configuration of image %s: %w", familiar(request.Name), err))
	}
	digest := stored.Target().Digest
	if pinned := imageDigest(request.Name); pinned != "" && digest.String() != pinned {
		return out, configError("map it to the image of that digest, or to none", "image %s is mapped to one of digest %s", familiar(request.Name), digest)
	} else if pinned == "" {
		digest = ""
	}
	store, platform := r.client.ContentStore(), platforms.Default()
	record := images.HandlerFunc(func(_ context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		// What else is said of these differs with how the image was obtained.
		plain := ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
		switch {
		case images.IsIndexType(d.MediaType):
			if d.Digest != digest {
				return nil, nil
			}
			out.Manifest = plain
		case images.IsManifestType(d.MediaType) && out.Manifest.Digest == "":
			out.Manifest = plain
			out.Manifest.Platform = &ocispec.Platform{Architecture: spec.Architecture, OS: spec.OS, Variant: spec.Variant}
		}
		out.Blobs = append(out.Blobs, d)
		return nil, nil
	})
	children := images.LimitManifests(images.FilterPlatforms(images.ChildrenHandler(store), platform), platform, 1)
	if err := images.Walk(ctx, images.Handlers(record, children), stored.Target()); err != nil {
		return out, &exec.Error{Class: exec.ClassImagePull, Err: fmt.Errorf("image %s is incomplete: %w", familiar(request.Name), err)}
	}
	return out, nil
}
