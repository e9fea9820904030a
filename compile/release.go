package compile

import (
	"fmt"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// release lowers what a job would publish; nil for nothing.
func release(e *expander, r *pipeline.Release) *plan.Release {
	if r == nil {
		return nil
	}
	out := &plan.Release{
		TagName: e.text(r.TagName.Value), Description: e.text(r.Description.Value),
		Name: optionalText(e, r.Name), Ref: optionalText(e, r.Ref), TagMessage: optionalText(e, r.TagMessage),
		ReleasedAt: r.ReleasedAt,
	}
	for _, m := range r.Milestones {
		out.Milestones = append(out.Milestones, e.text(m.Value))
	}
	for _, l := range r.Links {
		out.Links = append(out.Links, plan.ReleaseLink{
			Name: e.text(l.Name.Value), URL: e.text(l.URL.Value), Filepath: optionalText(e, l.Path), Type: l.Type,
		})
	}
	return out
}

// optionalText expands a text; nil for one that is empty then.
func optionalText(e *expander, t pipeline.Text) *plan.Text {
	if expanded := e.text(t.Value); expanded.Value != "" {
		return &expanded
	}
	return nil
}

// externalNeeds lowers the needs of other pipelines and projects whose artifacts
// the job asks for. Nothing of them is here: that is warned of, and recorded.
func (l *lowering) externalNeeds(e *expander, j *pipeline.Job) []plan.ExternalNeed {
	var needs []plan.ExternalNeed
	for _, n := range j.External {
		if !n.Artifacts {
			continue
		}
		where, at := "project", n.Project
		if n.Project.Value == "" {
			where, at = "pipeline", n.Pipeline
		}
		need := plan.ExternalNeed{
			Project: optionalText(e, n.Project), Ref: optionalText(e, n.Ref), Pipeline: optionalText(e, n.Pipeline),
			Job: e.text(n.Job.Value),
		}
		if l.env.depth > 0 && need.Above() { // what is not there after all is told later
			needs = append(needs, need)
			continue
		}
		l.diags.report(&syntax.Error{
			Severity: syntax.SeverityWarning, Code: codeExternalNeed, Pos: at.Pos, Len: utf8.RuneCountInString(at.Value), Job: j.Name,
			Msg: fmt.Sprintf("job %q needs artifacts of job %q of the %s %q, which are not here: it runs without them", j.Base, n.Job.Value, where, at.Value),
		})
		if need.Job.Value != "" && (need.Project != nil || need.Pipeline != nil) {
			needs = append(needs, need)
		}
	}
	return needs
}
