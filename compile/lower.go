package compile

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// defaultTimeout is GitLab's for a project, in seconds.
const defaultTimeout = 3600

// lowered is a plan that lacks its scripts.
type lowered struct {
	plan  *plan.Plan
	nodes []*node // parallel to plan.Jobs
	// pipeline names the trigger job of a child pipeline, for its scripts.
	pipeline string
	// children are the child pipelines to be compiled, in plan order.
	children []child
	// predefined are, parallel to plan.Jobs, the predefined variables of the job alone.
	predefined []plan.Variables
}

// lower makes the plan: it is the one place where plan values are built.
func lower(p *pipeline.Pipeline, sel *selection, g *graph, env *environment) (*lowered, syntax.ErrorList) {
	l := &lowering{env: env, top: p.Variables, vars: map[string]*variables{}, images: images{lock: env.options.Lock}}
	out := &lowered{
		nodes:      g.nodes,
		predefined: make([]plan.Variables, len(g.nodes)),
		pipeline:   env.pipelineName(),
		plan: &plan.Plan{
			FormatVersion: plan.FormatVersion,
			Source:        filepath.ToSlash(env.options.Source),
			Context:       env.context,
			Variables:     env.predefined,
			Stages:        g.stages,
			Jobs:          make([]plan.Job, len(g.nodes)),
		},
	}
	l.workflow(out.plan, p, sel)
	for _, n := range g.nodes {
		if reportsDotenv(n.job) {
			l.reporting = append(l.reporting, n)
		}
	}
	for i, n := range g.nodes {
		if n.job.Trigger != nil {
			out.plan.Jobs[i] = l.triggerJob(g, n)
		} else {
			out.plan.Jobs[i] = l.job(g, n, &out.predefined[i])
		}
		out.plan.Jobs[i].Rules = l.rules(out.plan, n.decision.tried)
		if l.tooLarge() {
			l.reportSize(n, "the variables of all jobs", "give variables to the jobs that use them, not to all at the top level")
			return nil, l.diags.list
		}
	}
	dropDotenvSources(out.plan.Jobs)
	out.children = l.children
	l.checkRequests(p)
	l.noteDefaultImage()
	edges, err := plan.NewGraph(out.plan)
	if err != nil {
		l.diags.report(&syntax.Error{Code: codePlan, Msg: err.Error()})
		return nil, l.diags.list
	}
	out.plan.Batches = edges.Levels()
	l.flow(out.plan, g, edges)
	for _, i := range g.excluded {
		j, d := p.Jobs[i], sel.decisions[i]
		out.plan.Excluded = append(out.plan.Excluded, plan.Excluded{
			Name: j.Name, Stage: j.Stage.Value, Reason: d.reason, Rules: l.rules(out.plan, d.tried),
		})
	}
	for _, j := range env.leftOut {
		out.plan.Excluded = append(out.plan.Excluded, plan.Excluded{Name: j.Name, Stage: j.Stage, Reason: env.leftOutReason()})
	}
	return out, l.diags.list
}

// workflow adds what the file says of the pipeline as a whole.
func (l *lowering) workflow(out *plan.Plan, p *pipeline.Pipeline, sel *selection) {
	if p.Workflow != nil {
		out.Name = l.workflowName(p.Workflow.Name.Value)
	}
	if a := p.AutoCancel; a != nil {
		out.AutoCancel = &plan.AutoCancel{OnJobFailure: a.OnJobFailure.Value, OnNewCommit: a.OnNewCommit.Value}
	}
	out.Workflow = sel.workflow
	if len(sel.read) > 0 {
		out.Context.Read = sel.read
	}
}

// rules returns the key of the record of rules that were tried, which it adds to
// the plan; empty if there were none.
func (l *lowering) rules(p *plan.Plan, tried []plan.TriedRule) string {
	if len(tried) == 0 {
		return ""
	}
	key := plan.RulesKey(tried)
	if p.Rules == nil {
		p.Rules = map[string][]plan.TriedRule{}
	}
	p.Rules[key] = tried
	return key
}

// lowering is the state of that pass.
type lowering struct {
	env *environment
	// top are the top-level variables, vars what jobs share of them, by the names
	// that a job inherits.
	top    []pipeline.Variable
	vars   map[string]*variables
	images images
	diags  diagnostics
	// imageless are the jobs that got the default image.
	imageless []*pipeline.Job
	// reporting are the jobs with a dotenv report, in plan order.
	reporting []*node
	children  []child
	// told are the secrets of which was said that they must be given.
	told map[string]bool
	// size is what the jobs' variables and inputs take once encoded, in bytes: what
	// grows with the square of a pipeline, every job having every top-level variable,
	// every job of a chain the artifacts of all before it.
	size int
}

// entryOverhead is what an input or a variable takes in the encoded plan beside
// its texts: indentation, quotes, comma and line end.
const entryOverhead = 14

// tooLarge reports whether the plan can be given up: it could not be read again.
func (l *lowering) tooLarge() bool { return l.size > plan.MaxPlanSize }

// reportSize reports that the plan is too large, up to n because of what.
func (l *lowering) reportSize(n *node, what, help string) {
	l.diags.report(&syntax.Error{
		Code: codePlanSize, Pos: n.job.Pos, Len: utf8.RuneCountInString(n.job.Base), Job: n.job.Name,
		Msg:  fmt.Sprintf("up to job %q, %s take more than the %d MiB of a plan", n.job.Name, what, plan.MaxPlanSize>>20),
		Help: help,
	})
}

