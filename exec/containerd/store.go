//go:build linux

package containerd

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/bundle"
)

// labelSource is what an image that was read for a mapping was read from, so
// that it need not be read again.
const labelSource = "cic/source"

// stored gets an image from the store; nil without an error if it is not there
// or not complete. One with a digest is found by that alone, whatever it is called
// there: so it is the one that is meant, and one that was loaded from a file is found.
func (r *Runtime) stored(ctx context.Context, name string) (client.Image, error) {
	filter := "name==" + strconv.Quote(name)
	if digest := imageDigest(name); digest != "" {
		filter = "target.digest==" + strconv.Quote(digest)
	}
	list, err := r.client.ListImages(ctx, filter)
	for _, stored := range list {
		complete, _, _, _, checkErr := images.Check(ctx, r.client.ContentStore(), stored.Target(), platforms.Default())
		if checkErr == nil && complete {
			return stored, nil
		}
		if !errdefs.IsNotFound(checkErr) {
			err = errors.Join(err, checkErr)
		}
	}
	if err != nil {
		return nil, systemError("", fmt.Errorf("look for image %s: %w", familiar(name), err))
	}
	return nil, nil
}

// LoadImage reads an image archive (of docker save, or an OCI layout, perhaps
// compressed) or an OCI layout directory into the store, and returns the
// normalised references that it got: those in the archive, or name alone.
func (r *Runtime) LoadImage(ctx context.Context, path, name string) ([]string, error) {
	if name != "" {
		normalised, err := normalise(name)
		if err != nil {
			return nil, configError("", "load %s: %w", path, err)
		}
		name = normalised
	}
	names, err := r.importImages(ctx, path, name, nil)
	if err != nil {
		return nil, systemError("", fmt.Errorf("load %s: %w", path, err))
	}
	return names, nil
}

