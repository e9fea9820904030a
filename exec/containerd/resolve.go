//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/cic-ci/cic/exec"
)

// image is all that a container needs to know of its image, looked up once a run.
type image struct {
	// name is what the job asked for, normalised.
	name   string
	config ocispec.ImageConfig
	// stored is the image in containerd; nil if lower is used.
	stored client.Image
	// lower is a directory that serves, unchanged, as the root file system's lower layer.
	lower string
	// mounts belong to the root file system.
	mounts []specs.Mount
	// shells are the absolute paths of the shells that the image has, by name.
	shells        map[string]string
	passwd, group string
	// volumes are the paths that the image declares volumes, as far as they can be
	// given to a container; see [emptyVolumes].
	volumes []string
	// linked is a mount point that is a symbolic link in the image, if any is.
	linked string
}

// imageCache resolves each image at most once at a time, and remembers successes.
type imageCache struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	lookups map[string]*lookup
}

// lookup is one image being resolved, or resolved.
type lookup struct {
	done    chan struct{}
	img     *image
	err     error
	cancel  context.CancelFunc
	waiting int
}

func (c *imageCache) init() {
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.lookups = make(map[string]*lookup)
}

func (c *imageCache) close() { c.cancel() }

// get returns the image of key, by load unless it is there. Callers of one key
// share one load; it is cancelled when the last of them has gone.
func (c *imageCache) get(ctx context.Context, key string, load func(context.Context) (*image, error)) (*image, error) {
	c.mu.Lock()
	l, found := c.lookups[key]
	if !found {
		l = &lookup{done: make(chan struct{})}
		var loadCtx context.Context
		loadCtx, l.cancel = context.WithCancel(c.ctx)
		c.lookups[key] = l
		go func() {
			l.img, l.err = load(loadCtx)
			c.mu.Lock()
			if l.err != nil && c.lookups[key] == l {
				delete(c.lookups, key)
			}
			c.mu.Unlock()
			l.cancel()
			close(l.done)
		}()
	}
	l.waiting++
	c.mu.Unlock()

	var err error
	select {
	case <-l.done:
		err = l.err
	case <-ctx.Done():
		err = interrupted(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l.waiting--
	if err == nil {
		return l.img, nil
	}
	if l.waiting == 0 {
		l.cancel()
		// Someone who comes now must not get the cancelled one.
		if c.lookups[key] == l {
			delete(c.lookups, key)
		}
	}
	return nil, err
}

// image finds a job's image and makes it ready to run.
func (r *Runtime) image(ctx context.Context, ref string, policies []string) (*image, error) {
	name, err := normaliseName(ref)
	if err != nil {
		return nil, &exec.Error{Class: exec.ClassConfig, Err: err}
	}
	return r.images.get(ctx, name+" "+strings.Join(policies, " "), func(ctx context.Context) (*image, error) {
		return r.loadImage(ctx, name, policies)
	})
}

func (r *Runtime) loadImage(ctx context.Context, name string, policies []string) (*image, error) {
	ctx, err := r.leased(ctx)
	if err != nil {
		return nil, systemError("", err)
	}
	m := MappingFor(name, r.cfg.Images)
	if isOpen(name) && m.Kind == "" {
		return nil, undefinedError(name)
	}
	switch m.Kind {
	case TargetHost:
		return r.hostImage(name)
	case TargetRootfs:
		return rootfsImage(name, m.Target)
	}
	stored, err := r.obtainMapped(ctx, name, m, policies)
	if err != nil {
		return nil, err
	}
	return r.unpackedImage(ctx, name, stored)
}

// obtainMapped gets the image that an image is mapped to, or itself. m leads to an
// image or nowhere.
func (r *Runtime) obtainMapped(ctx context.Context, name string, m Mapping, policies []string) (client.Image, error) {
	switch m.Kind {
	case TargetOCI, TargetDockerArchive:
		source, err := r.importMapped(ctx, m)
		if err != nil {
			return nil, &exec.Error{Class: exec.ClassImagePull, Help: "the image mapping leads to " + string(m.Kind) + ":" + m.Target, Err: err}
		}
		return r.obtain(ctx, source, []string{"never"})
	case TargetReference:
		name = m.Target
	}
	return r.obtain(ctx, name, policies)
}

// obtain gets an image from the store or its registry, as the pull policies say:
// they are tried in order until one works.
func (r *Runtime) obtain(ctx context.Context, name string, policies []string) (client.Image, error) {
	if len(policies) == 0 {
		policies = []string{"if-not-present"}
	}
	var errs []error
	for _, policy := range policies {
		stored, err := r.obtainBy(ctx, name, policy)
		if err == nil || ctx.Err() != nil {
			return stored, err
		}
		errs = append(errs, err)
	}
	if len(errs) == 1 {
		return nil, errs[0]
	}
	err := errors.Join(errs...)
	var last *exec.Error
	if errors.As(errs[len(errs)-1], &last) {
		return nil, &exec.Error{Class: last.Class, Help: last.Help, Err: err}
	}
	return nil, err
}

func (r *Runtime) obtainBy(ctx context.Context, name, policy string) (client.Image, error) {
	switch policy {
	case "always":
		return r.pull(ctx, name)
	case "if-not-present":
		stored, err := r.stored(ctx, name)
		if err == nil && stored == nil {
			stored, err = r.pull(ctx, name)
		}
		return stored, err
	case "never":
		stored, err := r.stored(ctx, name)
		if err == nil && stored == nil {
			err = &exec.Error{
				Class: exec.ClassImagePull,
				Help:  "load it with: cic image load FILE",
				Err:   fmt.Errorf("image %s is not in the store, and the pull policy is never", familiar(name)),
			}
		}
		return stored, err
	}
	return nil, configError("it is always, if-not-present or never", "unknown pull policy %q", policy)
}

// unpackedImage unpacks a stored image and looks into it.
func (r *Runtime) unpackedImage(ctx context.Context, name string, stored client.Image) (*image, error) {
	spec, err := stored.Spec(ctx)
	if err != nil {
		return nil, systemError("", fmt.Errorf("read the configuration of image %s: %w", familiar(name), err))
	}
	if !platforms.Default().Match(spec.Platform) {
		return nil, platformError(name, "is for "+platforms.Format(spec.Platform))
	}
	unpacked, err := stored.IsUnpacked(ctx, r.snapshotter)
	if err == nil && !unpacked {
		r.cfg.Progress("Unpacking " + familiar(name))
		err = stored.Unpack(ctx, r.snapshotter)
	}
	if err != nil {
		return nil, &exec.Error{Class: exec.ClassImagePull, Err: fmt.Errorf("unpack image %s: %w", familiar(name), err)}
	}
	img := &image{name: name, config: spec.Config, stored: stored}
	if err := r.inspectStored(ctx, img); err != nil {
		return nil, systemError("", fmt.Errorf("look into image %s: %w", familiar(name), err))
	}
	return img, nil
}

// undefinedError is that of an image which mentions a variable that nobody has
// defined, and no mapping leads elsewhere.
func undefinedError(name string) error {
	return &exec.Error{
		Class: exec.ClassConfig,
		Help:  "give the variable when the plan is made, --var NAME=VALUE, or another image, --image 'PATTERN=TARGET'",
		Err:   fmt.Errorf("image %s: a variable in it is not defined", name),
	}
}

// platformError says that an image is of no use on this machine.
func platformError(name, what string) error {
	return &exec.Error{
		Class: exec.ClassImagePull,
		Help:  "use an image that is built for this machine's architecture",
		Err:   fmt.Errorf("image %s %s, and this machine is %s", familiar(name), what, platforms.Format(platforms.DefaultSpec())),
	}
}
