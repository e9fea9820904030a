package compile

import (
	"fmt"
	"path"
	"strings"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// paths expands patterns of artifacts or a cache and makes them relative to the
// project. What is outside of it is left out, as on GitLab (specification section
// 24). keyword names the place for diagnostics: artifacts:paths.
func (l *lowering) paths(e *expander, j *pipeline.Job, keyword string, patterns []pipeline.Text) []plan.Text {
	var paths []plan.Text
	for _, p := range patterns {
		t := relativePattern(e.text(p.Value))
		switch {
		case t.Value == "":
			diag := at(codeEmptyPath, p, j, "%s: %q is empty once expanded and matches nothing", keyword, p.Value)
			diag.Severity = syntax.SeverityWarning
			l.diags.report(diag)
			continue
		case leavesProject(t):
			diag := at(codeArtifactPath, p, j, "%s: %q is outside the project and is left out", keyword, p.Value)
			if t.Value != p.Value {
				diag.Label = fmt.Sprintf("expands to %q", t.Value)
			}
			diag.Severity, diag.Help = syntax.SeverityWarning, "paths are relative to the project directory"
			l.diags.report(diag)
			continue
		}
		paths = append(paths, t)
	}
	return paths
}

// relativePattern strips the project directory from the front of a pattern, by
// name or by value, and what does not matter: "./", double slashes. A trailing
// slash stays.
func relativePattern(t plan.Text) plan.Text {
	rest := t.Value
	if t.Template {
		rest = strings.TrimPrefix(rest, runtimeReference("CI_PROJECT_DIR").Value)
	}
	if rest == t.Value {
		rest = strings.TrimPrefix(rest, plan.ProjectDir)
	}
	if rest != t.Value && (rest == "" || rest[0] == '/') {
		t.Value = strings.TrimLeft(rest, "/")
		if t.Value == "" {
			t.Value = "."
		}
	}
	if t.Template {
		if rest, err := literalTemplate(t); err == nil {
			t = rest
		}
	}
	if t.Template || t.Value == "" {
		return t
	}
	clean := path.Clean(t.Value)
	switch {
	case clean == ".":
		clean = "**" // the whole project, as the runner takes "." and "./"
	case strings.HasSuffix(t.Value, "/") && clean != "/":
		clean += "/"
	}
	return plan.Literal(clean)
}

// literalTemplate makes a literal of a template without references.
func literalTemplate(t plan.Text) (plan.Text, error) {
	segments, err := t.Segments()
	if err != nil {
		return t, err
	}
	var b strings.Builder
	for _, s := range segments {
		if s.Var {
			return t, nil
		}
		b.WriteString(s.Text)
	}
	return plan.Literal(b.String()), nil
}

// leavesProject reports whether a pattern is absolute or climbs out of the
// project, as far as that can be told now; the executor checks again.
func leavesProject(t plan.Text) bool {
	if strings.HasPrefix(t.Value, "/") || strings.HasPrefix(t.Value, `\`) {
		return true
	}
	for _, part := range strings.FieldsFunc(t.Value, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == ".." {
			return true
		}
	}
	return false
}

// artifacts lowers the artifacts keyword; nil if it collects nothing.
func (l *lowering) artifacts(e *expander, j *pipeline.Job) *plan.Artifacts {
	from := j.Artifacts
	if from == nil {
		return nil
	}
	a := &plan.Artifacts{
		Paths:     l.paths(e, j, "artifacts:paths", from.Paths),
		Exclude:   l.paths(e, j, "artifacts:exclude", from.Exclude),
		Untracked: from.Untracked,
		When:      from.When,
		ExpireIn:  from.ExpireIn,
	}
	for _, r := range from.Reports {
		if paths := l.paths(e, j, "artifacts:reports:"+r.Kind, r.Paths); len(paths) > 0 {
			if a.Reports == nil {
				a.Reports = make(map[string][]plan.Text, len(from.Reports))
			}
			a.Reports[r.Kind] = paths
		}
	}
	if len(a.Paths) == 0 && !a.Untracked && len(a.Reports) == 0 {
		return nil
	}
	if from.Name != nil {
		name := e.text(from.Name.Value)
		a.Name = &name
	}
	if a.When == "" {
		a.When = "on_success"
	}
	return a
}
