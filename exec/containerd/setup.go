//go:build linux

package containerd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/network"
)

// createTimeout bounds the creation of a container and its task, which takes a
// tenth of a second on a quiet machine.
const createTimeout = 2 * time.Minute

// sandbox is one job's container. It implements [exec.Sandbox].
type sandbox struct {
	r   *Runtime
	id  string
	job exec.Spec
	img *image
	// spec is kept for its process, as which others can be started.
	spec      *oci.Spec
	container client.Container
	// shim is the one that the container shares, if it does.
	shim string
	// task is for the next program, or was for the last one if ran is set.
	task client.Task
	ran  bool
	out  *output
	// own: the programs print to a FIFO of their own, which the shim does not wake up
	// for. Behind an entry point they print where that does.
	own bool
	// host is the container's place in segment, nil in the machine's network and
	// without any. The services' are of the job's segment.
	host     *network.Host
	segment  *network.Segment
	services []*service
	// snapshot is what its root file system is mounted from, in a user namespace.
	snapshot []mount.Mount
	// tasks counts those made so far.
	tasks int
	// layers hold what the job writes, where that is limited.
	layers []string
	// hits are the limits that the last program ran into.
	hits exec.Hits

	closeOnce sync.Once
	closeErr  error
}

// Setup finds the image and creates the job's container, with its first process
// ready to start. An error has class image_pull, config, system, or canceled.
func (r *Runtime) Setup(ctx context.Context, spec exec.Spec) (exec.Sandbox, error) {
	if r.cfg.RunID == "" || !safeID.MatchString(spec.ID) {
		return nil, systemError("", fmt.Errorf("set up job %q of run %q: not safe as file names", spec.ID, r.cfg.RunID))
	}
	r.warming.Do(r.warmUp)
	img, err := r.image(ctx, spec.Image, spec.Job.Image.PullPolicy)
	if err != nil {
		return nil, err
	}
	if img.shell("sh") == "" {
		return nil, configError("use an image with a shell, such as alpine", "image %s has no shell %q; cic needs a POSIX sh", familiar(img.name), "sh")
	}
	s := &sandbox{r: r, id: r.newID("job"), job: spec, img: img}
	if s.spec, err = r.newSpec(spec, img, s.programs()); err != nil {
		return nil, err
	}
	if len(spec.Secrets) > 0 {
		s.spec.Mounts = append(s.spec.Mounts, s.secretsMount())
	}
	if s.own = len(entrypoint(spec.Job, img)) == 0; s.own {
		s.spec.Mounts = append(s.spec.Mounts, s.outputMount())
	}
	if err := connectNetwork(s.spec, spec, r.inHostNetwork(spec)); err != nil {
		return nil, systemError("", err)
	}
	if s.services, err = r.newServices(ctx, spec); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	// A call that is cancelled half-way may leave something behind: these run to
	// their end, and are undone if nobody wants the sandbox any more.
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
	defer cancel()
	err = s.createAll(detached)
	if err == nil && ctx.Err() != nil {
		err = interrupted(ctx)
	}
	if err != nil {
		// The first error counts; the clean-up's may follow from it.
		if closeErr := s.Close(); closeErr != nil {
			r.cfg.Warn(fmt.Sprintf("after a failed set-up of %s: %v", spec.ID, closeErr))
		}
		return nil, err
	}
	return s, nil
}

// warmUp makes what all of the run's containers share, while the first one's image
// is looked for. Its errors come again where these are needed.
func (r *Runtime) warmUp() {
	if r.daemon != nil {
		r.warm.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), createTimeout)
			defer cancel()
			if ctx, err := r.leased(ctx); err == nil {
				_, _ = r.join(ctx)
			}
		})
	}
	if r.cfg.Network == NetworkBridge {
		r.warm.Go(func() { _, _ = r.openNetwork() })
	}
}

// newID makes a name for something in containerd, unique in the run. Names there
// are limited to 76 characters, so that they cannot hold the job's.
func (r *Runtime) newID(kind string) string {
	return fmt.Sprintf("%s%s-%d", idPrefix(r.cfg.RunID), kind, r.counter.Add(1))
}

// idPrefix is what the names of all that a run makes in containerd begin with.
func idPrefix(run string) string {
	sum := sha256.Sum256([]byte(run))
	return hex.EncodeToString(sum[:8]) + "-"
}

// programs is the directory on the host that the container sees as [programDir].
func (s *sandbox) programs() string { return filepath.Join(s.job.Scratch, "programs") }

// createAll makes the job's container and those of its services.
func (s *sandbox) createAll(ctx context.Context) error {
	if err := s.connect(); err != nil {
		return err
	}
	var all errgroup.Group
	all.Go(func() error { return s.create(ctx) })
	for _, service := range s.services {
		all.Go(func() error { return service.describe(service.create(ctx)) })
	}
	return all.Wait()
}

