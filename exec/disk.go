package exec

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
)

// diskLimited is a sandbox whose programs may write only so much. The kernel
// has no such limit for a directory, project quotas aside, which few machines
// have switched on: so the job's layers are measured again and again, and a
// program is ended soon after it exceeds the limit, not before. What a job holds
// open and has deleted is not seen.
type diskLimited struct {
	Sandbox
	limit int64
	// measure returns what the job has written so far, in bytes.
	measure func() (int64, error)
}

// Measuring takes at most the tenth part of the time, and this much lies between.
const (
	diskPause = 250 * time.Millisecond
	diskShare = 10
)

// limitDisk puts the job's sandbox under its disk limit, if it has one.
func (w *worker) limitDisk(limit int64) {
	if limit == 0 {
		return
	}
	dirs := slices.Concat(w.box.Written(), w.ws.Written())
	w.box = &diskLimited{Sandbox: w.box, limit: limit, measure: func() (int64, error) { return workspace.Usage(dirs...) }}
}

// Run runs a program and fails with class script if the job's files exceed the
// limit, during the program or after it.
func (d *diskLimited) Run(ctx context.Context, p Program, out io.Writer) (int, error) {
	watched, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	exceeded, ended, kill := make(chan struct{}), make(chan struct{}), make(chan struct{})
	outer := p.Kill
	p.Kill = kill
	var helpers sync.WaitGroup
	helpers.Go(func() {
		defer close(kill)
		select {
		case <-exceeded: // a job that writes on and on gets no grace
		case <-outer:
		case <-ended:
		}
	})
	helpers.Go(func() {
		if err := d.watch(ended); err != nil {
			stop(err)
			close(exceeded)
		}
	})
	code, err := d.Sandbox.Run(watched, p, out)
	close(ended)
	helpers.Wait()
	if watched.Err() != nil && ctx.Err() == nil {
		return code, context.Cause(watched)
	}
	if err == nil {
		err = d.check()
	}
	return code, err
}

// watch measures until the program has ended, or the limit is exceeded.
func (d *diskLimited) watch(ended <-chan struct{}) error {
	pause := diskPause
	for {
		timer := time.NewTimer(pause)
		select {
		case <-ended:
			timer.Stop()
			return nil
		case <-timer.C:
		}
		start := time.Now()
		if err := d.check(); err != nil {
			return err
		}
		pause = max(diskPause, (diskShare-1)*time.Since(start))
	}
}

// check measures once.
func (d *diskLimited) check() error {
	used, err := d.measure()
	if err != nil {
		return fmt.Errorf("measure what the job has written: %w", err)
	}
	if used <= d.limit {
		return nil
	}
	return &Error{Class: ClassScript, Err: fmt.Errorf("disk limit: the job has written %s, and may write %s", ByteSize(used), ByteSize(d.limit))}
}
