//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sync/errgroup"

	"github.com/cic-ci/cic/exec/containerd"
)

// imageName is what alpine.tar calls its image.
const imageName = "docker.io/library/alpine:latest"

// lab is one containerd with one image, in which cic runs pipelines and this
// program runs containers without cic.
type lab struct {
	b              *bench
	state, project string
	// runtime keeps the containerd alive between the runs.
	runtime *containerd.Runtime
	client  *client.Client
	image   client.Image
	// system counts what this program, the containerd and cic need of the
	// processors, and containers what the bare containers do.
	system, containers accounting
	// made and pipelines count what was made so far.
	made, pipelines int
}

func openLab(b *bench) (_ *lab, err error) {
	l := &lab{b: b}
	if l.state, err = b.mkdir("state"); err != nil {
		return nil, err
	}
	if l.project, err = b.mkdir("project"); err != nil {
		return nil, err
	}
	if l.containers, err = newAccounting("cic-bench-bare"); err != nil {
		return nil, err
	}
	if l.system, err = newAccounting("cic-bench"); err != nil {
		return nil, err
	}
	// Before the containerd is started, which stays where its starter was.
	if err := l.system.enter(); err != nil {
		return nil, err
	}
	l.runtime, err = containerd.Open(b.ctx, containerd.Config{StateDir: l.state})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	archive := filepath.Join(os.Getenv("CIC_TEST_IMAGES"), "alpine.tar")
	if _, err := l.runtime.LoadImage(b.ctx, archive, imageName); err != nil {
		return nil, fmt.Errorf("CIC_TEST_IMAGES must name the directory of the test images (make images): %w", err)
	}
	if l.client, err = client.New(l.runtime.Socket(), client.WithDefaultNamespace(containerd.Namespace)); err != nil {
		return nil, err
	}
	if l.image, err = l.client.GetImage(b.ctx, imageName); err != nil {
		return nil, err
	}
	if err := l.image.Unpack(b.ctx, ""); err != nil {
		return nil, err
	}
	// The first of everything reads programs from the disk.
	_, err = l.bare(1, 1)
	return l, err
}

func (l *lab) close() error {
	var errs []error
	if l.client != nil {
		errs = append(errs, l.client.Close())
	}
	return errors.Join(append(errs, l.runtime.Close(), l.system.leave(), l.system.remove(), l.containers.remove())...)
}

// bare makes, starts, waits for and deletes n containers that do nothing, some at
// a time, with containerd's client library alone. What cic adds to that, it adds
// for the pipeline's sake.
func (l *lab) bare(n, parallel int, more ...oci.SpecOpts) (time.Duration, error) {
	return l.each(n, parallel, func(ctx context.Context, id string) (err error) {
		p, err := l.precreate(ctx, id, more...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.delete(ctx)) }()
		return p.run(ctx)
	})
}

// each calls f for n containers, some at a time.
func (l *lab) each(n, parallel int, f func(ctx context.Context, id string) error) (time.Duration, error) {
	// Without a lease a snapshot could be collected before its container exists.
	ctx, done, err := l.client.WithLease(l.b.ctx)
	if err != nil {
		return 0, err
	}
	// What began goes on to its end, as nobody else would remove it.
	detached := context.WithoutCancel(ctx)
	first := l.made
	l.made += n
	start := time.Now()
	var g errgroup.Group
	g.SetLimit(parallel)
	for i := range n {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return f(detached, fmt.Sprintf("bench-%d", first+i))
		})
	}
	err = g.Wait()
	took := time.Since(start)
	return took, errors.Join(err, done(detached))
}

// bareContainer is a container whose process is made, and can be started.
type bareContainer struct {
	container client.Container
	task      client.Task
}

// precreate makes one, with the host's network as in cic.
func (l *lab) precreate(ctx context.Context, id string, more ...oci.SpecOpts) (_ *bareContainer, err error) {
	opts := append([]oci.SpecOpts{oci.WithImageConfig(l.image), oci.WithProcessArgs("/bin/true"),
		oci.WithHostNamespace(specs.NetworkNamespace), oci.WithCgroup("/" + filepath.Join(filepath.Base(l.containers.dir), id))}, more...)
	c, err := l.client.NewContainer(ctx, id, client.WithNewSnapshot(id, l.image), client.WithNewSpec(opts...))
	if err != nil {
		return nil, err
	}
	task, err := c.NewTask(ctx, cio.NullIO)
	if err != nil {
		return nil, errors.Join(err, c.Delete(ctx, client.WithSnapshotCleanup))
	}
	return &bareContainer{c, task}, nil
}

