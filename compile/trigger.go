package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/script"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// triggerJob lowers a trigger job (specification section 28), and notes the child
// pipeline to be compiled for it.
func (l *lowering) triggerJob(g *graph, n *node) plan.Job {
	j, out := n.job, l.frame(g, n)
	t := j.Trigger
	out.Trigger = &plan.Trigger{Strategy: t.Strategy}
	var reports []string
	if len(t.Include) > 0 { // else nothing runs here that could read them
		reports = l.dotenvSources(n)
	}
	e, env := l.triggerTexts(&out, j, len(reports) > 0)
	var given plan.Variables
	if len(t.Include) > 0 {
		given = l.forwarded(j, e)
		if len(reports) > 0 && !t.ForwardGiven && !mentionsReports(given) {
			reports = nil
			e, env = l.triggerTexts(&out, j, false)
		}
		out.Trigger.Include = includedFiles(t.Include)
	}
	switch made := slices.ContainsFunc(t.Include, func(f pipeline.ChildFile) bool { return f.Kind == "artifact" }); {
	case len(t.Include) == 0:
		l.otherProject(&out, e, g, n)
	case made || len(reports) > 0:
		out.Trigger.Kind, out.Trigger.Variables, out.DotenvFrom = plan.TriggerDynamic, given, reports
		out.Trigger.ForwardReports = t.ForwardGiven && len(reports) > 0
		l.checkChildJobs(g, n)
	default:
		out.Trigger.Kind = plan.TriggerChild
		l.children = append(l.children, child{job: slices.Index(g.nodes, n), of: j, given: given})
	}
	out.Environment = env.lower(e)
	out.ResourceGroup = l.resourceGroup(e, j)
	for _, v := range j.Matrix {
		value, _ := e.value(v.Name)
		out.Matrix = append(out.Matrix, plan.Variable{Name: v.Name, Value: value})
	}
	sortVariables(out.Matrix)
	return out
}

// triggerTexts returns what expands the texts of a trigger job.
func (l *lowering) triggerTexts(out *plan.Job, j *pipeline.Job, dotenv bool) (*expander, *environmentTexts) {
	known := plan.JobVariables(out)
	shared := l.shared(j)
	env := &environmentTexts{job: j, report: l.diags.report, late: shared.late}
	vars, e := shared.forJob(j, dotenv, func(e *expander, name string) (plan.Text, bool) {
		switch {
		case name == "CI_JOB_IMAGE", name == "CI_JOB_TIMEOUT": // it has none
			return plan.Text{}, false
		case strings.HasPrefix(name, environmentPrefix):
			return env.variable(e, name)
		}
		return known.Get(name)
	})
	if out.Variables = nil; dotenv { // what reports may overrule
		out.Variables = vars
	}
	return e, env
}

// forwarded are the variables that a child pipeline is given: those of the file as
// the trigger job sees them, and on demand those that this pipeline was given, which
// beat them (specification section 28).
func (l *lowering) forwarded(j *pipeline.Job, e *expander) plan.Variables {
	values := map[string]plan.Text{}
	if j.Trigger.ForwardYAML {
		for _, list := range [][]pipeline.Variable{l.inherited(j), j.Variables, j.Matrix, j.RuleVariables} {
			for _, v := range list {
				d := e.define(v.Name)
				if d.given { // it beats the file's own in this pipeline alone
					d = d.below
				}
				switch value, _ := e.value(v.Name); {
				case d.raw:
					values[v.Name] = plan.Literal(d.value)
				case d != e.define(v.Name):
					values[v.Name] = e.expandValue(v.Name, d.value, func(string) plan.Text { return value })
				default:
					values[v.Name] = value
				}
			}
		}
	}
	if j.Trigger.ForwardGiven {
		for name := range l.env.options.Given {
			values[name], _ = e.value(name)
		}
	}
	given := make(plan.Variables, 0, len(values))
	for _, name := range sortedNames(values) {
		given = append(given, plan.Variable{Name: name, Value: values[name]})
	}
	return given
}

// mentionsReports reports whether values mention variables of dotenv reports: what
// is known only once jobs have run, and not of the executor itself.
func mentionsReports(vs plan.Variables) bool {
	return slices.ContainsFunc(vs, func(v plan.Variable) bool {
		return slices.ContainsFunc(parts(v.Value), func(p script.Part) bool { return p.Var && !plan.RuntimeVariable(p.Text) })
	})
}

