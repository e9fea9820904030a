package exec

import (
	"container/heap"
	"fmt"
	"strconv"
)

// propagate tells what depends on the given jobs, which have just settled, and
// goes on with those that settle by it. Where only a manual job keeps anything
// waiting, jobs whose verdict is known stop waiting for it.
func (s *Schedule) propagate(changed []int) {
	s.tell(changed)
	for s.running == 0 && s.ready.Len() == 0 && s.holding == 0 && len(s.deferred) > 0 {
		job := s.deferred[0]
		s.deferred = s.deferred[1:]
		if s.nodes[job].status == StatusCreated {
			s.tell(s.decide(job, StatusSkipped, nil))
		}
	}
}

// tell is propagate for one set of jobs. A list in place of recursion: a chain of
// skipped jobs may be as long as the plan.
func (s *Schedule) tell(changed []int) {
	for len(changed) > 0 {
		job := changed[len(changed)-1]
		changed = changed[:len(changed)-1]
		s.begin(job)
		state := mapped(s.nodes[job].status, s.nodes[job].allowed)
		st := &s.stages[s.graph.Stage(job)]
		st.unsettled--
		st.jobs.add(state, 1)
		if state == StatusFailed && st.failed < 0 {
			st.failed = job
		}
		k := s.graph.Pipeline(job)
		s.pipes[k].unsettled--
		for _, d := range s.graph.Dependents(job) {
			n := &s.nodes[d]
			n.needs.add(state, 1)
			n.waiting--
			if n.status != StatusCreated || !s.pipeOf(d).open {
				continue
			}
			before := n.needs.composite(true)
			switch {
			case n.waiting == 0:
				changed = s.decide(d, before, changed)
			case before == StatusSkipped && runsOn(s.jobs[d].When, before, true):
				s.deferred = append(s.deferred, d)
			case before == StatusSkipped: // what is missing cannot change it
				changed = s.decide(d, before, changed)
			}
		}
		changed = s.advance(k, changed)
		changed = s.close(job, k, changed)
	}
}

// advance passes the stages of a pipeline that are settled and decides the jobs of
// the next that wait for all earlier ones.
func (s *Schedule) advance(k int, changed []int) []int {
	p := &s.pipes[k]
	first, end := s.graph.StagesOf(k)
	for p.open && p.frontier < end {
		if p.frontier >= first {
			done := &s.stages[p.frontier]
			if done.unsettled > 0 {
				break
			}
			p.before.merge(&done.jobs)
			if p.failed < 0 {
				p.failed = done.failed
			}
		}
		if p.frontier++; p.frontier == end {
			break
		}
		before := p.before.composite(false)
		for _, i := range s.graph.StageJobs(p.frontier) {
			// The run may have been cancelled while the stages before were running.
			if s.graph.StageMode(i) && s.nodes[i].status == StatusCreated {
				changed = s.decide(i, before, changed)
			}
		}
	}
	return changed
}

// decide lets a job start, wait for a person, or be skipped, given the status
// of what it waits for. It appends the job to changed if that settles it.
func (s *Schedule) decide(job int, before Status, changed []int) []int {
	n, j := &s.nodes[job], &s.jobs[job]
	switch {
	case !runsOn(j.When, before, !s.graph.StageMode(job)):
		n.reason = s.why(job, before)
		s.set(job, StatusSkipped)
	case j.When == "manual" && !n.played:
		n.reason = "waits for a person"
		n.allowed = j.AllowFailure
		s.set(job, StatusManual)
		if !n.allowed {
			s.settled = append(s.settled, job)
			return changed // blocks: what depends on it goes on waiting
		}
	case j.When == "delayed":
		s.hold(job, StatusScheduled)
		return changed
	default:
		s.enter(job)
		return changed
	}
	s.settled = append(s.settled, job)
	return append(changed, job)
}

