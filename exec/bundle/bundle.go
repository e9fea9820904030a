// Package bundle packs a plan, its scripts and its images into one file, to run it
// where there is no network: an archive of an OCI image layout (OCI Image Format
// Specification, "Image Layout"), which other tools can read too.
//
// The plan is an artifact in it: a manifest of [PlanType] whose layers are the files
// of the plan's directory. The images are named by annotations as in any layout. The
// same plan and the same images give the same bytes.
//
// A bundle is read as hostile input: what is not of the form that [Write] makes is
// refused, and the digest of each file of the plan is checked.
package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The types of what a bundle holds beside images.
const (
	// PlanType is the artifact type of the plan's manifest.
	PlanType = "application/vnd.cic.plan.v1"
	// FileType is the media type of a file of the plan; its title is its path.
	FileType = "application/vnd.cic.plan.file.v1"
)

// annotationImage is the whole name of an image, as containerd writes it.
const annotationImage = "io.containerd.image.name"

// File is a file of the plan: plan.json, its signature, plan.map.json, or a script.
type File struct {
	// Path is relative to the plan's directory, with forward slashes.
	Path string
	Data []byte
}

// Image is an image of a bundle.
type Image struct {
	// Name is the normalised reference that the plan has.
	Name string
	// Manifest is that for one platform; of an image that is named with the digest of
	// an index, it is that index.
	Manifest ocispec.Descriptor
	// Blobs are the manifest and all that it names. They are not known of an image
	// of a bundle that was read.
	Blobs []ocispec.Descriptor
}

func describe(mediaType string, data []byte) ocispec.Descriptor {
	sum := sha256.Sum256(data)
	return ocispec.Descriptor{
		MediaType: mediaType, Digest: digest.NewDigestFromEncoded(digest.SHA256, hex.EncodeToString(sum[:])), Size: int64(len(data)),
	}
}

// planManifest is the manifest of the plan's files.
func planManifest(files []File) (ocispec.Manifest, error) {
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: PlanType, Config: ocispec.DescriptorEmptyJSON,
	}
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f.Path] {
			return m, fmt.Errorf("two files of the plan are called %q", f.Path)
		}
		seen[f.Path] = true
		d := describe(FileType, f.Data)
		d.Annotations = map[string]string{ocispec.AnnotationTitle: f.Path}
		m.Layers = append(m.Layers, d)
	}
	return m, nil
}

// newIndex lists the plan first, then the images.
func newIndex(plan ocispec.Descriptor, images []Image) ocispec.Index {
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{plan},
	}
	for _, image := range images {
		d := image.Manifest
		d.Annotations = map[string]string{annotationImage: image.Name, ocispec.AnnotationRefName: image.Name}
		index.Manifests = append(index.Manifests, d)
	}
	return index
}

func blobName(d digest.Digest) string {
	return ocispec.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

func marshal(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return data, nil
}