func (c *bareContainer) delete(ctx context.Context) error {
	_, err := c.task.Delete(ctx, client.WithProcessKill)
	return errors.Join(err, c.container.Delete(ctx, client.WithSnapshotCleanup))
}

// run starts the process and waits for its end.
func (c *bareContainer) run(ctx context.Context) error {
	exit, err := c.task.Wait(ctx)
	if err != nil {
		return err
	}
	if err := c.task.Start(ctx); err != nil {
		return err
	}
	status := <-exit
	if code, _, err := status.Result(); err != nil || code != 0 {
		return fmt.Errorf("container %s: exit code %d, %w", c.container.ID(), code, err)
	}
	return nil
}

// compile writes a plan of a pipeline and returns its directory.
func (l *lab) compile(pipeline string) (string, error) {
	l.pipelines++
	dir := filepath.Join(l.b.dir, fmt.Sprintf("plan-%d", l.pipelines))
	file := dir + ".yml"
	if err := os.WriteFile(file, []byte(pipeline), 0o644); err != nil {
		return "", err
	}
	_, err := l.b.run(nil, "compile", file, "-C", l.project, "-o", dir)
	return dir, err
}

// exec runs a plan and returns the duration that the run itself gives, and what
// its process used.
func (l *lab) exec(plan string, jobs int) (time.Duration, usage, error) {
	r, err := l.run(plan, l.project, jobs)
	return r.took, r.usage, err
}

// finishedRun is what is known of a run that passed.
type finishedRun struct {
	usage
	dir string
	// took is from its start to the end of the last clean-up.
	took time.Duration
}

// run runs a plan on a project. flags may add some.
func (l *lab) run(plan, project string, jobs int, flags ...string) (finishedRun, error) {
	return l.runTold(plan, project, jobs, nil, flags...)
}

// runTold is run; found is told the run's id at its start.
func (l *lab) runTold(plan, project string, jobs int, found func(run string), flags ...string) (finishedRun, error) {
	head := runFinder{found: found}
	args := []string{"exec", plan, "-C", project, "--state-dir", l.state, "--jobs", fmt.Sprint(jobs)}
	u, err := l.b.run(&head, append(args, flags...)...)
	if err != nil {
		return finishedRun{}, fmt.Errorf("%w\n%s", err, head.head)
	}
	if head.run == "" {
		return finishedRun{}, errors.New("cic exec does not name its run")
	}
	r := finishedRun{usage: u, dir: filepath.Join(l.state, "runs", head.run)}
	e, err := r.last("run_finished", "")
	r.took = seconds(e.Seconds)
	return r, err
}

var runLine = regexp.MustCompile(`(?m)^Run: (\S+)$`)

// runFinder keeps the id of the run from what cic exec prints.
type runFinder struct {
	head []byte
	run  string
	// found, if there is one, is called at once.
	found func(run string)
}

func (f *runFinder) Write(p []byte) (int, error) {
	if f.run == "" && len(f.head) < 4096 {
		f.head = append(f.head, p...)
		if match := runLine.FindSubmatch(f.head); match != nil {
			f.run = string(match[1])
			if f.found != nil {
				f.found(f.run)
			}
		}
	}
	return len(p), nil
}

// event is what the journal says of a run or a job.
type event struct {
	Time    time.Time
	Type    string
	Job     string
	Seconds float64
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// last finds the last event of a type, of a job unless that is empty.
func (r finishedRun) last(kind, job string) (found event, err error) {
	journal, err := os.Open(filepath.Join(r.dir, "journal.jsonl"))
	if err != nil {
		return event{}, err
	}
	defer journal.Close()
	for in := json.NewDecoder(bufio.NewReader(journal)); ; {
		var e event
		switch err := in.Decode(&e); {
		case errors.Is(err, io.EOF) && found.Type == "":
			return event{}, fmt.Errorf("the journal of %s has no %s of %q", r.dir, kind, job)
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return event{}, err
		}
		if e.Type == kind && e.Job == job {
			found = e
		}
	}
}
