package compile

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// External is another project, whose pipeline a trigger job starts (specification
// section 28). All but the first fields are for its pipeline what their namesakes of
// [Options] are.
type External struct {
	// Path is what trigger:project calls it.
	Path string
	// File is the path of its pipeline file in the project, and Data the content.
	File string
	Data []byte
	// DefaultBranch is what a trigger job without a branch means, CheckedOut the branch
	// that its files are of.
	DefaultBranch, CheckedOut string

	Predefined map[string]string
	Project    fs.FS
	Tree       func() ([]string, error)
	Changes    func(compareTo string) (paths []string, known bool, err error)
	Vendored   func(resolve.Location) (name string, data []byte, err error)
}

// Prefix is [Options].Prefix of another project, by its path.
func Prefix(path string) string { return path + ":" }

// otherProject lowers a trigger job whose pipeline is another project's: to be compiled
// if that is at hand, and else there is nothing to run.
func (l *lowering) otherProject(out *plan.Job, e *expander, g *graph, n *node) {
	j, t := n.job, n.job.Trigger
	at, what := t.Project, "the pipeline of project %q is not run here"
	if t.Upstream.Value != "" {
		at, what = t.Upstream, "how the pipeline of project %q ends is not known here"
	}
	text := func(from pipeline.Text) *plan.Text {
		if from.Value == "" {
			return nil
		}
		value := e.kept(from.Value)
		return &value
	}
	made := out.Trigger
	made.Kind = plan.TriggerExternal
	made.Project, made.Branch = text(at), text(t.Branch)
	if t.Upstream.Value == "" {
		if x := l.external(made, j); x != nil {
			l.startOther(out, x, e, g, n)
			return
		}
	}
	if made.Reason == "" {
		made.Reason = fmt.Sprintf(what, made.Project.Value)
	}
	l.diags.report(&syntax.Error{
		Severity: syntax.SeverityWarning, Code: codeOtherProject,
		Pos: at.Pos, Len: utf8.RuneCountInString(at.Value), Job: j.Name,
		Msg: fmt.Sprintf("job %q: %s; jobs that wait for it run as if it had passed", j.Base, made.Reason),
	})
}

// external returns the project that a trigger job names, nil if it is not at hand, or if
// its branch is known only when the job runs, which is the reason then.
func (l *lowering) external(t *plan.Trigger, j *pipeline.Job) *External {
	given := l.env.options.External
	if given == nil || late(t.Project) {
		return nil
	}
	x, err := given(t.Project.Value)
	if err != nil {
		l.diags.report(at(codeOption, j.Trigger.Project, j, "project %q, which job %q starts, cannot be read: %v", t.Project.Value, j.Base, err))
	}
	if x != nil && late(t.Branch) {
		t.Reason = fmt.Sprintf("the branch %q of project %q is not known before jobs run", t.Branch.Value, x.Path)
		return nil
	}
	return x
}

// late reports whether a text mentions what is known only when jobs run, or never.
func late(t *plan.Text) bool {
	return t != nil && (t.Template || strings.Contains(t.Value, "$"))
}

// startOther notes the pipeline of another project to be compiled for a trigger job.
func (l *lowering) startOther(out *plan.Job, x *External, e *expander, g *graph, n *node) {
	j := n.job
	branch, at := x.DefaultBranch, j.Trigger.Project
	if out.Trigger.Branch != nil {
		branch, at = out.Trigger.Branch.Value, j.Trigger.Branch
	}
	warn := func(code, format string, args ...any) {
		l.diags.report(&syntax.Error{
			Severity: syntax.SeverityWarning, Code: code, Pos: at.Pos, Len: utf8.RuneCountInString(at.Value), Job: j.Name,
			Msg: fmt.Sprintf("job %q: ", j.Base) + fmt.Sprintf(format, args...),
		})
	}
	if branch != x.CheckedOut {
		warn(codeOtherBranch, "the pipeline of project %q is for branch %q, but its files are those that are checked out, of %q", x.Path, branch, x.CheckedOut)
	}
	given := l.forwarded(j, e)
	if len(l.dotenvSources(n)) > 0 {
		late := *out // as it would be if reports were waited for
		if e, _ := l.triggerTexts(&late, j, true); j.Trigger.ForwardGiven || mentionsReports(l.forwarded(j, e)) {
			warn(codeOtherReports, "the pipeline of project %q is compiled before jobs run: variables of their dotenv reports do not reach it", x.Path)
		}
	}
	text := plan.Literal(branch)
	out.Trigger.Kind, out.Trigger.Branch = plan.TriggerChild, &text
	for i, other := range g.nodes {
		if other == n {
			l.children = append(l.children, child{job: i, of: j, given: given, other: x, branch: branch})
		}
	}
}

// otherOptions are those by which the pipeline of another project is compiled: what the
// command line says of the whole, and the files and the git state of the project.
func (c *child) otherOptions(env *environment) Options {
	inputs := c.of.Trigger.Inputs
	if inputs == nil {
		inputs = syntax.NewMapping(c.of.Trigger.Pos, nil)
	}
	x, o := c.other, env.options
	o.descend(env, c.given, &childFiles{trigger: c.of.Name, pos: c.of.Trigger.Pos, other: x, inputs: inputs}, c.of.Name, c.of.Base)
	o.Event, o.Ref, o.Tag, o.ChangesSince = plan.OtherEvent, c.branch, false, ""
	o.Prefix = Prefix(x.Path)
	o.Source, o.Data = o.Prefix+x.File, x.Data
	o.Predefined, o.Project, o.Tree, o.Changes, o.Vendored = x.Predefined, x.Project, x.Tree, x.Changes, x.Vendored
	return o
}

// project is what the plan says of the project that the pipeline, compiled to p, is of;
// nil for that of its parent.
func (c *child) project(p *plan.Plan) *plan.Project {
	if c.other == nil {
		return nil
	}
	return &plan.Project{Path: c.other.Path, Source: c.other.File, Ref: c.branch, Variables: p.Variables}
}

// within reports whether the pipeline is, or stands below, that of another project for a
// branch. GitLab fails a trigger job that would start it anew.
func (e *environment) within(path, branch string) bool {
	for at := e; at != nil; at = at.options.parent {
		if slices.ContainsFunc(at.above, func(p *plan.Project) bool { return p.Path == path && p.Ref == branch }) {
			return true
		}
		if c := at.options.child; c != nil && c.other != nil && c.other.Path == path && at.options.Ref == branch {
			return true
		}
	}
	return false
}
