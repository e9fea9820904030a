//go:build linux

package main

import (
	"bufio"
	"bytes"
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
	// containers and pipelines count what was made so far.
	containers, pipelines int
}

func openLab(b *bench) (_ *lab, err error) {
	l := &lab{b: b}
	if l.state, err = b.mkdir("state"); err != nil {
		return nil, err
	}
	if l.project, err = b.mkdir("project"); err != nil {
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
	return errors.Join(append(errs, l.runtime.Close())...)
}

// bare makes, starts, waits for and deletes n containers that do nothing, some at
// a time, with containerd's client library alone. What cic adds to that, it adds
// for the pipeline's sake.
func (l *lab) bare(n, parallel int) (time.Duration, error) {
	// Without a lease a snapshot could be collected before its container exists.
	ctx, done, err := l.client.WithLease(l.b.ctx)
	if err != nil {
		return 0, err
	}
	first := l.containers
	l.containers += n
	start := time.Now()
	var g errgroup.Group
	g.SetLimit(parallel)
	for i := range n {
		g.Go(func() error { return l.container(ctx, fmt.Sprintf("bench-%d", first+i)) })
	}
	err = g.Wait()
	took := time.Since(start)
	return took, errors.Join(err, done(context.WithoutCancel(ctx)))
}

// container is the life of one container, with the host's network as in cic.
// Once begun it goes on to its end, as nobody else would remove it.
func (l *lab) container(ctx context.Context, id string) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx = context.WithoutCancel(ctx)
	c, err := l.client.NewContainer(ctx, id, client.WithNewSnapshot(id, l.image),
		client.WithNewSpec(oci.WithImageConfig(l.image), oci.WithProcessArgs("/bin/true"), oci.WithHostNamespace(specs.NetworkNamespace)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Delete(ctx, client.WithSnapshotCleanup)) }()
	task, err := c.NewTask(ctx, cio.NullIO)
	if err != nil {
		return err
	}
	defer func() {
		_, deleteErr := task.Delete(ctx, client.WithProcessKill)
		err = errors.Join(err, deleteErr)
	}()
	exit, err := task.Wait(ctx)
	if err != nil {
		return err
	}
	if err := task.Start(ctx); err != nil {
		return err
	}
	status := <-exit
	if code, _, err := status.Result(); err != nil || code != 0 {
		return fmt.Errorf("container %s: exit code %d, %w", id, code, err)
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
	var out bytes.Buffer
	u, err := l.b.run(&out, "exec", plan, "-C", l.project, "--state-dir", l.state, "--jobs", fmt.Sprint(jobs))
	if err != nil {
		return 0, u, fmt.Errorf("%w\n%s", err, out.Bytes()[max(0, out.Len()-4096):])
	}
	match := runLine.FindSubmatch(out.Bytes())
	if match == nil {
		return 0, u, errors.New("cic exec does not name its run")
	}
	took, err := l.duration(string(match[1]))
	return took, u, err
}

var runLine = regexp.MustCompile(`(?m)^Run: (\S+)$`)

// duration reads from its journal how long a run took, from its start to the end
// of the last clean-up.
func (l *lab) duration(run string) (time.Duration, error) {
	journal, err := os.Open(filepath.Join(l.state, "runs", run, "journal.jsonl"))
	if err != nil {
		return 0, err
	}
	defer journal.Close()
	for in := json.NewDecoder(bufio.NewReader(journal)); ; {
		var event struct {
			Type    string
			Seconds float64
		}
		switch err := in.Decode(&event); {
		case errors.Is(err, io.EOF):
			return 0, fmt.Errorf("the journal of run %s has no end", run)
		case err != nil:
			return 0, err
		}
		if event.Type == "run_finished" {
			return time.Duration(event.Seconds * float64(time.Second)), nil
		}
	}
}
