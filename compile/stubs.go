package compile

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/syntax"
)

// decode makes the model, of what there is.
func decode(root *syntax.Node, env *environment) (*pipeline.Pipeline, syntax.ErrorList) {
	given := env.options.JobInputs
	p, errs := pipeline.Decode(root, given...)
	if len(env.stubs) == 0 {
		return p, append(errs, checkJobInputs(p, given)...)
	}
	s := &stubbed{env: env, jobs: map[string]bool{}, stages: map[string]bool{}}
	// A job that lacks a part is told of one at a time where they share it.
	const rounds = 20
	for n := 0; n < rounds && errs.HasErrors(); n++ {
		rest := s.withoutPartial(root, errs)
		if rest == nil {
			break
		}
		root = rest
		p, errs = pipeline.Decode(root, given...)
	}
	given = slices.DeleteFunc(slices.Clone(given), func(v pipeline.InputValue) bool {
		return slices.ContainsFunc(env.leftOut, func(j resolve.LeftOut) bool { return j.Name == v.Job })
	})
	errs = append(errs, checkJobInputs(p, given)...)
	return s.excuse(p, errs)
}

// withoutPartial returns the tree without the jobs, and the keywords of default, that lack
// a part, which a file that is left out may hold; nil if there are none.
func (s *stubbed) withoutPartial(root *syntax.Node, errs syntax.ErrorList) *syntax.Node {
	partial := map[string]bool{}
	for _, e := range errs {
		if e.Code != pipeline.CodeMissing || e.Job == "" || partial[e.Job] {
			continue
		}
		partial[e.Job] = true
		s.leaveOut(e.Job, root.Get(e.Job).Get("stage"))
		e.Msg = fmt.Sprintf("job %q is left out: %s", e.Job, e.Msg)
		e.Code, e.Label, e.Help = resolve.CodeStubbed, "", ""
		s.report(e)
	}
	def := s.withoutDefaults(root.Get("default"), errs)
	if len(partial) == 0 && def == nil {
		return nil
	}
	var left []syntax.Pair
	for _, p := range root.Pairs {
		if p.Key.Value == "default" && def != nil {
			p.Value = def
		}
		if !partial[p.Key.Value] {
			left = append(left, p)
		}
	}
	return syntax.NewMapping(root.Pos, left)
}

// withoutDefaults returns default without the keywords that lack a part; nil if there
// are none, which all errors without a job may be about.
func (s *stubbed) withoutDefaults(def *syntax.Node, errs syntax.ErrorList) *syntax.Node {
	if def == nil {
		return nil
	}
	var places map[syntax.Pos]string
	partial := map[string]bool{}
	for _, e := range errs {
		if e.Code != pipeline.CodeMissing || e.Job != "" {
			continue
		}
		if places == nil {
			places = keywordsByPlace(def)
		}
		keyword, ok := places[e.Pos]
		if !ok || partial[keyword] {
			continue
		}
		partial[keyword] = true
		e.Msg = fmt.Sprintf("%q of \"default\" is left out: %s", keyword, e.Msg)
		e.Code, e.Label, e.Help = resolve.CodeStubbed, "", ""
		s.report(e)
	}
	if len(partial) == 0 {
		return nil
	}
	return syntax.NewMapping(def.Pos, slices.DeleteFunc(slices.Clone(def.Pairs), func(p syntax.Pair) bool { return partial[p.Key.Value] }))
}

// keywordsByPlace tells of each place in a mapping under which of its keys it is.
func keywordsByPlace(n *syntax.Node) map[syntax.Pos]string {
	places := map[syntax.Pos]string{}
	seen := map[*syntax.Node]bool{}
	var visit func(n *syntax.Node, keyword string)
	visit = func(n *syntax.Node, keyword string) {
		if seen[n] { // which an alias stands for
			return
		}
		seen[n] = true
		places[n.Pos] = keyword
		for _, item := range n.Items {
			visit(item, keyword)
		}
		for _, p := range n.Pairs {
			places[p.Key.Pos] = keyword
			visit(p.Value, keyword)
		}
	}
	for _, p := range n.Pairs {
		visit(p.Value, p.Key.Value)
	}
	return places
}

// leaveOut notes a job that is left out.
func (s *stubbed) leaveOut(name string, stage *syntax.Node) {
	out := resolve.LeftOut{Name: name, Stage: "test"}
	if stage != nil && stage.Kind == syntax.String {
		out.Stage = stage.Value
	}
	s.env.leftOut = append(s.env.leftOut, out)
}

// excuse makes a pipeline of which files are left out one that can be compiled:
// what names a stage or a job that is not there may mean one of these files'. All of
// that is a warning, and goes on without.
func (s *stubbed) excuse(p *pipeline.Pipeline, errs syntax.ErrorList) (*pipeline.Pipeline, syntax.ErrorList) {
	errs = slices.DeleteFunc(errs, func(e *syntax.Error) bool { return e.Code == pipeline.CodeNoJob || e.Code == pipeline.CodeOnStop })
	if errs.HasErrors() {
		return p, append(errs, s.diags.list...)
	}
	for _, j := range p.Jobs {
		s.jobs[j.Name] = true
	}
	p.Jobs = slices.DeleteFunc(p.Jobs, s.withoutMaker)
	s.addStages(p)
	for _, j := range p.Jobs {
		s.needs(j, &j.Needs, "job %q has none of its needs, and waits for all earlier stages")
		for i := range j.Rules {
			s.needs(j, &j.Rules[i].Needs, "job %q has none of the needs of a rule, and those without the rule")
		}
		if j.Dependencies != nil {
			*j.Dependencies = slices.DeleteFunc(*j.Dependencies, func(name pipeline.Text) bool { return s.missing(j, name, "depends on") })
		}
	}
	return p, append(errs, s.diags.list...)
}

