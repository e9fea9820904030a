package compile

import (
	"strings"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/plan"
	"github.com/cic-ci/cic/plan/credential"
)

// try evaluates a rule: it holds if all its clauses do, of which there may be none
// (specification section 10). A clause behind one that does not hold is not looked
// at. j is nil for workflow:rules.
func (s *selector) try(j *pipeline.Job, r *pipeline.Rule) plan.TriedRule {
	where := "rules"
	if j == nil {
		where = "workflow:rules"
	}
	s.seen = nil
	tried := plan.TriedRule{Rule: ruleText(r)}
	if !s.ifHolds(j, r, where) {
		tried.Unmet = "if"
	}
	for _, clause := range []struct {
		name  string
		paths *pipeline.Paths
		ask   func(*pipeline.Job, *pipeline.Paths, string) answer
	}{{"changes", r.Changes, s.changed}, {"exists", r.Exists, s.exists}} {
		if tried.Unmet != "" || clause.paths == nil {
			continue
		}
		switch a := clause.ask(j, clause.paths, where+":"+clause.name); {
		case !a.holds:
			tried.Unmet, tried.Assumed = clause.name, ""
		case a.assumed:
			tried.Assumed = clause.name
		}
	}
	tried.Values = s.seen
	return tried
}

func (s *selector) ifHolds(j *pipeline.Job, r *pipeline.Rule, where string) bool {
	if !r.If.Pos.IsValid() && r.If.Value == "" {
		return true
	}
	e := s.expression(r.If, where+":if")
	return e != nil && s.holds(j, e, r.If)
}

// note records the variable of a name as a rule sees it: for the rule if the file or
// the job defines it, or the pipeline is the child of another, else for the whole plan.
func (s *selector) note(j *pipeline.Job, name string) {
	value, ok := s.lookup(j, name)
	var seen *string
	if ok {
		seen = s.shown(name, value)
	}
	if _, inFile := s.lookupFile(j, name); !inFile && !variesByJob(name) && !s.env.nested() {
		s.read[name] = seen
		return
	}
	if s.seen == nil {
		s.seen = map[string]*string{}
	}
	s.seen[name] = seen
}

// shown is a value as the plan may hold it. The one of each name is looked at once.
func (s *selector) shown(name, value string) *string {
	if last, ok := s.seenValues[name]; ok && last.value == value {
		return last.shown
	}
	shown := value
	if value != "" && (credential.SecretName(name) || credential.Holds(value)) {
		shown = plan.Hidden
	}
	s.seenValues[name] = seenValue{value, &shown}
	return &shown
}

// seenValue is a value that a rule read, and how the plan shows it.
type seenValue struct {
	value string
	shown *string
}

// patterns are globs with the variables that are known; others stay as they are
// written (specification section 18.4).
func (s *selector) patterns(j *pipeline.Job, list []pipeline.Text) []string {
	patterns := make([]string, len(list))
	for i, t := range list {
		patterns[i] = s.expanded(j, t.Value)
	}
	return patterns
}

// expanded replaces the variables of a text that are known now, whose values may
// mention others (specification section 9.3).
func (s *selector) expanded(j *pipeline.Job, text string) string {
	if !strings.ContainsAny(text, "$%") {
		return text
	}
	x := ruleExpander{selector: s, job: j, done: map[string]string{}, pending: map[string]bool{}}
	return x.text(text)
}

// ruleExpander expands the texts of rules: each variable once, and what is not
// known stays as it is written.
type ruleExpander struct {
	selector *selector
	job      *pipeline.Job
	done     map[string]string
	pending  map[string]bool
}

func (x *ruleExpander) text(text string) string {
	var b strings.Builder
	scanReferences(text, true, func(literal string) { b.WriteString(literal) }, func(name, written string) {
		if b.Len() <= maxValue { // as for any value
			b.WriteString(x.reference(name, written))
		}
	})
	return b.String()
}

func (x *ruleExpander) reference(name, written string) string {
	s := x.selector
	if value, ok := x.done[name]; ok {
		return value
	}
	s.note(x.job, name)
	value, ok := s.lookup(x.job, name)
	if !ok || x.pending[name] {
		return written
	}
	_, given := s.env.options.Given[name]
	v, inFile := s.lookupFile(x.job, name)
	if given || inFile && !v.Raw {
		x.pending[name] = true
		value = x.text(value)
		delete(x.pending, name)
	}
	x.done[name] = value
	return value
}

// ruleText is a rule as a person would write it on one line.
func ruleText(r *pipeline.Rule) string {
	var parts []string
	if r.If.Value != "" {
		parts = append(parts, "if: "+strings.TrimSpace(r.If.Value))
	}
	if r.Changes != nil {
		parts = append(parts, "changes: "+pathsText(r.Changes))
	}
	if r.Exists != nil {
		parts = append(parts, "exists: "+pathsText(r.Exists))
	}
	if r.When.Value != "" {
		parts = append(parts, "when: "+r.When.Value)
	}
	if len(parts) == 0 {
		return "no condition"
	}
	return strings.Join(parts, "; ")
}

func pathsText(p *pipeline.Paths) string {
	text := texts(p.Patterns)
	if p.Regexp.Value != "" {
		text = "regexp " + p.Regexp.Value
	}
	for _, of := range []struct{ key, value string }{
		{"compare_to", p.CompareTo.Value}, {"project", p.Project.Value}, {"ref", p.Ref.Value},
	} {
		if of.value != "" {
			text += " (" + of.key + ": " + of.value + ")"
		}
	}
	return text
}
