package exec

import (
	"container/heap"
	"fmt"
	"slices"

	"github.com/cic-ci/cic/plan"
)

// Schedule decides which job may start when, and what a result unlocks. It is
// pure: no clock, no goroutine, no I/O. Jobs are indices into Plan.Jobs.
//
// Its rules are GitLab's (specification section 17): a job with needs looks at
// these, a job with AfterStages at all jobs of all earlier stages, each through
// the composite status of that set. One thing is stricter: a job with
// `when: always` one of whose needs was skipped does not start at once, but when
// its other needs are done too, so that it never runs beside what it waits for.
//
// Of several ready jobs the one with the longest chain of jobs behind it comes
// first, then the earlier in the plan. Durations are not known, so every job
// counts the same.
//
// A job that may start goes through up to three gates, in this order: a person
// ([Schedule.Play]), its delay ([Schedule.Due]), its resource group ([Schedule.Grant]).
//
// These rules hold within each pipeline. The jobs of a child pipeline wait until
// [Schedule.Open] says that the trigger job has started; see pipelines.go.
//
// The whole of a run costs time linear in jobs and written needs, but for the
// logarithm of the queue: jobs that wait for stages share one tally a stage.
type Schedule struct {
	jobs    []plan.Job
	graph   *plan.Graph
	nodes   []node
	ready   queue // may start
	soon    queue // worth preparing; may hold jobs that moved on
	settled []int // settled without running, not yet told by Settled
	held    []int // came to a gate that opens by itself, not yet told by Held
	running int   // those that wait for their child pipeline are not counted
	holding int   // jobs before such a gate
	// deferred are jobs that will run whatever becomes of the needs that are left.
	deferred []int

	stages []stage
	pipes  []pipe // as in plan.Graph: the first is the plan's own
	ended  []int  // child pipelines that have ended, not yet told by Ended
}

// node is the state of one job.
type node struct {
	status  Status
	allowed bool // the job's failure, or its waiting for a person, holds nobody up
	played  bool // a person wants it to run
	needs   tally
	// waiting counts the needs that are not settled, unbegun those that have not
	// even been prepared.
	waiting, unbegun int
	begun            bool // prepared, running or settled
	ahead            int  // the prepared jobs between this one, once offered, and one that runs
	height           int  // jobs on the longest chain that begins here
	reason           string
}

type stage struct {
	jobs               tally // settled ones
	unsettled, unbegun int
	failed             int // the first job that failed, -1 if none
}

// NewSchedule returns the schedule of a plan at its start. played are manual jobs
// that are to run without being asked for. The error is that of [plan.NewGraph].
func NewSchedule(p *plan.Plan, played ...int) (*Schedule, error) {
	g, err := plan.NewGraph(p)
	if err != nil {
		return nil, err
	}
	s := &Schedule{}
	s.extend(p, g)
	for _, i := range played {
		s.nodes[i].played = true
	}
	s.count()
	return s, nil
}

// extend takes in the jobs of a plan that are not known yet.
func (s *Schedule) extend(p *plan.Plan, g *plan.Graph) {
	known := len(s.nodes)
	s.jobs, s.graph = p.Jobs, g
	s.nodes = append(s.nodes, make([]node, len(p.Jobs)-known)...)
	for k := len(s.pipes); k < g.Pipelines(); k++ {
		s.pipes = append(s.pipes, pipe{open: k == 0})
	}
	for i := known; i < len(s.nodes); i++ {
		s.nodes[i].status = StatusCreated
		s.pipeOf(i).all.add(StatusCreated, 1)
	}
	for i, height := range g.Heights() {
		s.nodes[i].height = height
	}
	first, end := g.StagesOf(g.Pipelines() - 1)
	s.stages = make([]stage, max(first, end))
	s.ready.nodes, s.soon.nodes, s.soon.near = s.nodes, s.nodes, true
}