// create makes the container and its first task.
func (s *sandbox) create(ctx context.Context) error {
	ctx, err := s.r.leased(ctx)
	if err != nil {
		return systemError("", err)
	}
	if err := makeDir(s.programs(), 0o755); err != nil {
		return systemError("", err)
	}
	if err := writeFile(filepath.Join(s.programs(), gitConfigFile), []byte(gitConfig), 0o644); err != nil {
		return systemError("", err)
	}
	if err := s.makeOwnOutput(); err != nil {
		return systemError("", err)
	}
	if err := s.mountSecrets(); err != nil {
		return systemError("", err)
	}
	if err := s.addVolumes(); err != nil {
		return err
	}
	err = s.newContainer(ctx)
	if err == nil || !s.r.shimLost(s.shim) {
		return err
	}
	if err := s.remove(); err != nil {
		return systemError("", fmt.Errorf("remove a container whose shim died: %w", err))
	}
	s.container, s.layers = nil, nil
	return s.newContainer(ctx)
}

// newContainer makes the container, with its first task.
func (s *sandbox) newContainer(ctx context.Context) error {
	labels := map[string]string{labelRun: s.r.cfg.RunID, labelJob: s.job.ID}
	opts := []client.NewContainerOpts{client.WithContainerLabels(labels)}
	if d := s.r.daemon; d != nil {
		var err error
		if s.shim, err = s.r.join(ctx); err != nil {
			return err
		}
		opts = append(opts, client.WithSandbox(s.shim), client.WithRuntime(runtimeName, s.runtimeOptions()))
	}
	switch {
	case s.img.stored == nil:
	case s.job.UserNamespace:
		if err := s.newSnapshot(ctx, labels); err != nil {
			return systemError("", fmt.Errorf("make the root file system: %w", err))
		}
	default:
		opts = append(opts, client.WithSnapshotter(s.r.snapshotter), client.WithNewSnapshot(s.id, s.img.stored, snapshots.WithLabels(labels)))
	}
	opts = append(opts, client.WithSpec(s.spec))
	var err error
	if s.container, err = s.r.client.NewContainer(ctx, s.id, opts...); err != nil {
		return systemError("", fmt.Errorf("create a container: %w", err))
	}
	if s.job.Limits.Disk > 0 {
		layer, err := s.written(ctx)
		if errors.Is(err, errNoLayer) {
			return configError("", "disk limit: image %s: %w", familiar(s.img.name), err)
		}
		if err != nil {
			return systemError("", err)
		}
		s.layers = append(s.layers, layer)
	}
	return s.newTask(ctx)
}

// newTask makes the container's next process, up to the point where only
// starting it is left.
func (s *sandbox) newTask(ctx context.Context) error {
	s.tasks++
	opts := s.taskOpts()
	rootfs, unmount, err := s.rootfs()
	if err != nil {
		return systemError("", err)
	}
	opts = append(opts, client.WithRootFS(rootfs))
	path := filepath.Join(s.job.Scratch, outputFile)
	task, err := s.container.NewTask(ctx, func(string) (_ cio.IO, err error) {
		s.out, err = newOutput(path, 0o622)
		return s.out, err
	}, opts...)
	unmountErr := unmount()
	if err != nil {
		return s.taskError(err)
	}
	s.task, s.ran = task, false
	if unmountErr != nil {
		return systemError("", unmountErr)
	}
	if s.host != nil {
		if err := s.host.Attach(int(task.Pid())); err != nil {
			return systemError("", err)
		}
	}
	return nil
}

// taskError tells an image that cannot be run from a machine that cannot run it.
// The OCI runtime's error has only text, which names the program if that is at fault.
func (s *sandbox) taskError(err error) error {
	program := s.spec.Process.Args[0]
	if strings.Contains(err.Error(), fmt.Sprintf("exec: %q", program)) {
		return configError(`to do without the image's own entry point: image:entrypoint: [""]`,
			"image %s: cannot run %q: %w", familiar(s.img.name), program, err)
	}
	return systemError("", fmt.Errorf("create the job's process: %w", err))
}

// Close ends what runs in the sandbox and removes it, its secrets first.
func (s *sandbox) Close() error {
	s.closeOnce.Do(func() { s.closeErr = errors.Join(s.removeSecrets(), s.close()) })
	return s.closeErr
}

// close removes the services too, and at the same time.
func (s *sandbox) close() error {
	errs := make([]error, len(s.services)+1)
	var all sync.WaitGroup
	all.Go(func() { errs[0] = s.remove() })
	for i, service := range s.services {
		all.Go(func() { errs[i+1] = service.Close() })
	}
	all.Wait()
	if s.segment != nil {
		errs = append(errs, s.segment.Close())
	}
	return errors.Join(errs...)
}

// remove removes the container.
func (s *sandbox) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if s.container == nil {
		// It may exist all the same, if only containerd's answer was lost.
		c, err := s.r.client.LoadContainer(ctx, s.id)
		if errdefs.IsNotFound(err) {
			return s.removeSnapshot(ctx)
		}
		if err != nil {
			return err
		}
		s.container = c
	}
	var taskErr error
	if s.task != nil {
		if taskErr = s.deleteTask(ctx); taskErr != nil {
			taskErr = errors.Join(taskErr, s.out.Close())
		}
	}
	// This deletes the task as well, where its shim died and took the answer with it.
	if err := removeContainer(ctx, s.container); err != nil {
		return errors.Join(taskErr, fmt.Errorf("remove the container of job %s: %w", s.job.ID, err))
	}
	if s.snapshot != nil {
		return s.removeSnapshot(ctx)
	}
	return nil
}

// removeFile removes a file if it exists.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
