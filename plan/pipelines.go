package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MaxPipelines bounds the child pipelines of a plan, as GitLab bounds a pipeline's
// hierarchy, and MaxDepth how deep they stand in each other (specification section 0).
const (
	MaxPipelines = 1000
	MaxDepth     = 2
)

// The kinds of Trigger.
const (
	TriggerChild      = "child"
	TriggerDynamic    = "dynamic"
	TriggerExternal   = "external"
	TriggerImpossible = "impossible"
)

// Pipeline is a child pipeline: jobs of the plan that may start once a trigger job
// has. Its stages and what its jobs wait for are its own.
type Pipeline struct {
	// Trigger is the job that starts it. The name of each of its jobs is that of
	// the trigger job, a slash, and the name that the job has in its pipeline.
	Trigger string `json:"trigger"`
	// Project is the other project that it is of; nil for the plan's own.
	Project *Project `json:"project,omitempty"`
	// Name is the expanded workflow:name, empty without one.
	Name       string      `json:"name,omitempty"`
	AutoCancel *AutoCancel `json:"auto_cancel,omitempty"`
	// Given are the names of the variables that it is given, from above.
	Given []string `json:"given,omitempty"`
	// Workflow is for it what Plan.Workflow is for the plan's own. Its records of rules
	// hold all the values that these have read.
	Workflow []TriedRule `json:"workflow,omitempty"`
	// Stages are those that hold at least one job, in order.
	Stages []string `json:"stages"`
}

// Project is another project than the plan's, of which a pipeline is. The executor must
// be told where its files are.
type Project struct {
	// Path is what trigger:project calls it: group/app.
	Path string `json:"path"`
	// Source is its pipeline file, with forward slashes.
	Source string `json:"source"`
	// Ref is the branch that the pipeline is of.
	Ref string `json:"ref"`
	// Variables are to the pipeline what Plan.Variables are to the plan's own.
	Variables Variables `json:"variables,omitempty"`
}

// below is the project of a pipeline that one of p starts.
func (p *Project) below() *Project {
	if p == nil {
		return nil
	}
	child := *p
	child.Variables = ChildVariables(p.Variables)
	return &child
}

// Trigger is what a job does that starts a pipeline.
type Trigger struct {
	// Kind is
	//   - child: one of Plan.Pipelines is started;
	//   - dynamic: a child pipeline is compiled when the job runs, from Dynamic;
	//   - external: the pipeline belongs to another project and is not run; the job
	//     counts as passed;
	//   - impossible: there can be no pipeline, and the job fails.
	Kind string `json:"kind"`
	// Strategy is depend or mirror: the job ends when the child pipeline does, and
	// as it does. Empty: it has succeeded once the child pipeline is started.
	Strategy string `json:"strategy,omitempty"`
	// Include are the files of a child pipeline.
	Include []ChildFile `json:"include,omitempty"`
	// Project is the path of another project, Branch what of it is, or would be, run.
	Project *Text `json:"project,omitempty"`
	Branch  *Text `json:"branch,omitempty"`
	// Reason says why no pipeline is started, where the kind is external or impossible.
	Reason string `json:"reason,omitempty"`
	// Variables are what a dynamic child pipeline is given, and with ForwardReports
	// also the variables of the dotenv reports that the trigger job gets.
	Variables      Variables `json:"variables,omitempty"`
	ForwardReports bool      `json:"forward_reports,omitempty"`
}

// ChildFile is a file of a child pipeline: exactly one of Local, Template, Remote,
// Component, Project with File, and Artifact with Job.
type ChildFile struct {
	Local     string `json:"local,omitempty"`
	Template  string `json:"template,omitempty"`
	Remote    string `json:"remote,omitempty"`
	Component string `json:"component,omitempty"`
	Project   string `json:"project,omitempty"`
	File      string `json:"file,omitempty"`
	Ref       string `json:"ref,omitempty"`
	// Artifact is the path of a file among the artifacts of Job.
	Artifact string `json:"artifact,omitempty"`
	Job      string `json:"job,omitempty"`
	// Inputs are values in JSON, by the names of inputs.
	Inputs map[string]string `json:"inputs,omitempty"`
}

// LocalName is the name that the job has in its own pipeline.
func (j *Job) LocalName() string {
	if j.Pipeline == "" {
		return j.Name
	}
	return strings.TrimPrefix(j.Name, j.Pipeline+"/")
}

// Scripts are the programs of a job: none of a trigger job, else its script and,
// if it has one, its after_script.
func (j *Job) Scripts() []Script {
	switch {
	case j.Trigger != nil:
		return nil
	case j.AfterScript == nil:
		return []Script{j.Script}
	}
	return []Script{j.Script, *j.AfterScript}
}

// script is nil of a trigger job.
func (j *Job) script() *Script {
	if j.Trigger != nil {
		return nil
	}
	return &j.Script
}