// count makes what is known of needs and stages from the states of the jobs, and
// decides what follows from it.
func (s *Schedule) count() {
	s.soon.jobs, s.deferred = nil, nil
	for i := range s.stages {
		s.stages[i] = stage{failed: -1}
	}
	for k := range s.pipes {
		s.pipes[k].restart(s.graph, k)
	}
	for i := range s.nodes {
		n := &s.nodes[i]
		n.needs, n.begun, n.ahead = tally{}, false, 0
		n.waiting = len(s.graph.Needs(i))
		n.unbegun = n.waiting
		st := &s.stages[s.graph.Stage(i)]
		st.unsettled++
		st.unbegun++
		s.pipeOf(i).unsettled++
	}
	var changed []int
	for i := range s.nodes {
		switch n := &s.nodes[i]; {
		case n.status.complete() || n.status == StatusManual && n.allowed:
			changed = append(changed, i)
		case n.status == StatusRunning:
			s.begin(i)
		case n.status == StatusCreated && !s.graph.StageMode(i) && n.waiting == 0 && s.pipeOf(i).open:
			changed = s.decide(i, StatusSuccess, changed)
		}
	}
	for k := range s.pipes {
		changed = s.advance(k, changed)
	}
	s.propagate(changed)
	for k := range s.pipes {
		s.pipes[k].told = s.pipes[k].told && s.pipes[k].unsettled == 0
	}
}

// Next takes the best job that may start and marks it as running.
func (s *Schedule) Next() (job int, ok bool) {
	if s.ready.Len() == 0 {
		return 0, false
	}
	job = heap.Pop(&s.ready).(int)
	s.set(job, StatusRunning)
	s.running++
	s.begin(job)
	return job, true
}

// Soon takes a job that cannot start yet, but everything it waits for is running,
// done, or was taken here before: it is worth preparing. So where jobs are shorter
// than their preparation, a chain of them is prepared well ahead. Those that may
// start the soonest come first. Each job is offered once.
func (s *Schedule) Soon() (job int, ok bool) {
	for s.soon.Len() > 0 {
		if job = heap.Pop(&s.soon).(int); s.nodes[job].status == StatusCreated {
			s.begin(job)
			return job, true
		}
	}
	return 0, false
}

// Finish records the end of a running job: success, failed or canceled.
// allowed says that its failure is allowed.
func (s *Schedule) Finish(job int, status Status, allowed bool) {
	if s.nodes[job].status != StatusRunning || !status.complete() || status == StatusSkipped {
		panic(fmt.Sprintf("exec: job %q went from %s to %s", s.jobs[job].Name, s.nodes[job].status, status))
	}
	s.running--
	s.nodes[job].allowed = allowed
	s.set(job, status)
	s.propagate([]int{job})
}

// Cancel gives up every job that has not started and for which pick, if there is
// one, is true. It returns their number.
func (s *Schedule) Cancel(reason string, pick func(job int) bool) int {
	var given []int
	for i := range s.nodes {
		n := &s.nodes[i]
		switch n.status {
		case StatusSuccess, StatusFailed, StatusCanceled, StatusSkipped, StatusRunning:
			continue
		case StatusManual:
			if n.allowed { // it holds nobody up
				continue
			}
		}
		if pick != nil && !pick(i) {
			continue
		}
		if n.status == StatusScheduled || n.status == StatusWaiting {
			s.holding--
		}
		n.reason = reason
		n.allowed = s.jobs[i].AllowFailure
		s.set(i, StatusCanceled)
		given = append(given, i)
	}
	s.ready.jobs = slices.DeleteFunc(s.ready.jobs, func(i int) bool { return s.nodes[i].status != StatusPending })
	heap.Init(&s.ready)
	s.settled = append(s.settled, given...)
	s.propagate(given)
	return len(given)
}

// Ready is the number of jobs that may start.
func (s *Schedule) Ready() int { return s.ready.Len() }

// Holding is the number of jobs that wait for a gate that opens by itself.
func (s *Schedule) Holding() int { return s.holding }

// Running is the number of jobs that were started and have not finished.
func (s *Schedule) Running() int { return s.running }

// Settled takes the jobs that were decided without being run since the last
// call: skipped, canceled, or manual.
func (s *Schedule) Settled() []int {
	jobs := s.settled
	s.settled = nil
	return jobs
}

// Held takes the jobs that came to a gate that opens by itself since the last
// call: they are scheduled or wait for their resource, unless they moved on.
func (s *Schedule) Held() []int {
	jobs := s.held
	s.held = nil
	return jobs
}

// Job returns a job's state, whether its failure is allowed, and why it was not run.
func (s *Schedule) Job(job int) (status Status, allowed bool, reason string) {
	n := &s.nodes[job]
	return n.status, n.allowed, n.reason
}

// set changes a job's state in the tally of the pipeline.
func (s *Schedule) set(job int, status Status) {
	n := &s.nodes[job]
	all := &s.pipeOf(job).all
	all.add(mapped(n.status, n.allowed), -1)
	n.status = status
	all.add(mapped(n.status, n.allowed), 1)
}
