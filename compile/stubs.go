package compile

import (
	"fmt"
	"slices"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/syntax"
)

// decode makes the model, of what there is.
func decode(root *syntax.Node, env *environment) (*pipeline.Pipeline, syntax.ErrorList) {
	p, errs := pipeline.Decode(root)
	return excuseStubs(p, errs, env)
}

// excuseStubs makes a pipeline of which files are left out one that can be compiled:
// what names a stage or a job that is not there may mean one of these files'. All of
// that is a warning, and goes on without.
func excuseStubs(p *pipeline.Pipeline, errs syntax.ErrorList, env *environment) (*pipeline.Pipeline, syntax.ErrorList) {
	if len(env.stubs) == 0 {
		return p, errs
	}
	errs = slices.DeleteFunc(errs, func(e *syntax.Error) bool { return e.Code == pipeline.CodeNoJob })
	if errs.HasErrors() {
		return p, errs
	}
	s := stubbed{env: env, jobs: map[string]bool{}, stages: map[string]bool{}}
	for _, j := range p.Jobs {
		s.jobs[j.Name] = true
	}
	for _, stage := range p.Stages {
		s.stages[stage.Value] = true
	}
	for _, j := range p.Jobs {
		s.stage(p, j)
		s.needs(j, j.Needs)
		for i := range j.Rules {
			s.needs(j, j.Rules[i].Needs)
		}
		if j.Dependencies != nil {
			*j.Dependencies = slices.DeleteFunc(*j.Dependencies, func(name pipeline.Text) bool { return s.missing(j, name, "depends on") })
		}
	}
	return p, append(errs, s.diags.list...)
}

type stubbed struct {
	env          *environment
	jobs, stages map[string]bool
	diags        diagnostics
}

// stage adds a stage that no file lists behind those that are listed.
func (s *stubbed) stage(p *pipeline.Pipeline, j *pipeline.Job) {
	name := j.Stage.Value
	if s.stages[name] {
		return
	}
	s.stages[name] = true
	p.Stages = slices.Insert(p.Stages, len(p.Stages)-1, pipeline.Text{Value: name}) // .post is the last
	s.report(at(resolve.CodeStubbed, j.Stage, j, "job %q: stage %q, which does not exist, is taken to be the last", j.Base, name))
}

func (s *stubbed) needs(j *pipeline.Job, needs *[]pipeline.Need) {
	if needs != nil {
		*needs = slices.DeleteFunc(*needs, func(n pipeline.Need) bool { return !n.Optional && s.missing(j, n.Job, "needs") })
	}
}

// missing reports whether a job names one that is not there, which is told.
func (s *stubbed) missing(j *pipeline.Job, name pipeline.Text, verb string) bool {
	if s.jobs[name.Value] {
		return false
	}
	s.report(at(resolve.CodeStubbed, name, j, "job %q %s %q, which does not exist, and goes without", j.Base, verb, name.Value))
	return true
}

func (s *stubbed) report(e *syntax.Error) {
	e.Severity = syntax.SeverityWarning
	e.Msg += "; it may be in a file that is left out"
	if !e.Pos.IsValid() {
		e.Len = 0
	}
	e.Notes = []syntax.Note{{Pos: s.env.stubs[0], Msg: "left out here"}}
	s.diags.report(e)
}

// leftOutReason tells why a job is left out, for [plan.Excluded].
func (e *environment) leftOutReason() string {
	return fmt.Sprintf("what it runs may be in a file that is left out: include at %s:%d", e.stubs[0].File, e.stubs[0].Line)
}