// Pipeline returns the child pipeline that the named job starts, nil if none.
func (p *Plan) Pipeline(trigger string) *Pipeline {
	i := slices.IndexFunc(p.Pipelines, func(c Pipeline) bool { return c.Trigger == trigger })
	if i < 0 {
		return nil
	}
	return &p.Pipelines[i]
}

// Predefined are the predefined variables common to all jobs of the job's pipeline.
func (p *Plan) Predefined(j *Job) Variables {
	if j.Pipeline == "" {
		return p.Variables
	}
	if of := p.ProjectOf(j); of != nil {
		return of.Variables
	}
	return ChildVariables(p.Variables)
}

// ProjectOf is the other project that a job is of; nil: the plan's own.
func (p *Plan) ProjectOf(j *Job) *Project {
	if c := p.Pipeline(j.Pipeline); c != nil {
		return c.Project
	}
	return nil
}

// OtherEvent is the event of pipelines that a trigger job of another project has
// started, for Context.Event.
const OtherEvent = "pipeline"

// ChildEvent is the event of child pipelines, for Context.Event.
const ChildEvent = "parent_pipeline"

// ChildVariables are the predefined variables of a child pipeline, given those of the
// one that starts it: they differ by what started it (specification section 28).
func ChildVariables(parent Variables) Variables {
	vs := make(Variables, 0, len(parent)+1)
	for _, v := range parent {
		if v.Name != "CI_PIPELINE_SOURCE" && v.Name != "CI_PIPELINE_TRIGGERED" {
			vs = append(vs, v)
		}
	}
	return sorted(append(vs, Variable{"CI_PIPELINE_SOURCE", Literal(ChildEvent)}))
}

// Given are the names of the variables that the job's pipeline was given, which
// nothing overrules.
func (p *Plan) Given(j *Job) []string {
	if j.Pipeline == "" {
		return p.Context.Given
	}
	if c := p.Pipeline(j.Pipeline); c != nil {
		return c.Given
	}
	return nil
}

// String names the file as a person would write it.
func (f ChildFile) String() string {
	switch {
	case f.Artifact != "":
		return fmt.Sprintf("%s of job %s", f.Artifact, f.Job)
	case f.Project != "":
		return strings.TrimSpace(fmt.Sprintf("%s of project %s %s", f.File, f.Project, f.Ref))
	}
	return f.Local + f.Template + f.Remote + f.Component
}

// Child is a plan that becomes a child pipeline, or one that another project's starts.
type Child struct {
	Trigger string
	Plan    *Plan
	// Project is the other project whose pipeline it is; nil: that of the trigger job.
	Project *Project
}

// Adopt returns p with other plans as child pipelines of trigger jobs, in that
// order and after those that p has; p does not change. A job gets the name that it
// has in the plan as a whole, and so do its scripts: moved maps, for each child,
// their paths to the new ones.
func (p *Plan) Adopt(children ...Child) (whole *Plan, moved []map[string]string, err error) {
	out := *p
	out.Jobs, out.Pipelines = slices.Clone(p.Jobs), slices.Clone(p.Pipelines)
	out.Excluded, out.Warnings, out.Rules = slices.Clone(p.Excluded), slices.Clone(p.Warnings), maps.Clone(p.Rules)
	for i := range out.Jobs {
		for _, c := range children {
			if j := &out.Jobs[i]; j.Name == c.Trigger && j.Trigger != nil {
				t := *j.Trigger
				t.Kind, t.Reason, t.Variables, t.ForwardReports = TriggerChild, "", nil, false
				j.Trigger = &t
			}
		}
	}
	for _, c := range children {
		moved = append(moved, out.adopt(c))
	}
	out.Batches, err = LevelsOf(&out)
	return &out, moved, err
}

func (p *Plan) adopt(c Child) map[string]string {
	in := within{c.Trigger}
	of := c.Project
	if i := slices.IndexFunc(p.Jobs, func(j Job) bool { return j.Name == c.Trigger }); of == nil && i >= 0 {
		of = p.ProjectOf(&p.Jobs[i]).below()
	}
	p.Pipelines = append(p.Pipelines, Pipeline{
		Trigger: c.Trigger, Project: of, Name: c.Plan.Name, AutoCancel: c.Plan.AutoCancel,
		Given: slices.Clone(c.Plan.Context.Given), Workflow: c.Plan.Workflow, Stages: c.Plan.Stages,
	})
	for _, nested := range c.Plan.Pipelines {
		nested.Trigger = in.name(nested.Trigger)
		if nested.Project == nil {
			nested.Project = of.below()
		}
		p.Pipelines = append(p.Pipelines, nested)
	}
	moved := map[string]string{}
	for i := range c.Plan.Jobs {
		j := in.job(c.Plan.Jobs[i], moved)
		p.link(&j, c.Trigger)
		p.Jobs = append(p.Jobs, j)
	}
	if p.Rules == nil && c.Plan.Rules != nil {
		p.Rules = map[string][]TriedRule{}
	}
	maps.Copy(p.Rules, c.Plan.Rules) // the keys follow from what they hold
	for _, x := range c.Plan.Excluded {
		x.Name = in.name(x.Name)
		p.Excluded = append(p.Excluded, x)
	}
	for _, w := range c.Plan.Warnings {
		if w.Job != "" {
			w.Job = in.name(w.Job)
		}
		p.Warnings = append(p.Warnings, w)
	}
	return moved
}