// withoutMaker reports whether a job starts a child pipeline whose file is made by a
// job that is not there, which is told.
func (s *stubbed) withoutMaker(j *pipeline.Job) bool {
	if j.Trigger == nil {
		return false
	}
	for _, f := range j.Trigger.Include {
		if f.Kind != "artifact" || s.jobs[f.Job.Value] {
			continue
		}
		delete(s.jobs, j.Name)
		s.env.leftOut = append(s.env.leftOut, resolve.LeftOut{Name: j.Name, Stage: j.Stage.Value})
		s.report(at(resolve.CodeStubbed, f.Job, j, "job %q is left out: job %q, which is to make %q, does not exist", j.Base, f.Job.Value, f.Place.Value))
		return true
	}
	return false
}

type stubbed struct {
	env          *environment
	jobs, stages map[string]bool
	diags        diagnostics
}

// addStages adds the stages that no file lists.
func (s *stubbed) addStages(p *pipeline.Pipeline) {
	of := map[string]string{} // stages by the names of jobs
	for _, j := range p.Jobs {
		of[j.Name] = j.Stage.Value
	}
	for _, stage := range p.Stages {
		s.stages[stage.Value] = true
	}
	before := map[string]map[string]bool{} // by stages, those that wait for their jobs
	for _, j := range p.Jobs {
		for _, name := range waitsFor(j) {
			if stage, ok := of[name]; ok && stage != j.Stage.Value {
				if before[stage] == nil {
					before[stage] = map[string]bool{}
				}
				before[stage][j.Stage.Value] = true
			}
		}
	}
	first := map[string]*pipeline.Job{}
	for _, j := range slices.Backward(p.Jobs) {
		first[j.Stage.Value] = j
	}
	for _, j := range p.Jobs {
		s.addStage(p, j.Stage.Value, first, before)
	}
}

// addStage puts a stage that no file lists before those that wait for its jobs, else
// behind all that are listed.
func (s *stubbed) addStage(p *pipeline.Pipeline, name string, first map[string]*pipeline.Job, before map[string]map[string]bool) {
	if s.stages[name] {
		return
	}
	s.stages[name] = true
	for _, later := range sortedNames(before[name]) {
		s.addStage(p, later, first, before)
	}
	place, where := len(p.Stages)-1, "to be the last" // .post is behind it
	if i := slices.IndexFunc(p.Stages, func(t pipeline.Text) bool { return before[name][t.Value] }); i >= 0 {
		place, where = i, fmt.Sprintf("to come before %q", p.Stages[i].Value)
	}
	p.Stages = slices.Insert(p.Stages, place, pipeline.Text{Value: name})
	j := first[name]
	s.report(at(resolve.CodeStubbed, j.Stage, j, "job %q: stage %q, which does not exist, is taken %s", j.Base, name, where))
}

// waitsFor are the names of the jobs that a job needs or depends on.
func waitsFor(j *pipeline.Job) (names []string) {
	add := func(needs *[]pipeline.Need) {
		if needs != nil {
			for _, n := range *needs {
				names = append(names, n.Job.Value)
			}
		}
	}
	add(j.Needs)
	for i := range j.Rules {
		add(j.Rules[i].Needs)
	}
	if j.Dependencies != nil {
		for _, name := range *j.Dependencies {
			names = append(names, name.Value)
		}
	}
	return names
}

// needs drops the needs of jobs that are not there. A job of whose needs none is left,
// and which has some, is one without needs: it would start at once otherwise, a
// deployment before all that it was to wait for. That is told by format.
func (s *stubbed) needs(j *pipeline.Job, needs **[]pipeline.Need, format string) {
	if *needs == nil {
		return
	}
	var gone pipeline.Text
	kept := slices.DeleteFunc(slices.Clone(**needs), func(n pipeline.Need) bool {
		if n.Optional || !s.missing(j, n.Job, "needs") {
			return false
		}
		gone = n.Job
		return true
	})
	if len(kept) > 0 || gone.Value == "" {
		*needs = &kept
		return
	}
	*needs = nil
	s.report(&syntax.Error{Code: resolve.CodeStubbed, Pos: j.Pos, Len: utf8.RuneCountInString(j.Base), Job: j.Name,
		Msg: fmt.Sprintf(format, j.Base)})
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
	e.Notes = s.env.stubs.Notes()
	s.diags.report(e)
}

// leftOutReason tells why a job is left out, for [plan.Excluded].
func (e *environment) leftOutReason() string {
	return fmt.Sprintf("what it runs may be in a file that is left out: include at %s:%d", e.stubs[0].File, e.stubs[0].Line)
}
