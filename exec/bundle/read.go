package bundle

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cic-ci/cic/plan"
)

// The bounds of what is read into memory.
const (
	maxEntries = 100_000
	maxIndex   = 16 << 20
	// maxFiles bounds all files of the plan together: its scripts take most of it.
	maxFiles = 1 << 30
)

// Bundle is a bundle that was read.
type Bundle struct {
	// Files are those of the plan.
	Files []File
	// Images are named, without their blobs.
	Images []Image
}

// Is reports whether the file is a bundle, or at least a tar archive, which no other
// file of a plan is.
func Is(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	const magic, at = "ustar", 257 // POSIX.1-2017, pax, "ustar Interchange Format"
	head := make([]byte, at+len(magic))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head[at:]) == magic
}

// Open reads the plan of a bundle and the names of its images.
func Open(path string) (_ *Bundle, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r, err := newReader(f)
	if err == nil {
		var b *Bundle
		if b, err = r.bundle(); err == nil {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%s is no bundle: %w", path, err)
}

// reader finds the files of an archive by name.
type reader struct {
	entries map[string]*io.SectionReader
	read    int64
}

func newReader(f *os.File) (*reader, error) {
	r := &reader{entries: map[string]*io.SectionReader{}}
	for t := tar.NewReader(f); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, err
		}
		switch _, twice := r.entries[h.Name]; {
		case twice:
			return nil, fmt.Errorf("it holds %q twice", h.Name)
		case len(r.entries) == maxEntries:
			return nil, fmt.Errorf("it holds more than %d files", maxEntries)
		case h.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("%q in it is no regular file", h.Name)
		}
		// The archive is read without a buffer, so that this is where the file begins.
		start, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		r.entries[h.Name] = io.NewSectionReader(f, start, h.Size)
	}
}

// content reads a file of at most so many bytes.
func (r *reader) content(name string, limit int64) ([]byte, error) {
	e := r.entries[name]
	if e == nil {
		return nil, fmt.Errorf("it holds no %s", name)
	}
	if r.read += e.Size(); e.Size() > limit || r.read > maxFiles {
		return nil, fmt.Errorf("%s in it is too large", name)
	}
	data := make([]byte, e.Size())
	_, err := io.ReadFull(e, data)
	return data, err
}

// blob reads a blob and checks its digest.
func (r *reader) blob(d ocispec.Descriptor, limit int64) ([]byte, error) {
	if err := d.Digest.Validate(); err != nil || d.Digest.Algorithm() != digest.SHA256 {
		return nil, fmt.Errorf("%q is no digest of SHA-256", d.Digest)
	}
	data, err := r.content(blobName(d.Digest), limit)
	if err == nil && describe("", data).Digest != d.Digest {
		err = fmt.Errorf("%s is not what its digest says", blobName(d.Digest))
	}
	return data, err
}

func (r *reader) bundle() (*Bundle, error) {
	data, err := r.content(ocispec.ImageIndexFile, maxIndex)
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("%s: %w", ocispec.ImageIndexFile, err)
	}
	b := &Bundle{}
	for _, m := range index.Manifests {
		if m.ArtifactType != PlanType {
			b.Images = append(b.Images, Image{Name: m.Annotations[annotationImage], Manifest: m})
			continue
		}
		if b.Files != nil {
			return nil, errors.New("it holds two plans")
		}
		if b.Files, err = r.files(m); err != nil {
			return nil, err
		}
	}
	if b.Files == nil {
		return nil, errors.New("it holds no plan")
	}
	return b, b.checkImages()
}

func (r *reader) files(manifest ocispec.Descriptor) ([]File, error) {
	data, err := r.blob(manifest, maxIndex)
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&m); err != nil {
		return nil, fmt.Errorf("the plan's manifest: %w", err)
	}
	files := []File{}
	for _, layer := range m.Layers {
		if layer.MediaType != FileType {
			return nil, fmt.Errorf("the plan has a file of type %q", layer.MediaType)
		}
		data, err := r.blob(layer, plan.MaxPlanSize)
		if err != nil {
			return nil, err
		}
		files = append(files, File{layer.Annotations[ocispec.AnnotationTitle], data})
	}
	return files, nil
}

// checkImages makes sure that each image has a name and a digest, which become parts
// of other names, and the digest that its name says.
func (b *Bundle) checkImages() error {
	for _, image := range b.Images {
		if err := image.Manifest.Digest.Validate(); err != nil || image.Manifest.Digest.Algorithm() != digest.SHA256 {
			return fmt.Errorf("image %q has no digest of SHA-256", image.Name)
		}
		if image.Name == "" {
			return fmt.Errorf("image %s has no name", image.Manifest.Digest)
		}
		if _, named, ok := strings.Cut(image.Name, "@"); ok && named != image.Manifest.Digest.String() {
			return fmt.Errorf("image %q in it has the digest %s", image.Name, image.Manifest.Digest)
		}
	}
	return nil
}
