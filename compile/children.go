package compile

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// child is a child pipeline that is compiled with its parent, or one of another project.
type child struct {
	job int // index into the plan's jobs
	of  *pipeline.Job
	// given are the variables that it gets from above.
	given plan.Variables
	// other is the project that it is of, nil for that of its parent, and branch what it
	// is compiled for.
	other  *External
	branch string
}

// childFiles are the files of the pipeline that is being compiled, if another starts it.
type childFiles struct {
	// trigger is the name of its trigger job, within the pipeline of that.
	trigger string
	pos     syntax.Pos
	// entries are those of trigger:include.
	entries *syntax.Node
	// other is the project that it is of, nil for that of its parent, and inputs what it
	// is given then.
	other  *External
	inputs *syntax.Node
	// artifact reads a file that a job has made; nil where none has run.
	artifact func(job, path string) (name string, data []byte, err error)
}

const (
	maxChildJobs  = 20_000   // of all child pipelines
	maxChildBytes = 32 << 20 // of the files of all child pipelines, each time they are read
	// maxChildErrors is the number of diagnostics from which on an error ends it all:
	// the children of one matrix have the same.
	maxChildErrors = 100
)

// budget bounds what the child pipelines of one pipeline take together: each is
// small, but a matrix of trigger jobs whose child pipelines hold such again is not.
type budget struct {
	pipelines, jobs, bytes int
	scripts                int // see maxChildScripts
	rules                  int // see maxTried
}

// read counts the files of a child pipeline.
func (b *budget) read(sources map[string][]byte, at syntax.Pos) syntax.ErrorList {
	for _, text := range sources {
		b.bytes += len(text)
	}
	if b.bytes <= maxChildBytes {
		return nil
	}
	return syntax.ErrorList{{Code: codeChildLimit, Pos: at, Len: len("trigger"),
		Msg: fmt.Sprintf("the files of all child pipelines together are larger than %d MiB", maxChildBytes>>20)}}
}

// distinct drops diagnostics that another child pipeline of the same files has made.
func distinct(list syntax.ErrorList) syntax.ErrorList {
	seen := map[diagnosticKey]bool{}
	return slices.DeleteFunc(list, func(e *syntax.Error) bool {
		key := diagnosticKey{e.Code, e.Pos, e.Msg}
		again := seen[key] && e.Pos.IsValid()
		seen[key] = true
		return again
	})
}

// nested reports whether another pipeline starts this one.
func (e *environment) nested() bool { return e.options.parent != nil }

// descend makes the environment that of a child pipeline: all is as above but for
// the source (specification section 28). That of another project shares the bounds alone.
func (e *environment) descend(parent *environment) {
	e.budget, e.matcher, e.generators = parent.budget, parent.matcher, parent.generators
	if e.options.child.other != nil {
		return
	}
	e.depth, e.files, e.merge = parent.depth+1, parent.files, parent.merge
	e.predefined = plan.ChildVariables(parent.predefined)
}

// pipelineName names the pipeline by its trigger jobs; empty for one that is no child.
func (e *environment) pipelineName() string {
	if e.options.child == nil {
		return ""
	}
	return strings.TrimPrefix(e.options.parent.pipelineName()+"/"+e.options.child.trigger, "/")
}

