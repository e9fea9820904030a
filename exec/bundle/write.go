package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Write writes a bundle. open returns the content of a blob of an image, whose size
// must be that of its descriptor.
func Write(w io.Writer, files []File, images []Image, open func(ocispec.Descriptor) (io.ReadCloser, error)) error {
	manifest, err := planManifest(files)
	if err != nil {
		return err
	}
	manifestData, err := marshal(manifest)
	if err != nil {
		return err
	}
	plan := describe(ocispec.MediaTypeImageManifest, manifestData)
	plan.ArtifactType = PlanType
	images = slices.Clone(images)
	slices.SortFunc(images, func(a, b Image) int { return strings.Compare(a.Name, b.Name) })
	indexData, err := marshal(newIndex(plan, images))
	if err != nil {
		return err
	}
	layoutData, err := marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	a := &archive{tar: tar.NewWriter(w), seen: map[string]bool{}}
	a.file(ocispec.ImageLayoutFile, layoutData)
	a.file(ocispec.ImageIndexFile, indexData)
	a.file(blobName(plan.Digest), manifestData)
	a.file(blobName(manifest.Config.Digest), ocispec.DescriptorEmptyJSON.Data)
	for i, f := range files {
		a.file(blobName(manifest.Layers[i].Digest), f.Data)
	}
	a.blobs(images, open)
	if a.err != nil {
		return a.err
	}
	return a.tar.Close()
}

// archive writes files to a tar stream, each once, and keeps the first error.
type archive struct {
	tar  *tar.Writer
	seen map[string]bool
	err  error
}

func (a *archive) file(name string, data []byte) {
	a.stream(name, int64(len(data)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
}

// blobs writes those of the images, by digest.
func (a *archive) blobs(images []Image, open func(ocispec.Descriptor) (io.ReadCloser, error)) {
	var all []ocispec.Descriptor
	for _, image := range images {
		all = append(all, image.Blobs...)
	}
	slices.SortFunc(all, func(a, b ocispec.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	for _, blob := range all {
		a.stream(blobName(blob.Digest), blob.Size, func() (io.ReadCloser, error) { return open(blob) })
	}
}

func (a *archive) stream(name string, size int64, open func() (io.ReadCloser, error)) {
	if a.err != nil || a.seen[name] {
		return
	}
	a.seen[name] = true
	a.err = a.copy(name, size, open)
}

func (a *archive) copy(name string, size int64, open func() (io.ReadCloser, error)) (err error) {
	r, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	n, err := io.Copy(a.tar, r)
	if err == nil && n != size {
		err = fmt.Errorf("%s has %d bytes, not %d", name, n, size)
	}
	return err
}
