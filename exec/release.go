package exec

import (
	"strings"

	"github.com/cic-ci/cic/plan"
)

// noteExternal says which artifacts the job asked for and does not get.
func (w *worker) noteExternal() {
	for _, n := range w.job.ExternalNeeds {
		r := w.resolver(w.reports)
		where, of := "project", n.Project
		if of == nil {
			where, of = "pipeline", n.Pipeline
		}
		w.log.Note(true, "artifacts of job %q of the %s %q are not here", expandedText(r, n.Job), where, expandedText(r, *of))
	}
}

// tellRelease shows what a server would publish now that the script has succeeded.
func (w *worker) tellRelease(res *JobResult) {
	rel := w.job.Release
	if rel == nil || res.Status != StatusSuccess {
		return
	}
	r := w.resolver(append(w.reports[:len(w.reports):len(w.reports)], w.left.dotenv))
	line := func(name string, t *plan.Text) {
		if t == nil {
			return
		}
		for text := range strings.Lines(strings.TrimRight(expandedText(r, *t), "\n")) {
			w.log.Note(false, "  %s: %s", name, strings.TrimRight(text, "\r\n"))
		}
	}
	w.log.Note(false, "release %s (not published)", expandedText(r, rel.TagName))
	line("name", rel.Name)
	line("description", &rel.Description)
	line("ref", rel.Ref)
	line("tag message", rel.TagMessage)
	for i := range rel.Milestones {
		line("milestone", &rel.Milestones[i])
	}
	if rel.ReleasedAt != "" {
		w.log.Note(false, "  released at: %s", rel.ReleasedAt)
	}
	for _, l := range rel.Links {
		w.log.Note(false, "  link: %s %s", expandedText(r, l.Name), expandedText(r, l.URL))
	}
}

// expandedText is a text with the variables that are known only now. One that
// cannot be expanded is shown as it is written: nothing depends on it.
func expandedText(r *resolver, t plan.Text) string {
	text, err := t.Expand(r.mention)
	if err != nil {
		return t.Value
	}
	return text
}