// includedFiles are the files of a child pipeline for the plan. Their texts are as
// written: variables in them are the child pipeline's.
func includedFiles(from []pipeline.ChildFile) (files []plan.ChildFile) {
	for _, f := range from {
		out := plan.ChildFile{}
		switch place := f.Place.Value; f.Kind {
		case "local":
			out.Local = place
		case "template":
			out.Template = place
		case "remote":
			out.Remote = place
		case "component":
			out.Component = place
		case "project":
			out.Project = place
		case "artifact":
			out.Artifact, out.Job = place, f.Job.Value
		}
		if ref := f.Node.Get("ref"); ref != nil {
			out.Ref = ref.Value
		}
		for _, p := range pairsOf(f.Node.Get("inputs")) {
			if out.Inputs == nil {
				out.Inputs = map[string]string{}
			}
			out.Inputs[p.Key.Value] = resolve.JSON(p.Value)
		}
		names := []*syntax.Node{f.Node.Get("file")}
		if names[0] != nil && names[0].Kind == syntax.Sequence {
			names = names[0].Items
		}
		for _, name := range names {
			if name != nil {
				out.File = name.Value
			}
			files = append(files, out)
		}
	}
	return files
}

func pairsOf(n *syntax.Node) []syntax.Pair {
	if n == nil {
		return nil
	}
	return n.Pairs
}

// checkChildJobs checks the jobs that make the files of a dynamic child pipeline:
// the trigger job must wait for each, and it must leave artifacts.
func (l *lowering) checkChildJobs(g *graph, n *node) {
	for _, f := range n.job.Trigger.Include {
		if f.Kind != "artifact" {
			continue
		}
		i := slices.IndexFunc(g.nodes, func(other *node) bool { return other.job.Name == f.Job.Value })
		diag := at(codeChildJob, f.Job, n.job, "job %q: ", n.job.Base)
		switch {
		case i < 0:
			diag.Msg += fmt.Sprintf("job %q, which is to make %q, is not in this pipeline", f.Job.Value, f.Place.Value)
		case g.nodes[i].job.Trigger != nil || g.nodes[i].job.Artifacts == nil:
			diag.Msg += fmt.Sprintf("job %q, which is to make %q, leaves no artifacts", f.Job.Value, f.Place.Value)
			diag.Help = fmt.Sprintf("let it keep the file: artifacts: {paths: [%s]}", f.Place.Value)
		case !n.waitsFor(g.nodes[i]):
			diag.Msg += fmt.Sprintf("it does not wait for job %q, which is to make %q", f.Job.Value, f.Place.Value)
			diag.Help = fmt.Sprintf("add it to needs: [%s]", f.Job.Value)
		default:
			continue
		}
		l.diags.report(diag)
	}
}

// waitsFor reports whether a job starts only after another has ended.
func (n *node) waitsFor(other *node) bool {
	seen := map[*node]bool{}
	for pending := []*node{n}; len(pending) > 0; {
		at := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if at.stageMode && other.stage < at.stage {
			return true
		}
		for _, e := range at.edges {
			if e.to == other {
				return true
			}
			if !seen[e.to] {
				seen[e.to] = true
				pending = append(pending, e.to)
			}
		}
	}
	return false
}

// checkTrigger checks the jobs that trigger:include names, whether the job is
// selected or not (specification section 28).
func (b *graphBuilder) checkTrigger(j *pipeline.Job) {
	if j.Trigger == nil {
		return
	}
	for _, f := range j.Trigger.Include {
		if f.Kind != "artifact" {
			continue
		}
		switch i, ok := b.jobs[f.Job.Value]; {
		case !ok:
			diag := at(codeChildJob, f.Job, j, "job %q: no job is named %q, which is to make %q", j.Base, f.Job.Value, f.Place.Value)
			diag.Label, diag.Help = "no such job", b.suggestOne(j, f.Job.Value)
			b.diags.report(diag)
		case b.later(b.p.Jobs[i], j):
			b.diags.report(laterStage(codeChildJob, f.Job, j, b.p.Jobs[i], "gets its child pipeline from"))
		}
	}
}

// ofChild reports whether a name is one that a job of a child pipeline may have.
func ofChild(name string, jobs []*pipeline.Job) bool {
	return slices.ContainsFunc(jobs, func(j *pipeline.Job) bool {
		return j.Trigger != nil && (strings.HasPrefix(name, j.Name+"/") || strings.HasPrefix(name, j.Base+"/"))
	})
}