// why says in words for a person why a job is skipped.
func (s *Schedule) why(job int, before Status) string {
	if s.jobs[job].When == "on_failure" && before == StatusSuccess {
		return "runs only after a failure"
	}
	if s.graph.StageMode(job) {
		switch failed := s.pipeOf(job).failed; {
		case before == StatusFailed && failed >= 0:
			return fmt.Sprintf("job %s of an earlier stage failed", strconv.Quote(s.jobs[failed].Name))
		default:
			return "the earlier stages ended as " + string(before)
		}
	}
	for _, need := range s.graph.Needs(job) {
		n := &s.nodes[need]
		state := mapped(n.status, n.allowed)
		if state == before || state == statusIgnored && before == StatusSkipped {
			return fmt.Sprintf("needs %s, which %s", strconv.Quote(s.jobs[need].Name), ended[state])
		}
	}
	return "its needs ended as " + string(before)
}

// ended completes a sentence that begins with "which".
var ended = map[Status]string{
	StatusSuccess:  "succeeded",
	statusWarning:  "failed as allowed",
	StatusFailed:   "failed",
	StatusCanceled: "was canceled",
	StatusSkipped:  "was skipped",
	statusIgnored:  "is manual and was not started",
}

// begin notes that a job is prepared, runs or has settled, once, and finds what
// could be prepared now: jobs all of whose dependencies have begun.
func (s *Schedule) begin(job int) {
	n := &s.nodes[job]
	if n.begun {
		return
	}
	n.begun = true
	ahead := 0
	if n.status == StatusCreated {
		ahead = n.ahead + 1
	}
	for _, d := range s.graph.Dependents(job) {
		if s.nodes[d].unbegun--; s.nodes[d].unbegun == 0 {
			s.offer(d, ahead)
		}
	}
	s.stages[s.graph.Stage(job)].unbegun--
	k := s.graph.Pipeline(job)
	_, end := s.graph.StagesOf(k)
	for p := &s.pipes[k]; p.begun < end && s.stages[p.begun].unbegun == 0; {
		p.begun++
		if p.begun < end {
			for _, i := range s.graph.StageJobs(p.begun) {
				if s.graph.StageMode(i) {
					s.offer(i, ahead)
				}
			}
		}
	}
}

// offer puts a job into the queue of [Schedule.Soon], if it is likely to run, and
// then at once: what was prepared for a job that waits would lie idle.
func (s *Schedule) offer(job, ahead int) {
	n, j := &s.nodes[job], &s.jobs[job]
	likely := j.When == "on_success" || j.When == "always" || j.When == "manual" && n.played
	if n.status == StatusCreated && likely && j.ResourceGroup == nil && j.Trigger == nil && s.pipeOf(job).open {
		n.ahead = ahead
		heap.Push(&s.soon, job)
	}
}

// queue is a heap of jobs, the longest chain first, then the earlier in the plan.
type queue struct {
	jobs  []int
	nodes []node
	near  bool // jobs with few prepared ones ahead of them come before all others
}

func (q *queue) Len() int { return len(q.jobs) }
func (q *queue) Less(a, b int) bool {
	x, y := q.jobs[a], q.jobs[b]
	if q.near && q.nodes[x].ahead != q.nodes[y].ahead {
		return q.nodes[x].ahead < q.nodes[y].ahead
	}
	if q.nodes[x].height != q.nodes[y].height {
		return q.nodes[x].height > q.nodes[y].height
	}
	return x < y
}
func (q *queue) Swap(a, b int) { q.jobs[a], q.jobs[b] = q.jobs[b], q.jobs[a] }

// Push implements [heap.Interface].
func (q *queue) Push(job any) { q.jobs = append(q.jobs, job.(int)) }

// Pop implements [heap.Interface].
func (q *queue) Pop() any {
	last := len(q.jobs) - 1
	job := q.jobs[last]
	q.jobs = q.jobs[:last]
	return job
}
