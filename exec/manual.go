package exec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cic-ci/cic/plan"
)

// Question asks a person whether a manual job is to start.
type Question struct {
	Job string
	// Confirmation is the pipeline's own text, empty without one.
	Confirmation string
	// Optional: nothing waits for the job.
	Optional bool
}

// AllManual is the name that stands for every manual job in [MatchManual].
const AllManual = "all"

// MatchManual returns the full names of the manual jobs that are meant, in plan
// order: by a job's name, by the name that jobs of parallel have in common, or by
// [AllManual]. The error names the first that is no manual job of the plan.
func MatchManual(p *plan.Plan, names []string) ([]string, error) {
	chosen := make([]bool, len(p.Jobs))
	var known []string // what could have been meant
	for _, name := range names {
		found, other := false, false
		for i := range p.Jobs {
			j := &p.Jobs[i]
			group, _ := plan.JobVariables(j).Get("CI_JOB_GROUP_NAME")
			switch {
			case name != j.Name && name != group.Value && name != AllManual:
			case j.When != "manual":
				other = other || name != AllManual
			default:
				found, chosen[i] = true, true
			}
			known = append(known, j.Name, group.Value)
		}
		switch {
		case found:
		case other:
			return nil, fmt.Errorf("job %q is not manual", name)
		case name == AllManual:
			return nil, errors.New("the plan has no manual job")
		default:
			return nil, unknownName(known, name)
		}
	}
	var matched []string
	for i, yes := range chosen {
		if yes {
			matched = append(matched, p.Jobs[i].Name)
		}
	}
	return matched, nil
}

// played are the indices of the jobs of Executor.Manual.
func (e *Executor) played(p *plan.Plan) []int {
	var jobs []int
	for i := range p.Jobs {
		if slices.Contains(e.Manual, p.Jobs[i].Name) {
			jobs = append(jobs, i)
		}
	}
	return jobs
}

// ask puts a question to the person, if there is one and no other question is
// open. The loop goes on meanwhile.
func (r *run) ask() {
	for !r.asking && len(r.questions) > 0 {
		job := r.questions[0]
		r.questions = r.questions[1:]
		status, optional, _ := r.sched.Job(job)
		if status != StatusManual || r.stopped != "" {
			continue
		}
		j := &r.plan.Jobs[job]
		q := Question{Job: j.Name, Confirmation: j.ManualConfirmation, Optional: optional}
		r.asking = true
		r.helpers++
		go func() {
			yes, err := r.Ask(r.ctx, q)
			r.messages <- message{job: job, answer: true, yes: yes, err: err}
		}()
	}
}

// answered takes in what the person said. A question that could not be put counts
// as a no, and is the last.
func (r *run) answered(m message) {
	r.helpers--
	r.asking = false
	if m.err != nil {
		r.questions = nil
		if r.ctx.Err() == nil {
			r.emit(Event{Type: EventJobNote, Job: r.plan.Jobs[m.job].Name, Warning: true,
				Text: fmt.Sprintf("nobody could be asked whether to start it: %v", m.err)})
		}
		return
	}
	if !m.yes || r.stopped != "" {
		return
	}
	reset, ok := r.sched.Play(m.job)
	if !ok {
		return
	}
	r.requeue(m.job, "a person started it")
	for _, i := range reset {
		r.requeue(i, fmt.Sprintf("job %q was started", r.plan.Jobs[m.job].Name))
	}
}

// requeue forgets that a job was told to be finished without having run.
func (r *run) requeue(i int, why string) {
	job := &r.plan.Jobs[i]
	r.results[i] = blankResult(job)
	r.emit(Event{Type: EventJobRequeued, Job: job.Name, Text: why})
}
