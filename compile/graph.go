package compile

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
)

// graph is the pipeline as it will run: the selected jobs in plan order, with
// their edges resolved.
type graph struct {
	// stages are those that hold a selected job, in order.
	stages []string
	nodes  []*node
	// excluded are the jobs left out, in source order, by index into the pipeline.
	excluded []int
}

// node is a selected job.
type node struct {
	job      *pipeline.Job
	decision *decision
	stage    int // index into graph.stages
	// stageMode: the job has no needs and waits for all earlier stages.
	stageMode bool
	edges     []edge
	// dependencies are the jobs whose artifacts the job asks for, each once; nil if
	// it does not say, empty if it wants none.
	dependencies []*node
}

// edge is one need.
type edge struct {
	to                  *node
	artifacts, optional bool
}

// maxNeeds is GitLab's default limit on the needs of a job; an instance may
// raise it, so more is a warning.
const maxNeeds = 50

// newGraph checks the edges between jobs (specification sections 13 and 14.2 for
// all jobs, 14.3 for those selected) and resolves them.
func newGraph(p *pipeline.Pipeline, sel *selection) (*graph, syntax.ErrorList) {
	b := &graphBuilder{
		p: p, sel: sel,
		stages: make(map[string]int, len(p.Stages)),
		jobs:   make(map[string]int, len(p.Jobs)),
		absent: map[string]*absence{},
	}
	for i, s := range p.Stages {
		b.stages[s.Value] = i
	}
	for i, j := range p.Jobs {
		if first, dup := b.jobs[j.Name]; dup {
			b.diags.report(&syntax.Error{
				Code: codeDuplicateJob, Pos: j.Pos, Len: utf8.RuneCountInString(j.Base), Job: j.Name,
				Msg:   fmt.Sprintf("two jobs are named %q once parallel jobs are expanded", j.Name),
				Notes: []syntax.Note{{Pos: p.Jobs[first].Pos, Msg: "the other one is here"}},
			})
			continue
		}
		b.jobs[j.Name] = i
		b.names = append(b.names, j.Name)
		if j.NodeIndex == 1 {
			b.names = append(b.names, j.Base)
		}
	}
	b.checkStages()
	for i := range p.Jobs {
		b.checkNeeds(i)
		b.checkDependencies(i)
		b.checkTrigger(b.p.Jobs[i])
	}
	b.checkCycles()
	if b.diags.list.HasErrors() {
		return nil, b.diags.list
	}
	return b.build(), b.diags.list
}

type graphBuilder struct {
	p      *pipeline.Pipeline
	sel    *selection
	stages map[string]int // by name, to the place in p.Stages
	jobs   map[string]int // by name, to the place in p.Jobs
	names  []string       // what a reference to a job may have meant
	absent map[string]*absence
	// suggestions counts those made; see suggest.
	suggestions int
	diags       diagnostics
}

// later reports whether a's stage comes after b's, both being known.
func (b *graphBuilder) later(a, other *pipeline.Job) bool {
	sa, okA := b.stages[a.Stage.Value]
	so, okO := b.stages[other.Stage.Value]
	return okA && okO && sa > so
}

func (b *graphBuilder) checkStages() {
	var names []string
	for _, s := range b.p.Stages {
		names = append(names, s.Value)
	}
	for _, j := range b.p.Jobs {
		if _, ok := b.stages[j.Stage.Value]; ok {
			continue
		}
		diag := at(codeUnknownStage, j.Stage, j, "job %q: stage %q does not exist", j.Base, j.Stage.Value)
		diag.Label = "no such stage"
		if !diag.Pos.IsValid() || diag.Pos == j.Pos {
			diag.Msg = fmt.Sprintf("job %q names no stage, and the default stage %q does not exist", j.Base, j.Stage.Value)
			diag.Pos, diag.Len, diag.Label = j.Pos, utf8.RuneCountInString(j.Base), ""
		}
		diag.Notes = []syntax.Note{{Msg: "stages of this pipeline: " + strings.Join(names, ", ")}}
		diag.Help = didYouMean(j.Stage.Value, names)
		b.diags.report(diag)
	}
}

// checkNeeds checks the needs of a job, whether it is selected or not.
func (b *graphBuilder) checkNeeds(i int) {
	j := b.p.Jobs[i]
	if j.Needs != nil {
		b.checkNeedList(i, *j.Needs)
	}
	// Those of rules that do not count now may count another time.
	for r := range j.Rules {
		if needs := j.Rules[r].Needs; needs != nil && needs != j.Needs {
			b.checkNeedList(i, *needs)
		}
	}
}

func (b *graphBuilder) checkNeedList(i int, needs []pipeline.Need) {
	j := b.p.Jobs[i]
	first := map[string]syntax.Pos{}
	for _, n := range needs {
		name := n.Job.Value
		if pos, dup := first[name]; dup {
			diag := at(codeDuplicateNeed, n.Job, j, "job %q needs %q twice", j.Base, name)
			if pos != n.Job.Pos {
				diag.Notes = []syntax.Note{{Pos: pos, Msg: "first needed here"}}
			}
			b.diags.report(diag)
			continue
		}
		first[name] = n.Job.Pos
		b.checkNeed(i, n)
	}
	if len(needs) > maxNeeds {
		diag := at(codeManyNeeds, needs[0].Job, j, "job %q needs %d jobs; GitLab allows %d by default", j.Base, len(needs), maxNeeds)
		diag.Severity = syntax.SeverityWarning
		b.diags.report(diag)
	}
}