// ListImages lists the images in the store by name.
func (r *Runtime) ListImages(ctx context.Context) ([]ImageInfo, error) {
	list, err := r.client.ListImages(ctx)
	if err != nil {
		return nil, systemError("", fmt.Errorf("list images: %w", err))
	}
	var infos []ImageInfo
	for _, stored := range list {
		_, mapped := stored.Labels()[labelSource]
		size, err := stored.Size(ctx)
		if err != nil && !errdefs.IsNotFound(err) {
			return nil, systemError("", fmt.Errorf("size of image %s: %w", stored.Name(), err))
		}
		infos = append(infos, ImageInfo{Name: stored.Name(), Digest: stored.Target().Digest.String(), Size: size, Mapped: mapped})
	}
	slices.SortFunc(infos, func(a, b ImageInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// RemoveImage removes an image from the store, and what it alone used. Running
// containers are not affected.
func (r *Runtime) RemoveImage(ctx context.Context, ref string) error {
	name, err := normalise(ref)
	if err != nil {
		return configError("", "remove image: %w", err)
	}
	err = r.client.ImageService().Delete(ctx, name, images.SynchronousDelete())
	if errdefs.IsNotFound(err) {
		return &exec.Error{Class: exec.ClassConfig, Help: "list them with: cic image ls", Err: fmt.Errorf("no image %s in the store", familiar(name))}
	}
	if err != nil {
		return systemError("", fmt.Errorf("remove image %s: %w", familiar(name), err))
	}
	return nil
}

// importMapped reads the image of a mapping into the store, unless it is there
// unchanged, and returns its name.
func (r *Runtime) importMapped(ctx context.Context, m Mapping) (string, error) {
	// One at a time: jobs that start together often want images of one archive.
	r.importing.Lock()
	defer r.importing.Unlock()
	name := mappedName(m)
	source := m.Target
	info, err := os.Stat(source)
	if err == nil && info.IsDir() {
		source = filepath.Join(source, ocispec.ImageIndexFile)
		info, err = os.Stat(source)
	}
	if err != nil {
		return "", err
	}
	label := fmt.Sprintf("%d:%d", info.Size(), info.ModTime().UnixNano())
	stored, err := r.stored(ctx, name)
	if err != nil {
		return "", err
	}
	if stored != nil && stored.Labels()[labelSource] == label {
		return name, nil
	}
	r.cfg.Progress("Reading " + m.Target)
	labels := map[string]string{labelSource: label}
	if m.Digest == "" {
		_, err = r.importImages(ctx, m.Target, name, labels)
	} else {
		err = r.importSelected(ctx, m, labels)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.Target, err)
	}
	return name, nil
}

// mappedName is what the image of a mapping is called in the store.
func mappedName(m Mapping) string {
	text := string(m.Kind) + ":" + m.Target
	if m.Digest != "" {
		text += "@" + m.Digest
	}
	sum := sha256.Sum256([]byte(text))
	return "cic.local/mapped:" + hex.EncodeToString(sum[:16])
}

// importSelected reads a layout of several images. All of them are named, so that
// the next need not be read again.
func (r *Runtime) importSelected(ctx context.Context, m Mapping, labels map[string]string) error {
	selected := false
	err := r.readArchive(ctx, m.Target, func(ctx context.Context, index ocispec.Index) error {
		for _, manifest := range index.Manifests {
			other := m
			other.Digest = manifest.Digest.String()
			if manifest.ArtifactType == bundle.PlanType {
				continue
			}
			err := r.addImage(ctx, images.Image{Name: mappedName(other), Target: manifest, Labels: labels})
			if other.Digest == m.Digest {
				if selected = true; err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil && !selected {
		err = errors.New("it holds no image " + m.Digest)
	}
	return err
}

// importImages reads an archive or layout into the content store and names what it holds.
func (r *Runtime) importImages(ctx context.Context, path, name string, labels map[string]string) ([]string, error) {
	var names []string
	err := r.readArchive(ctx, path, func(ctx context.Context, index ocispec.Index) error {
		found, err := namedImages(index, name)
		if err != nil {
			return err
		}
		for _, image := range found {
			image.Labels = labels
			if err := r.addImage(ctx, image); err != nil {
				return err
			}
			names = append(names, image.Name)
		}
		return nil
	})
	return names, err
}

// readArchive reads an archive or layout into the content store, where a lease keeps
// it until use has returned. Of what cannot be read whole nothing stays.
func (r *Runtime) readArchive(ctx context.Context, path string, use func(context.Context, ocispec.Index) error) (err error) {
	manager := r.client.LeasesService()
	lease, err := manager.Create(ctx, leases.WithRandomID(), leases.WithExpiration(leaseLife))
	if err != nil {
		return err
	}
	ctx = leases.WithLease(ctx, lease.ID)
	defer func() {
		var opts []leases.DeleteOpt
		if err != nil {
			opts = append(opts, leases.SynchronousDelete) // it may have filled the disk
		}
		err = errors.Join(err, manager.Delete(context.WithoutCancel(ctx), lease, opts...))
	}()
	reader, err := openArchive(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	store := r.client.ContentStore()
	desc, err := archive.ImportIndex(ctx, store, reader)
	switch {
	case err != nil && exec.DiskFull(err):
		return err
	case err != nil:
		return fmt.Errorf("not an image archive or OCI layout: %w", err)
	}
	data, err := content.ReadBlob(ctx, store, desc)
	if err != nil {
		return err
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return fmt.Errorf("index.json: %w", err)
	}
	return use(ctx, index)
}

// addImage puts an image, whose content is there, into the store.
func (r *Runtime) addImage(ctx context.Context, image images.Image) error {
	store := r.client.ContentStore()
	// The labels keep the content from being collected as garbage.
	// Of an image for several platforms, one is used here, and others may not be there.
	children := images.LimitManifests(images.FilterPlatforms(images.ChildrenHandler(store), platforms.Default()), platforms.Default(), 1)
	handler := images.SetChildrenLabels(store, children)
	if err := images.Walk(ctx, handler, image.Target); err != nil {
		return fmt.Errorf("image %s is incomplete: %w", familiar(image.Name), err)
	}
	spec, err := client.NewImage(r.client, image).Spec(ctx)
	switch {
	case errdefs.IsNotFound(err):
		return platformError(image.Name, "has no variant for this machine")
	case err != nil:
		return fmt.Errorf("image %s: %w", familiar(image.Name), err)
	case !platforms.Default().Match(spec.Platform):
		return platformError(image.Name, "is for "+platforms.Format(spec.Platform))
	}
	_, err = r.client.ImageService().Create(ctx, image)
	if errdefs.IsAlreadyExists(err) {
		_, err = r.client.ImageService().Update(ctx, image)
	}
	return err
}

// namedImages lists the images of an index: the one that it holds under name, or
// all under their own names.
func namedImages(index ocispec.Index, name string) ([]images.Image, error) {
	var found []images.Image
	for _, manifest := range index.Manifests {
		if manifest.ArtifactType == bundle.PlanType {
			continue
		}
		own := manifest.Annotations[images.AnnotationImageName]
		if own == "" {
			own = manifest.Annotations[ocispec.AnnotationRefName]
		}
		switch {
		case name != "":
			if len(found) > 0 && found[0].Target.Digest != manifest.Digest {
				return nil, errors.New("it holds several images, and only one can be called " + familiar(name))
			}
			found = []images.Image{{Name: name, Target: manifest}}
			continue
		case own == "" || !strings.ContainsAny(own, ":/"):
			// An OCI layout may have a bare tag here, which says not what image it is of.
			return nil, errors.New("the image in it has no name; give it one with --name")
		}
		full, err := normalise(own)
		if err != nil {
			return nil, err
		}
		found = append(found, images.Image{Name: full, Target: manifest})
	}
	if len(found) == 0 {
		return nil, errors.New("it holds no image")
	}
	return found, nil
}

// openArchive opens an archive as an uncompressed tar stream; a directory is
// turned into one.
func openArchive(path string) (io.ReadCloser, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(writeLayout(writer, path)) }()
		return reader, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	stream, err := compression.DecompressStream(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{stream, closers{stream, f}}, nil
}

// closers closes all of its members, in order.
type closers []io.Closer

func (c closers) Close() error {
	var errs []error
	for _, closer := range c {
		errs = append(errs, closer.Close())
	}
	return errors.Join(errs...)
}

// writeLayout writes the regular files of a directory as a tar stream.
func writeLayout(w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	tw := tar.NewWriter(w)
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if err := tw.WriteHeader(&tar.Header{Name: name, Size: info.Size(), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err = io.Copy(tw, f)
		return err
	})
	return errors.Join(err, tw.Close())
}
