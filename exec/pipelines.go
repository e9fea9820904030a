package exec

import (
	"container/heap"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/cic-ci/cic/plan"
)

// pipe is the state of a pipeline.
type pipe struct {
	// open: its trigger job has started; always true of the plan's own.
	open bool
	// awaited: its trigger job runs until it ends.
	awaited bool
	// told: [Schedule.Ended] has told of its end.
	told      bool
	all       tally
	unsettled int
	frontier  int   // the stage whose jobs in stage mode were decided last, one before the first at first
	before    tally // all jobs of the stages before frontier
	failed    int   // the first job that failed among these, -1 if none
	begun     int   // the first stage with jobs that have not even been prepared
}

// restart forgets what is counted anew.
func (p *pipe) restart(g *plan.Graph, k int) {
	first, _ := g.StagesOf(k)
	p.unsettled, p.frontier, p.failed, p.begun, p.before = 0, first-1, -1, first, tally{}
}

func (s *Schedule) pipeOf(job int) *pipe { return &s.pipes[s.graph.Pipeline(job)] }

// Status is the status of the plan's own pipeline: manual means that it is
// blocked. A trigger job whose child pipeline is blocked blocks too.
func (s *Schedule) Status() Status {
	for k := len(s.pipes) - 1; k > 0; k-- { // those below come behind
		if t := s.graph.TriggerOf(k); s.pipes[k].awaited && s.PipelineStatus(k) == StatusManual {
			s.nodes[t].allowed = false
			s.nodes[t].reason = "its child pipeline waits for a manual job"
			s.set(t, StatusManual)
		}
	}
	return s.PipelineStatus(0)
}

// PipelineStatus is the composite status of the jobs of a pipeline.
func (s *Schedule) PipelineStatus(k int) Status { return s.pipes[k].all.composite(false) }

// Open says that a trigger job, which runs, has started its child pipeline: the
// jobs of that may start. If the job ends as the pipeline does, it is finished by
// then, which [Schedule.Settled] tells, and waits without counting as running;
// else the caller finishes it.
//
// Source: specification sections 17 and 28, strategy.
func (s *Schedule) Open(job int) {
	k := s.graph.Starts(job)
	p := &s.pipes[k]
	p.open = true
	if s.jobs[job].Trigger.Strategy != "" {
		p.awaited = true
		s.running--
	}
	var changed []int
	for i := range s.jobsOf(k) {
		if n := &s.nodes[i]; n.status == StatusCreated && !s.graph.StageMode(i) && n.waiting == 0 {
			before := StatusSuccess
			if len(s.graph.Needs(i)) > 0 { // of the pipelines above
				before = n.needs.composite(true)
			}
			changed = s.decide(i, before, changed)
		}
	}
	s.propagate(s.advance(k, changed))
}

// close lets what follows from a settled job happen to trigger jobs: one that waits
// for the pipeline k of the job ends with it, and the jobs of a pipeline that the
// job would have started never start.
func (s *Schedule) close(job, k int, changed []int) []int {
	p := &s.pipes[k]
	if p.unsettled == 0 && k > 0 && p.open && !p.told {
		p.told = true
		s.ended = append(s.ended, k)
	}
	if p.unsettled == 0 && p.awaited {
		t := s.graph.TriggerOf(k)
		p.awaited = false
		s.nodes[t].allowed = s.jobs[t].AllowFailure
		s.set(t, s.PipelineStatus(k))
		s.settled = append(s.settled, t)
		changed = append(changed, t)
	}
	n, child := &s.nodes[job], s.graph.Starts(job)
	if child == 0 || s.pipes[child].open || n.status == StatusManual {
		return changed
	}
	for i := range s.jobsOf(child) {
		if c := &s.nodes[i]; c.status == StatusCreated {
			c.reason = fmt.Sprintf("its trigger job %s %s", strconv.Quote(s.jobs[job].Name), ended[n.status])
			s.set(i, StatusSkipped)
			s.settled = append(s.settled, i)
			changed = append(changed, i)
		}
	}
	return changed
}

// jobsOf are the jobs of a pipeline, ascending.
func (s *Schedule) jobsOf(k int) iter.Seq[int] {
	first, end := s.graph.StagesOf(k)
	return func(yield func(int) bool) {
		for stage := first; stage < end; stage++ {
			for _, i := range s.graph.StageJobs(stage) {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// Ended takes the child pipelines whose last job has settled since the last call.
func (s *Schedule) Ended() []int {
	ended := s.ended
	s.ended = nil
	return ended
}

// Extend replaces the plan by one that has more jobs behind those that are known:
// a child pipeline that has been compiled. The error is that of [plan.NewGraph].
func (s *Schedule) Extend(p *plan.Plan) error {
	g, err := plan.NewGraph(p)
	if err != nil {
		return err
	}
	s.extend(p, g)
	heap.Init(&s.ready)
	s.count()
	return nil
}

// ancestors are the trigger jobs above a job, the nearest first.
func (s *Schedule) ancestors(job int) (triggers []int) {
	for t := s.graph.TriggerOf(s.graph.Pipeline(job)); t >= 0; t = s.graph.TriggerOf(s.graph.Pipeline(t)) {
		triggers = append(triggers, t)
	}
	return triggers
}

// below reports whether a job is of pipeline k, or of one below it.
func (s *Schedule) below(job, k int) bool {
	return k == 0 || s.graph.Pipeline(job) == k || slices.Contains(s.ancestors(job), s.graph.TriggerOf(k))
}
