package exec

import "container/heap"

// hold lets a job wait before a gate.
func (s *Schedule) hold(job int, status Status) {
	s.set(job, status)
	s.holding++
	s.held = append(s.held, job)
}

// enter lets a job start, or wait for its resource group.
func (s *Schedule) enter(job int) {
	if s.jobs[job].ResourceGroup != nil {
		s.hold(job, StatusWaiting)
		return
	}
	s.set(job, StatusPending)
	heap.Push(&s.ready, job)
}

// Due says that the delay of a job is over. It does nothing for a job that is not
// scheduled any more.
func (s *Schedule) Due(job int) {
	if s.nodes[job].status == StatusScheduled {
		s.holding--
		s.enter(job)
	}
}

// Grant gives a job its resource group. It reports whether the job was still
// waiting for it.
func (s *Schedule) Grant(job int) bool {
	if s.nodes[job].status != StatusWaiting {
		return false
	}
	s.holding--
	s.set(job, StatusPending)
	heap.Push(&s.ready, job)
	return true
}

// Play starts a job that waits for a person. If nothing waited for it, jobs after
// it may have been skipped: those wait again, and are returned in plan order. ok is
// false for a job that does not wait for a person.
//
// Source: specification section 17.4. As GitLab does, it takes back the skipped
// jobs of all later stages and those that need the job, also through others;
// most of them are skipped again.
func (s *Schedule) Play(job int) (reset []int, ok bool) {
	n := &s.nodes[job]
	if n.status != StatusManual {
		return nil, false
	}
	optional := n.allowed
	s.enter(job)
	n.played, n.allowed, n.reason = true, false, ""
	if !optional {
		return nil, true
	}
	after := make([]bool, len(s.nodes))
	after[job] = true
	for pending := []int{job}; len(pending) > 0; {
		i := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		for _, d := range s.graph.Dependents(i) {
			if !after[d] {
				after[d] = true
				pending = append(pending, d)
			}
		}
	}
	for i := range s.nodes {
		later := s.graph.Pipeline(i) == s.graph.Pipeline(job) && s.graph.Stage(i) > s.graph.Stage(job)
		// The pipelines of jobs come after these, so that their trigger is known.
		if t := s.graph.TriggerOf(s.graph.Pipeline(i)); t >= 0 && after[t] && !s.pipeOf(i).open {
			after[i] = true
		}
		if after[i] = after[i] || later; !after[i] {
			continue
		}
		if k := &s.nodes[i]; k.status == StatusSkipped {
			s.set(i, StatusCreated)
			k.reason = ""
			reset = append(reset, i)
		}
	}
	s.count()
	return reset, true
}