// addChildren compiles the child pipelines and takes them into the plan.
func addChildren(r *Result, l *lowered, env *environment) (*Result, syntax.ErrorList) {
	var found syntax.ErrorList
	if env.nested() {
		env.budget.jobs += len(r.Plan.Jobs)
	}
	var made []plan.Child
	var results []*Result
	for _, c := range l.children {
		result, errs := compileChild(r.Plan, c, env)
		found = append(found, errs...)
		if env.budget.exhausted() || found.HasErrors() && len(found) > maxChildErrors {
			break
		}
		if result != nil {
			made = append(made, plan.Child{Trigger: c.of.Name, Plan: result.Plan, Project: c.project(result.Plan)})
			results = append(results, result)
		}
	}
	if !env.nested() {
		found = distinct(found)
	}
	if found.HasErrors() || len(made) == 0 {
		return r, found
	}
	if e := sameNames(r.Plan, made, l); e != nil {
		return nil, append(found, e)
	}
	whole, moved, err := r.Plan.Adopt(made...)
	if err != nil {
		return nil, append(found, &syntax.Error{Code: codePlan, Msg: err.Error()})
	}
	r.Plan = whole
	if !env.nested() {
		found = append(found, missingAbove(whole)...)
	}
	for i, result := range results {
		for path, text := range result.Scripts {
			r.Scripts[moved[i][path]] = text
		}
		r.Map.Add(result.Map, moved[i])
	}
	return r, found
}

// missingAbove warns of jobs of child pipelines that need a job of a pipeline above
// which is not there.
func missingAbove(p *plan.Plan) (found syntax.ErrorList) {
	for i := range p.Jobs {
		for _, n := range p.Jobs[i].ExternalNeeds {
			if n.Above() {
				found = append(found, &syntax.Error{
					Severity: syntax.SeverityWarning, Code: codeExternalNeed, Job: p.Jobs[i].Name,
					Msg: fmt.Sprintf("job %q needs artifacts of job %q of a pipeline above, which is not there: it runs without them", p.Jobs[i].Name, n.Job.Value),
				})
			}
		}
	}
	return found
}

// exhausted reports whether there are too many child pipelines, which is reported.
func (b *budget) exhausted() bool {
	return b.pipelines > plan.MaxPipelines || b.jobs > maxChildJobs || b.bytes > maxChildBytes || b.scripts > maxChildScripts
}

// compileChild compiles one child pipeline; nil where there can be none, which is an
// error, or noted in the trigger job of p.
func compileChild(p *plan.Plan, c child, env *environment) (*Result, syntax.ErrorList) {
	t := c.of.Trigger
	fault := func(code, format string, args ...any) syntax.ErrorList {
		return syntax.ErrorList{{Code: code, Pos: t.Pos, Len: len("trigger"), Job: c.of.Name, Msg: fmt.Sprintf(format, args...)}}
	}
	job := p.Jobs[c.job].Trigger
	if c.other != nil && env.within(c.other.Path, c.branch) {
		job.Kind, job.Reason = plan.TriggerImpossible, fmt.Sprintf("the pipeline of project %q for branch %q would start itself again", c.other.Path, c.branch)
		found := fault(codeOtherLoop, "job %q will fail: %s", c.of.Base, job.Reason)
		found[0].Severity = syntax.SeverityWarning
		return nil, found
	}
	if c.other == nil && env.depth == plan.MaxDepth { // GitLab sees it when the job runs (specification section 28)
		job.Kind, job.Reason = plan.TriggerImpossible, fmt.Sprintf("child pipelines stand at most %d deep in each other", plan.MaxDepth)
		found := fault(codeChildDepth, "job %q will fail: %s", c.of.Base, job.Reason)
		found[0].Severity = syntax.SeverityWarning
		return nil, found
	}
	if env.budget.pipelines++; env.budget.pipelines > plan.MaxPipelines {
		return nil, fault(codeChildLimit, "the pipeline has more than %d child pipelines", plan.MaxPipelines)
	}
	result, errs := build(c.options(env), env.sources.texts)
	if env.budget.jobs > maxChildJobs {
		return nil, fault(codeChildLimit, "the child pipelines together have more than %d jobs", maxChildJobs)
	}
	// That of a nested child pipeline is excused below, and a warning by then.
	leftOut := func(e *syntax.Error) bool { return e.Code == codeLeftOutChild && e.Severity == syntax.SeverityError }
	empty := func(e *syntax.Error) bool { return e.Code == CodeNoJobs && result != nil }
	if i := slices.IndexFunc(errs, func(e *syntax.Error) bool { return empty(e) || leftOut(e) }); i >= 0 {
		e := errs[i]
		job.Kind, job.Reason = plan.TriggerImpossible, fmt.Sprintf("the rules of %s leave no job to run", c.noun())
		e.Msg = fmt.Sprintf("job %q will fail: %s", c.of.Base, job.Reason)
		if e.Code == codeLeftOutChild {
			job.Kind, job.Reason = plan.TriggerExternal, fmt.Sprintf("the files of %s are left out", c.noun())
			e.Msg = fmt.Sprintf("job %q starts nothing: %s", c.of.Base, job.Reason)
		} else {
			e.Code = codeEmptyChild
		}
		e.Severity, e.Pos, e.Len, e.Job = syntax.SeverityWarning, t.Pos, len("trigger"), c.of.Name
		return nil, errs
	}
	for _, e := range errs {
		e.Notes = append(e.Notes, syntax.Note{Pos: t.Pos, Msg: fmt.Sprintf("in %s of job %q", c.kind(), c.of.Base)})
		if e.Job != "" {
			e.Job = c.of.Name + "/" + e.Job
		}
	}
	return result, errs
}

