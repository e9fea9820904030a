//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/cic-ci/cic/exec/workspace"
)

// pathRepetitions is how many jobs that do nothing follow one that gives the
// time to prepare them.
const pathRepetitions = 11

// restingChain is a chain of n jobs that do nothing, each after one that sleeps.
func restingChain(n int) string {
	var b strings.Builder
	b.WriteString("default: {image: alpine}\n")
	for i := range n {
		after := ""
		if i > 0 {
			after = fmt.Sprintf("no-op-%d", i-1)
		}
		fmt.Fprintf(&b, "rest-%d: {script: ['sleep 1'], needs: [%s]}\n", i, after)
		fmt.Fprintf(&b, "no-op-%d: {script: ['true'], needs: [rest-%d]}\n", i, i)
	}
	return b.String()
}

// measurePath finds what a job that does nothing adds to the critical path, from
// the end of the job before it to its own, where its container could be made
// meanwhile. The floor is what no executor can save: the mount of a workspace, the
// start of a process in a container that is there, and the message of its end.
func measurePath(b *bench) ([]row, error) {
	l, err := b.lab()
	if err != nil {
		return nil, err
	}
	floor, err := l.precreated(pathRepetitions)
	if err != nil {
		return nil, err
	}
	plan, err := l.compile(restingChain(pathRepetitions))
	if err != nil {
		return nil, err
	}
	r, err := l.run(plan, l.project, parallelism())
	if err != nil {
		return nil, err
	}
	var jobs sample
	for i := range pathRepetitions {
		before, err := r.last("job_finished", fmt.Sprintf("rest-%d", i))
		if err != nil {
			return nil, err
		}
		job, err := r.last("job_finished", fmt.Sprintf("no-op-%d", i))
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job.Time.Sub(before.Time))
	}
	ratio := over(jobs.median(), floor.median())
	return []row{{figure: "no-op job, on the critical path", measured: show(jobs.median()),
		against: "mount, start and end of a prepared bare container: " + show(floor.median()), ratio: ratio, bar: "≤ 1.3", over: ratio > 1.3}}, nil
}

// precreated measures the floor n times, a second apart as the jobs are.
func (l *lab) precreated(n int) (floor sample, err error) {
	work, err := l.b.mkdir("path")
	if err != nil {
		return nil, err
	}
	m, err := workspace.New(workspace.Config{Source: l.project, Dir: work})
	if err != nil {
		return nil, err
	}
	_, err = l.each(n, 1, func(ctx context.Context, id string) (err error) {
		w, err := m.Open(id)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.Close()) }()
		builds := specs.Mount{Type: "bind", Source: w.Builds(), Destination: "/builds", Options: []string{"rbind", "rslave", "rw"}}
		c, err := l.precreate(ctx, id, oci.WithMounts([]specs.Mount{builds}))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.delete(ctx)) }()
		time.Sleep(time.Second)
		start := time.Now()
		if err := w.Mount(nil); err != nil {
			return err
		}
		if err := c.run(ctx); err != nil {
			return err
		}
		floor = append(floor, time.Since(start))
		return nil
	})
	return floor, err
}