// job lowers one job, its script and inputs aside; predefined receives the
// predefined variables that only this job has.
func (l *lowering) job(g *graph, n *node, predefined *plan.Variables) plan.Job {
	j, out := n.job, l.frame(g, n)
	out.AllowFailureExitCodes = n.decision.exitCodes
	out.Timeout, out.Coverage = j.Timeout, j.Coverage
	if out.Timeout == 0 {
		out.Timeout = defaultTimeout
	}
	if out.When == "manual" { // of another job it would mean nothing
		out.ManualConfirmation = j.ManualConfirmation
	}
	if j.Retry != nil && j.Retry.Max > 0 {
		out.Retry = &plan.Retry{Max: j.Retry.Max, When: j.Retry.When, ExitCodes: j.Retry.ExitCodes}
	}
	out.DotenvFrom = l.dotenvSources(n)
	l.texts(&out, j, predefined)
	l.secrets(&out, j)
	l.request(&out, j)
	return out
}

// frame is what every job has: its name, and when it runs.
func (l *lowering) frame(g *graph, n *node) plan.Job {
	out := plan.Job{
		Name:          n.job.Name,
		Stage:         g.stages[n.stage],
		AfterStages:   n.stageMode && n.stage > 0,
		When:          n.decision.when,
		AllowFailure:  n.decision.allowFailure,
		Interruptible: n.decision.interruptible,
	}
	if out.When == "delayed" {
		out.StartIn = n.decision.startIn
	}
	for _, e := range n.edges {
		out.Needs = append(out.Needs, plan.Need{Job: e.to.job.Name, Artifacts: e.artifacts, Optional: e.optional})
	}
	return out
}

// texts fills what variables are expanded in.
func (l *lowering) texts(out *plan.Job, j *pipeline.Job, predefined *plan.Variables) {
	from := j.Image
	if from == nil {
		from = l.defaultImage(j)
	}
	known := plan.JobVariables(out)
	shared := l.shared(j)
	env := environmentTexts{job: j, report: l.diags.report, late: shared.late}
	vars, e := shared.forJob(j, len(out.DotenvFrom) > 0, func(e *expander, name string) (plan.Text, bool) {
		switch {
		case name == "CI_JOB_IMAGE":
			return l.jobImage(e, from.Name.Value), true
		case strings.HasPrefix(name, environmentPrefix):
			return env.variable(e, name)
		}
		return known.Get(name)
	})
	out.Variables = vars
	for _, v := range vars {
		l.size += len(v.Name) + len(v.Value.Value) + entryOverhead
	}
	out.Image = l.image(e, j, from)
	for i := range j.Services {
		out.Services = append(out.Services, l.service(e, j, &j.Services[i]))
	}
	l.checkHosts(j, out.Services)
	l.timeouts(e, out, j)
	out.Environment = env.lower(e)
	out.ResourceGroup = l.resourceGroup(e, j)
	out.Release = release(e, j.Release)
	out.ExternalNeeds = l.externalNeeds(e, j)
	out.Artifacts = l.artifacts(e, j)
	out.Caches = l.caches(e, j)
	for _, v := range j.Matrix {
		value, _ := e.value(v.Name)
		out.Matrix = append(out.Matrix, plan.Variable{Name: v.Name, Value: value})
	}
	sortVariables(out.Matrix)
	*predefined = plan.JobVariables(out)
}

// resourceGroup is nil for a job without one. One that is empty once its variables
// are known is none, as on GitLab.
func (l *lowering) resourceGroup(e *expander, j *pipeline.Job) *plan.Text {
	if t := e.kept(j.ResourceGroup.Value); t.Value != "" {
		return &t
	}
	return nil
}

// jobImage is CI_JOB_IMAGE for a variable's value that mentions it, before the
// image is lowered; faults of the image are reported then.
func (l *lowering) jobImage(e *expander, name string) plan.Text {
	t := e.text(name)
	if !t.Template {
		if full, err := l.images.normalise(t.Value); err == nil {
			return plan.Literal(full)
		}
	}
	return t
}

func (l *lowering) defaultImage(j *pipeline.Job) *pipeline.Image {
	name := l.env.options.DefaultImage
	if name == "" {
		name = defaultImage
		l.imageless = append(l.imageless, j)
	}
	return &pipeline.Image{Name: pipeline.Text{Value: name}}
}

// noteDefaultImage warns once that some jobs have no image of their own, unless
// the caller chose the default.
func (l *lowering) noteDefaultImage() {
	const most = 5
	if len(l.imageless) == 0 {
		return
	}
	var first []string
	for _, j := range l.imageless[:min(len(l.imageless), most)] {
		first = append(first, j.Name)
	}
	names := quoted(first)
	if more := len(l.imageless) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	l.diags.report(&syntax.Error{
		Severity: syntax.SeverityWarning, Code: codeDefaultImage,
		Pos: l.imageless[0].Pos, Len: utf8.RuneCountInString(l.imageless[0].Base),
		Msg:  fmt.Sprintf("no image is given for %s: %s is used", names, defaultImage),
		Help: "set image in the pipeline, or --default-image",
	})
}

func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(list, ", ")
}
