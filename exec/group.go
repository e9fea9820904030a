package exec

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// group is a resource group: of all jobs in it, of all runs of the project, one
// runs at a time. The jobs of one run take turns in the order in which they could
// start; between runs the order is left to chance. The lock of a run that dies is
// given up by the kernel.
type group struct {
	project, name string
	queue         []int // jobs that wait
	// holder is the job that has the group, -1 if none.
	holder int
	lock   *os.File
	// contending: a goroutine waits for another run to give the group up.
	contending bool
}

// join lets a job wait for its resource group.
func (r *run) join(job int) {
	j := &r.plan.Jobs[job]
	name, err := j.ResourceGroup.Expand(lookup(r.runtimeVariables(job, 1)))
	if err != nil {
		r.broken[job] = fmt.Errorf("resource_group: %w", err)
		r.sched.Grant(job)
		return
	}
	if name == "" { // none, as on GitLab
		r.sched.Grant(job)
		return
	}
	project := r.tree(j).Dir
	key := project + "\x00" + name
	g := r.groups[key]
	if g == nil {
		g = &group{project: project, name: name, holder: -1}
		r.groups[key] = g
	}
	r.groupOf[job] = g
	g.queue = append(g.queue, job)
	if r.admit(g); g.holder != job {
		r.emit(Event{Type: EventJobWaiting, Job: j.Name, Status: StatusWaiting,
			Text: fmt.Sprintf("another job uses the resource group %q", name)})
	}
}

// admit gives a free group to the job that waits the longest, if any.
func (r *run) admit(g *group) {
	r.prune(g)
	if g.holder >= 0 || g.contending || len(g.queue) == 0 {
		return
	}
	if r.RunDir == nil {
		r.grant(g, nil, nil)
		return
	}
	path := r.lockPath(g.project, g.name)
	lock, err := tryLock(path)
	if errors.Is(err, errLocked) {
		g.contending = true
		r.helpers++
		go func() {
			lock, err := contend(r.ctx, path)
			if err == nil && r.ClearDead != nil {
				// The holder may have died, with its job still at work.
				if err = r.ClearDead(r.ctx); err != nil {
					err = errors.Join(err, lock.Close())
				}
			}
			r.messages <- message{group: g, lock: lock, err: err}
		}()
		return
	}
	r.grant(g, lock, err)
}

// contended takes in the end of a wait for another run.
func (r *run) contended(m message) {
	r.helpers--
	m.group.contending = false
	r.prune(m.group)
	if len(m.group.queue) > 0 {
		r.grant(m.group, m.lock, m.err)
	} else if m.err == nil {
		r.err = errors.Join(r.err, m.lock.Close())
	}
}

// prune drops the jobs that were canceled while they waited.
func (r *run) prune(g *group) {
	g.queue = slices.DeleteFunc(g.queue, func(job int) bool {
		status, _, _ := r.sched.Job(job)
		return status != StatusWaiting
	})
}

// grant gives the group to the first of its queue. With an error that job fails
// as soon as it is launched.
func (r *run) grant(g *group, lock *os.File, err error) {
	job := g.queue[0]
	g.queue = g.queue[1:]
	g.holder, g.lock = job, lock
	if err != nil {
		g.lock = nil // closed
		r.broken[job] = fmt.Errorf("resource_group: %w", err)
	}
	r.sched.Grant(job)
}

// release takes the group from a job that has ended or will not start.
func (r *run) release(job int) {
	g := r.groupOf[job]
	if g == nil || g.holder != job {
		return
	}
	delete(r.groupOf, job)
	g.holder = -1
	if g.lock != nil {
		r.err = errors.Join(r.err, g.lock.Close())
		g.lock = nil
	}
	r.admit(g)
}

// lockPath is the lock of a resource group of a project, common to all runs
// of the state directory.
func (r *run) lockPath(project, name string) string {
	sum := sha256.Sum256([]byte(project + "\x00" + name))
	state := filepath.Dir(filepath.Dir(r.RunDir.Dir))
	return filepath.Join(state, "locks", hex.EncodeToString(sum[:16]))
}

func tryLock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return openLocked(path, false)
}

// The pauses between two looks at a lock. A wait in flock(2) could not be ended.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// contend waits for a lock.
func contend(ctx context.Context, path string) (*os.File, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		lock, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}
