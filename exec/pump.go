package exec

import (
	"fmt"
	"sync"
	"time"
	"unsafe"
)

const (
	// pumpBytes bounds the output that waits for a slow observer.
	pumpBytes = 2 << 20
	// pumpStep is how much of it is handled before room is made for more.
	pumpStep = 64 << 10
	// pumpPatience is how long a job waits for an observer that does not move, such
	// as a terminal that is stopped; after that its lines are dropped until the
	// observer has caught up. The log file holds them all.
	pumpPatience = time.Second
	// eventOverhead is added to the size of each line: what holds it is often larger.
	eventOverhead = int(unsafe.Sizeof(Event{}))
)

// pump hands events to one handler, in order, in a goroutine of its own, so
// that neither a slow disk nor a stopped terminal holds up jobs or the loop.
// Only output is bounded; the number of other events is, by the plan.
type pump struct {
	handle func([]Event)

	mu      sync.Mutex
	wake    sync.Cond // the consumer waits here
	space   chan struct{}
	pending []Event
	size    int // of the output that waits or is being handled
	stalled bool
	dropped map[string]int // lines by job
	closed  bool
	done    chan struct{}
}

func newPump(handle func([]Event)) *pump {
	p := &pump{handle: handle, space: make(chan struct{}), dropped: map[string]int{}, done: make(chan struct{})}
	p.wake.L = &p.mu
	go p.consume()
	return p
}

func (p *pump) consume() {
	defer close(p.done)
	var spare []Event // the two lists take turns
	for {
		p.mu.Lock()
		for len(p.pending) == 0 && !p.closed {
			p.wake.Wait()
		}
		batch := p.pending
		p.pending = spare
		p.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for rest := batch; len(rest) > 0; {
			n, size := 0, 0
			for n < len(rest) && size < pumpStep {
				size += outputSize(&rest[n])
				n++
			}
			p.handle(rest[:n])
			rest = rest[n:]
			p.release(size)
		}
		clear(batch)
		spare = batch[:0]
	}
}

// release notes that size bytes of output were handled.
func (p *pump) release(size int) {
	if size == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size -= size; p.size == 0 {
		p.stalled = false
	}
	close(p.space)
	p.space = make(chan struct{})
}

func outputSize(e *Event) int {
	if e.Type != EventJobOutput {
		return 0
	}
	return len(e.Text) + eventOverhead
}

// send queues an event. It waits only for output, and only [pumpPatience].
func (p *pump) send(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := outputSize(&e)
	if size > 0 && !p.makeRoom(size) {
		p.dropped[e.Job]++
		return
	}
	if len(p.pending) == 0 {
		p.wake.Signal()
	}
	if n := p.dropped[e.Job]; n > 0 {
		delete(p.dropped, e.Job)
		p.pending = append(p.pending, Event{Time: e.Time, Type: EventJobNote, Job: e.Job, Warning: true,
			Text: fmt.Sprintf("%d lines are not shown here, as the output was not read in time; the log has them", n)})
	}
	p.pending = append(p.pending, e)
	p.size += size
}

// makeRoom waits until size more bytes may be queued, or gives up.
func (p *pump) makeRoom(size int) bool {
	if p.stalled {
		return false
	}
	if p.size == 0 || p.size+size <= pumpBytes {
		return true
	}
	timer := time.NewTimer(pumpPatience)
	defer timer.Stop()
	for {
		space := p.space
		p.mu.Unlock()
		timeout := false
		select {
		case <-space:
		case <-timer.C:
			timeout = true
		}
		p.mu.Lock()
		switch {
		case p.size == 0 || p.size+size <= pumpBytes:
			return true
		case timeout, p.stalled:
			p.stalled = true
			return false
		}
	}
}

// close waits until everything was handled, or until abort is closed.
func (p *pump) close(abort <-chan struct{}) {
	p.mu.Lock()
	p.closed = true
	p.wake.Signal()
	p.mu.Unlock()
	select {
	case <-p.done:
	case <-abort:
	}
}