// absentNeed warns of an optional need that names no job: once for each name, as many
// jobs may need what a file holds that is included at other times.
func (b *graphBuilder) absentNeed(need pipeline.Text, j *pipeline.Job) {
	const most = 5
	known := b.absent[need.Value]
	if known == nil {
		diag := at(codeOptionalNeed, need, j, "job %q has an optional need %q, which does not exist", j.Base, need.Value)
		diag.Severity = syntax.SeverityWarning
		diag.Help = b.suggest(j, need.Value)
		b.diags.report(diag)
		b.absent[need.Value] = &absence{diag: diag, last: need.Pos}
		return
	}
	if known.last == need.Pos {
		return // of a copy of the same job
	}
	known.last = need.Pos
	known.others = append(known.others, j.Base)
	note := "so have " + quoted(known.others[:min(len(known.others), most)])
	if more := len(known.others) - most; more > 0 {
		note += fmt.Sprintf(" and %d more", more)
	}
	known.diag.Notes = []syntax.Note{{Msg: note}}
}

// absence is a job that does not exist, and which others need it.
type absence struct {
	diag   *syntax.Error
	last   syntax.Pos
	others []string
}

func (b *graphBuilder) checkNeed(i int, n pipeline.Need) {
	j, name := b.p.Jobs[i], n.Job.Value
	t, ok := b.jobs[name]
	switch {
	case !ok && n.Optional:
		b.absentNeed(n.Job, j)
	case !ok:
		diag := at(codeUnknownNeed, n.Job, j, "job %q needs %q, which does not exist", j.Base, name)
		diag.Label = "no such job"
		diag.Help = b.suggest(j, name)
		b.diags.report(diag)
	case t == i:
		b.diags.report(at(codeSelfNeed, n.Job, j, "job %q needs itself", j.Base))
	case b.later(b.p.Jobs[t], j):
		b.diags.report(laterStage(codeLaterNeed, n.Job, j, b.p.Jobs[t], "needs"))
	}
}

// laterStage is the error that j refers to a job of a later stage.
func laterStage(code string, ref pipeline.Text, j, target *pipeline.Job, verb string) *syntax.Error {
	diag := at(code, ref, j, "job %q in stage %q %s %q, which is in the later stage %q",
		j.Base, j.Stage.Value, verb, ref.Value, target.Stage.Value)
	place := target.Stage.Pos
	if !place.IsValid() {
		place = target.Pos
	}
	diag.Notes = []syntax.Note{{Pos: place, Msg: fmt.Sprintf("%q is put in stage %q here", target.Base, target.Stage.Value)}}
	return diag
}

// checkDependencies checks the dependencies of a job (specification sections 4, 14.2).
func (b *graphBuilder) checkDependencies(i int) {
	j := b.p.Jobs[i]
	if j.Dependencies == nil {
		return
	}
	needed := map[string]bool{}
	if j.Needs != nil {
		for _, n := range *j.Needs {
			needed[n.Job.Value] = true
		}
	}
	for _, dep := range *j.Dependencies {
		name := dep.Value
		t, ok := b.jobs[name]
		switch {
		case !ok:
			diag := at(codeUnknownDependency, dep, j, "job %q depends on %q, which does not exist", j.Base, name)
			diag.Label, diag.Help = "no such job", b.suggest(j, name)
			b.diags.report(diag)
		case b.later(b.p.Jobs[t], j):
			b.diags.report(laterStage(codeLaterDependency, dep, j, b.p.Jobs[t], "depends on"))
		case j.Needs != nil && len(*j.Needs)+len(j.External) == 0:
			diag := at(codeIdleDependency, dep, j, "job %q depends on %q, which gives it nothing: it has no needs", j.Base, name)
			diag.Severity = syntax.SeverityWarning
			diag.Help = "list it in needs to wait for it"
			b.diags.report(diag)
		case j.Needs != nil && !needed[name]:
			diag := at(codeForeignDependency, dep, j, "job %q depends on %q, which its needs do not list", j.Base, name)
			diag.Help = fmt.Sprintf("add %q to needs", name)
			b.diags.report(diag)
		case j.Needs == nil && b.p.Jobs[t].Stage.Value == j.Stage.Value:
			diag := at(codeIdleDependency, dep, j, "job %q depends on %q of its own stage, which gives it nothing", j.Base, name)
			diag.Severity = syntax.SeverityWarning
			diag.Help = "list it in needs to wait for it"
			b.diags.report(diag)
		}
	}
}

// suggest is the help for a reference of j to an unknown job. It compares the name
// with every other job's, so it stops long after anybody reads on.
func (b *graphBuilder) suggest(j *pipeline.Job, name string) string {
	if strings.HasPrefix(name, ".") {
		return `an entry whose name begins with "." is hidden: it is no job`
	}
	const most = 100
	if b.suggestions++; b.suggestions > most {
		return ""
	}
	others := slices.DeleteFunc(slices.Clone(b.names), func(other string) bool { return other == j.Name })
	return didYouMean(name, others)
}