// Above reports whether the need is of a job of a pipeline above: all pipelines of a
// run have one number, which a pipeline above has passed on in a variable.
func (n *ExternalNeed) Above() bool {
	return n.Pipeline != nil && n.Pipeline.Template && n.Pipeline.Value == "${CI_PIPELINE_ID}" && !n.Job.Template
}

// link makes needs of j, a job that the trigger job has let start, of what it needs
// of the pipelines above, as far as it is there: the nearest first.
func (p *Plan) link(j *Job, trigger string) {
	var elsewhere []ExternalNeed
	for _, n := range j.ExternalNeeds {
		from := -1
		for at := trigger; from < 0 && at != "" && n.Above(); {
			i := slices.IndexFunc(p.Jobs, func(other Job) bool { return other.Name == at })
			if i < 0 || p.Jobs[i].Trigger.Project != nil { // another project's have numbers of their own
				break
			}
			at = p.Jobs[i].Pipeline
			from = slices.IndexFunc(p.Jobs, func(other Job) bool { return other.Pipeline == at && other.LocalName() == n.Job.Value })
		}
		if from < 0 || slices.ContainsFunc(j.Needs, func(have Need) bool { return have.Job == p.Jobs[from].Name }) {
			elsewhere = append(elsewhere, n)
			continue
		}
		j.Needs = append(j.Needs, Need{Job: p.Jobs[from].Name, Artifacts: true})
		if p.Jobs[from].Artifacts.Archived() {
			p.addInput(j, from)
		}
	}
	j.ExternalNeeds = elsewhere
}

// addInput lets j see the artifacts of a job of a pipeline above.
func (p *Plan) addInput(j *Job, from int) {
	var in Inputs
	if j.Inputs != nil {
		in = *j.Inputs
	}
	place := func(name string) int { // the jobs of its own pipeline come later
		i := slices.IndexFunc(p.Jobs, func(other Job) bool { return other.Name == name })
		if i < 0 {
			i = len(p.Jobs)
		}
		return i
	}
	at := slices.IndexFunc(in.Jobs, func(name string) bool { return place(name) > from })
	if at < 0 {
		at = len(in.Jobs)
	}
	in.Jobs = slices.Insert(slices.Clone(in.Jobs), at, p.Jobs[from].Name)
	j.Inputs = &in
}

// within renames what a child pipeline names.
type within struct{ trigger string }

func (in within) name(name string) string { return in.trigger + "/" + name }

func (in within) names(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, in.name(name))
	}
	return out
}

// job is a copy of j as a job of the child pipeline; moved takes its scripts.
func (in within) job(j Job, moved map[string]string) Job {
	j.Name = in.name(j.Name)
	if j.Pipeline != "" {
		j.Pipeline = in.name(j.Pipeline)
	} else {
		j.Pipeline = in.trigger
	}
	j.Needs = slices.Clone(j.Needs)
	for i := range j.Needs {
		j.Needs[i].Job = in.name(j.Needs[i].Job)
	}
	if j.Inputs != nil {
		inputs := *j.Inputs
		inputs.Jobs = in.names(inputs.Jobs)
		j.Inputs = &inputs
	}
	j.DotenvFrom = in.names(j.DotenvFrom)
	if j.Trigger != nil {
		t := *j.Trigger
		t.Include = slices.Clone(t.Include)
		for i := range t.Include {
			if f := &t.Include[i]; f.Job != "" {
				f.Job = in.name(f.Job)
			}
		}
		j.Trigger = &t
		return j
	}
	move := func(s Script, path string) Script {
		moved[s.Path] = path
		s.Path = path
		return s
	}
	j.Script = move(j.Script, ScriptPath(j.Name))
	if j.AfterScript != nil {
		after := move(*j.AfterScript, AfterScriptPath(j.Name))
		j.AfterScript = &after
	}
	return j
}

// Add adds a source map whose scripts have moved.
func (m *SourceMap) Add(other *SourceMap, moved map[string]string) {
	files := make([]int, len(other.Files))
	for i, file := range other.Files {
		if files[i] = slices.Index(m.Files, file); files[i] < 0 {
			files[i] = len(m.Files)
			m.Files = append(m.Files, file)
		}
	}
	for path, lines := range other.Scripts { // into a map: the order does not matter
		lines = slices.Clone(lines)
		for i := range lines {
			lines[i].File = files[lines[i].File]
		}
		m.Scripts[moved[path]] = lines
	}
}
