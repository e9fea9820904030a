//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
)

const (
	// reconnectTimeout is how long containerd may be away while a job runs.
	reconnectTimeout = 30 * time.Second
	// silenceTimeout is how long containerd may take to tell of the end of a process
	// that the kernel says is gone: longer than finding out that containerd hangs.
	silenceTimeout = 60 * time.Second
)

var errSilence = errors.New("the job's process has ended, but containerd does not say how")

// exited returns a channel that gets, once, how the task's process ended; it is
// asked for before the task is started. The process outlives containerd, so that
// the wait survives containerd's restart; and it does not trust containerd
// to tell, as a shim may hang.
func (s *sandbox) exited(ctx context.Context) (<-chan client.ExitStatus, error) {
	exit, err := s.task.Wait(ctx)
	if err != nil {
		return nil, err
	}
	gone, stop, err := processEnd(int(s.task.Pid()))
	if err != nil {
		return nil, err
	}
	out := make(chan client.ExitStatus, 1)
	task := s.task
	go func() {
		defer stop()
		out <- s.r.awaitExit(ctx, task, exit, gone)
	}()
	return out, nil
}

// awaitExit waits for what exit gives, and asks again where containerd was away.
func (r *Runtime) awaitExit(ctx context.Context, task client.Task, exit <-chan client.ExitStatus, gone <-chan struct{}) client.ExitStatus {
	var silence <-chan time.Time
	for {
		select {
		case status := <-exit:
			if !errdefs.IsUnavailable(status.Error()) {
				return status
			}
			again, err := r.waitAgain(ctx, task)
			if err != nil {
				return *client.NewExitStatus(client.UnknownExitStatus, time.Time{}, errors.Join(status.Error(), err))
			}
			exit = again
		case <-gone:
			gone = nil
			timer := time.NewTimer(silenceTimeout)
			defer timer.Stop()
			silence = timer.C
		case <-silence:
			return *client.NewExitStatus(client.UnknownExitStatus, time.Time{}, errSilence)
		}
	}
}

// waitAgain waits for containerd to be back, and then for the task.
func (r *Runtime) waitAgain(ctx context.Context, task client.Task) (<-chan client.ExitStatus, error) {
	back, cancel := context.WithTimeout(ctx, reconnectTimeout)
	defer cancel()
	if _, err := r.client.Version(back); err != nil {
		return nil, fmt.Errorf("containerd did not come back within %v: %w", reconnectTimeout, err)
	}
	return task.Wait(ctx)
}
