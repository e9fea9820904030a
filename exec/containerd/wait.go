//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/client"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/cic-ci/cic/exec/containerd/server"
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
	w := exitWait{r: s.r, task: s.task}
	out := make(chan client.ExitStatus, 1)
	go func() {
		defer stop()
		out <- w.await(ctx, exit, gone)
	}()
	return out, nil
}

// exitWait is the wait for the end of one task.
type exitWait struct {
	r    *Runtime
	task client.Task
	// recorded is what the shim wrote down, once it has.
	recorded *client.ExitStatus
}

// await returns what exit gives, and asks again where containerd was away. gone is
// closed when the process is. A containerd that comes back does not know any more
// how a process ended meanwhile: then the shim's record counts.
func (w *exitWait) await(ctx context.Context, exit <-chan client.ExitStatus, gone <-chan struct{}) client.ExitStatus {
	var look, silence <-chan time.Time
	for {
		select {
		case status := <-exit:
			if grpcstatus.Code(status.Error()) == codes.Unavailable {
				exit = w.again(ctx)
				continue
			}
			if status.Error() != nil && ctx.Err() == nil && w.findRecord() {
				return *w.recorded
			}
			return status
		case <-gone:
			gone, look = nil, time.After(0)
			timer := time.NewTimer(silenceTimeout)
			defer timer.Stop()
			silence = timer.C
		case <-look:
			if look = nil; !w.findRecord() {
				look = time.After(pollInterval)
			}
		case <-silence:
			if w.recorded != nil {
				return *w.recorded
			}
			return unknownExit(errSilence)
		}
	}
}

// again waits for containerd to be back, and then for the task.
func (w *exitWait) again(ctx context.Context) <-chan client.ExitStatus {
	out := make(chan client.ExitStatus, 1)
	go func() {
		back, cancel := context.WithTimeout(ctx, reconnectTimeout)
		defer cancel()
		if _, err := w.r.client.Version(back); err != nil {
			out <- unknownExit(fmt.Errorf("containerd did not come back within %v: %v", reconnectTimeout, err))
			return
		}
		exit, err := w.task.Wait(ctx)
		if err != nil {
			out <- unknownExit(err)
			return
		}
		out <- <-exit
	}()
	return out
}

// findRecord looks for the shim's record of the exit, if that is within reach.
func (w *exitWait) findRecord() bool {
	if w.recorded == nil && w.r.daemon != nil {
		code, at, err := server.ExitRecord(filepath.Join(w.r.daemon.state(), "io.containerd.runtime.v2.task", Namespace, w.task.ID()))
		if err == nil { // else it is not there yet, or not any more
			w.recorded = client.NewExitStatus(code, at, nil)
		}
	}
	return w.recorded != nil
}

func unknownExit(err error) client.ExitStatus {
	return *client.NewExitStatus(client.UnknownExitStatus, time.Time{}, err)
}