// suggestOne is suggest where one job must be named, and not all that were made of
// one entry.
func (b *graphBuilder) suggestOne(j *pipeline.Job, name string) string {
	for _, other := range b.p.Jobs {
		if other.Base == name && other.Name != name {
			return fmt.Sprintf("%q is parallel: name one of its jobs, such as %q", name, other.Name)
		}
	}
	return b.suggest(j, name)
}

// build resolves the edges of the selected jobs. A need on a job that was left
// out is an error unless it is optional (specification section 14.3).
func (b *graphBuilder) build() *graph {
	g := &graph{}
	byJob := make([]*node, len(b.p.Jobs))
	perStage := make([][]*node, len(b.p.Stages))
	for i, j := range b.p.Jobs {
		d := &b.sel.decisions[i]
		if !d.included {
			g.excluded = append(g.excluded, i)
			continue
		}
		byJob[i] = &node{job: j, decision: d}
		s := b.stages[j.Stage.Value]
		perStage[s] = append(perStage[s], byJob[i])
	}
	for s, nodes := range perStage {
		if len(nodes) == 0 {
			continue
		}
		for _, n := range nodes {
			n.stage = len(g.stages)
		}
		g.stages = append(g.stages, b.p.Stages[s].Value)
		g.nodes = append(g.nodes, nodes...)
	}
	for i, n := range byJob {
		if n != nil {
			b.connect(i, n, byJob)
		}
	}
	if !slices.ContainsFunc(g.stages, func(s string) bool { return s != ".pre" && s != ".post" }) {
		g = b.leaveOutAll(g)
	}
	return g
}

// connect fills the edges of a selected job.
func (b *graphBuilder) connect(i int, n *node, byJob []*node) {
	j := n.job
	n.stageMode = j.Needs == nil
	if j.Needs != nil {
		for _, need := range *j.Needs {
			t, exists := b.jobs[need.Job.Value]
			switch {
			case exists && byJob[t] != nil:
				n.edges = append(n.edges, edge{byJob[t], need.Artifacts, need.Optional})
			case !need.Optional:
				diag := at(codeExcludedNeed, need.Job, j, "job %q needs %q, which is not in this pipeline", j.Base, need.Job.Value)
				diag.Notes = b.sel.explain(t, b.p.Jobs[t])
				diag.Help = "give both jobs the same rules, or make the need optional: {job: ..., optional: true}"
				b.diags.report(diag)
			}
		}
	}
	if j.Dependencies != nil {
		n.dependencies = []*node{}
		for _, dep := range *j.Dependencies {
			if t, ok := b.jobs[dep.Value]; ok && byJob[t] != nil && !slices.Contains(n.dependencies, byJob[t]) {
				n.dependencies = append(n.dependencies, byJob[t])
			}
		}
	}
}

// leaveOutAll leaves out what is left in .pre and .post: jobs there alone make no
// pipeline (specification section 13). It warns that there is nothing to run, as
// GitLab then creates no pipeline, which is no error (section 12).
func (b *graphBuilder) leaveOutAll(g *graph) *graph {
	const most = 10
	diag := &syntax.Error{Severity: syntax.SeverityWarning, Code: CodeNoJobs, Msg: "the rules leave no job to run"}
	if len(g.nodes) > 0 {
		diag.Msg = "the rules leave no job to run outside .pre and .post, which run only beside other jobs"
	}
	none := &graph{}
	for i := range b.p.Jobs {
		if d := &b.sel.decisions[i]; d.included {
			*d = decision{reason: "no job is left outside .pre and .post, which run only beside other jobs", elsewhere: true, tried: d.tried}
		}
		none.excluded = append(none.excluded, i)
	}
	for _, i := range none.excluded[:min(len(none.excluded), most)] {
		note := fmt.Sprintf("job %q: %s", b.p.Jobs[i].Name, b.sel.decisions[i].reason)
		if rule := b.sel.decisions[i].rule; rule != "" {
			note += " (" + rule + ")"
		}
		diag.Notes = append(diag.Notes, syntax.Note{Msg: note})
	}
	if more := len(none.excluded) - most; more > 0 {
		diag.Notes = append(diag.Notes, syntax.Note{Msg: fmt.Sprintf("and %d more", more)})
	}
	b.diags.report(diag)
	return none
}

// at makes an error at a text of a job.
func at(code string, text pipeline.Text, j *pipeline.Job, format string, args ...any) *syntax.Error {
	return &syntax.Error{
		Code: code, Pos: text.Pos, Len: utf8.RuneCountInString(text.Value), Job: j.Name,
		Msg: fmt.Sprintf(format, args...),
	}
}

// didYouMean is the help for an unknown name, "" without a likely candidate.
func didYouMean(name string, candidates []string) string {
	if s := syntax.Suggest(name, candidates); s != "" {
		return fmt.Sprintf("did you mean %q?", s)
	}
	return ""
}
