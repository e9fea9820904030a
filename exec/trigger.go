package exec

import (
	"fmt"
	"strings"

	"github.com/cic-ci/cic/plan"
)

// blankResult is the result of a job of which nothing is known yet.
func blankResult(j *plan.Job) JobResult {
	return JobResult{Name: j.Name, Stage: j.Stage, Pipeline: j.Pipeline}
}

// trigger lets a trigger job run: it has no container, and waiting for its child
// pipeline takes nothing away from other jobs.
// Source: specification section 28.
func (r *run) trigger(i int) {
	job, res := &r.plan.Jobs[i], &r.results[i]
	if job.Trigger.Kind == plan.TriggerExternal {
		// The jobs that wait for it go on, as where the other project's pipeline passes.
		res.Status, res.Reason = StatusSkipped, job.Trigger.Reason
		r.sched.Finish(i, StatusSuccess, false)
		r.emitFinished(i)
		r.release(i)
		return
	}
	res.Started = r.Now()
	r.emit(Event{Time: res.Started, Type: EventJobStarted, Job: job.Name, Stage: job.Stage, Attempt: 1})
	switch job.Trigger.Kind {
	case plan.TriggerDynamic:
		r.compileChild(i)
	case plan.TriggerImpossible:
		r.failTrigger(i, &Error{Class: ClassConfig, Err: fmt.Errorf("no child pipeline can be made: %s", job.Trigger.Reason)})
	default:
		r.open(i, 0)
	}
}

// open starts the child pipeline of a trigger job; added is how many of its jobs
// the plan did not hold when the run began.
func (r *run) open(i, added int) {
	job := &r.plan.Jobs[i]
	child := r.plan.Pipeline(job.Name)
	r.emit(Event{Type: EventPipelineStarted, Job: job.Name, Stages: child.Stages, Jobs: added})
	r.sched.Open(i)
	if job.Trigger.Strategy == "" {
		r.sched.Finish(i, StatusSuccess, false)
		r.endTrigger(i)
	}
}

// failTrigger ends a trigger job that starts no pipeline.
func (r *run) failTrigger(i int, err error) {
	res := &r.results[i]
	fail(res, err)
	res.Allowed = r.plan.Jobs[i].AllowFailure
	r.sched.Finish(i, StatusFailed, res.Allowed)
	r.endTrigger(i)
}

// endTrigger takes in how a trigger job ended that was started.
func (r *run) endTrigger(i int) {
	res := &r.results[i]
	res.Status, res.Allowed, res.Reason = r.sched.Job(i)
	if k := r.sched.graph.Starts(i); k > 0 && r.plan.Jobs[i].Trigger.Strategy != "" {
		switch res.Status {
		case StatusFailed:
			res.Class, res.Error = ClassChild, "its child pipeline failed"
		case StatusCanceled:
			res.Class, res.Error = ClassCanceled, "its child pipeline was canceled"
		}
	}
	res.Duration = r.Now().Sub(res.Started)
	r.Secrets.hide(res)
	r.emitFinished(i)
	r.release(i)
	r.failFast(i)
}

// tellEnded tells of the child pipelines that have ended since the last call.
func (r *run) tellEnded() {
	for _, k := range r.sched.Ended() {
		t := r.sched.graph.TriggerOf(k)
		r.emit(Event{Type: EventPipelineFinished, Job: r.plan.Jobs[t].Name, Status: r.sched.PipelineStatus(k)})
	}
}

// tellPipelines completes the result with the child pipelines that were started.
func (r *run) tellPipelines() {
	for k := 1; k < r.sched.graph.Pipelines(); k++ {
		if r.sched.pipes[k].open {
			t := r.sched.graph.TriggerOf(k)
			r.result.Pipelines = append(r.result.Pipelines, PipelineResult{Trigger: r.plan.Jobs[t].Name, Status: r.sched.PipelineStatus(k)})
		}
	}
}

// childText says what a child pipeline consists of.
func childText(e *Event) string {
	stages := make([]string, len(e.Stages))
	for i, s := range e.Stages {
		stages[i] = DisplayName(s)
	}
	text := "Started its child pipeline: " + strings.Join(stages, " → ")
	if e.Jobs > 0 {
		text += fmt.Sprintf(", %d more job(s)", e.Jobs)
	}
	return text
}