// kind says what sort of pipeline it is.
func (c *child) kind() string {
	if c.other != nil {
		return "the other project's pipeline"
	}
	return "the child pipeline"
}

// noun says of a trigger job what it starts.
func (c *child) noun() string {
	if c.other != nil {
		return "the other project's pipeline"
	}
	return "its child pipeline"
}

// options are those by which the pipeline is compiled.
func (c *child) options(env *environment) Options {
	if c.other != nil {
		return c.otherOptions(env)
	}
	entries := &syntax.Node{Kind: syntax.Sequence, Pos: c.of.Trigger.Pos}
	for _, f := range c.of.Trigger.Include {
		entries.Items = append(entries.Items, f.Node)
	}
	o := env.options
	o.descend(env, c.given, &childFiles{trigger: c.of.Name, pos: c.of.Trigger.Pos, entries: entries}, c.of.Name, c.of.Base)
	return o
}

// descend makes the options of a pipeline those of a child, whose trigger job goes by
// some names in requests.
func (o *Options) descend(parent *environment, given plan.Variables, files *childFiles, triggers ...string) {
	o.Event, o.TargetBranch, o.Inputs = plan.ChildEvent, "", nil
	o.parent, o.child = parent, files
	o.JobInputs, o.Requests = jobInputsBelow(parent.options.JobInputs, triggers), nil
	for _, r := range parent.options.Requests {
		for _, trigger := range triggers {
			if name, ok := strings.CutPrefix(r.Job, trigger+"/"); ok {
				r.Job = name
				o.Requests = append(o.Requests, r)
				break
			}
		}
	}
	o.give(given)
}

// give makes variables those that the pipeline is given.
func (o *Options) give(vs plan.Variables) {
	o.Given, o.literal = make(map[string]string, len(vs)), make(map[string]bool, len(vs))
	for _, v := range vs {
		o.Given[v.Name], o.literal[v.Name] = v.Value.Value, !v.Value.Template
	}
}

// sameNames reports two jobs that would have one name in the whole plan.
func sameNames(p *plan.Plan, children []plan.Child, l *lowered) *syntax.Error {
	names := map[string]bool{}
	for i := range p.Jobs {
		names[p.Jobs[i].Name] = true
	}
	for _, c := range children {
		for i := range c.Plan.Jobs {
			name := c.Trigger + "/" + c.Plan.Jobs[i].Name
			if names[name] {
				k := slices.IndexFunc(l.nodes, func(n *node) bool { return n.job.Name == c.Trigger })
				j := l.nodes[k].job
				return &syntax.Error{Code: codeDuplicateJob, Pos: j.Pos, Len: utf8.RuneCountInString(j.Base), Job: j.Name,
					Msg: fmt.Sprintf("two jobs are named %q, one of them in the child pipeline of job %q", name, j.Base)}
			}
			names[name] = true
		}
	}
	return nil
}
