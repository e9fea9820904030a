package compile

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/expr"
	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// defaultRefs are the refs of an "only" without any, and of a job without rules
// and only.
var defaultRefs = []pipeline.Text{{Value: "branches"}, {Value: "tags"}}

// applyFilters decides by only, all of whose keys must hold, and except, none of
// which may (specification section 11).
func (s *selector) applyFilters(j *pipeline.Job, d *decision) {
	s.seen = nil
	defer func() {
		if text := filterText(j); text != "" {
			d.tried = []plan.TriedRule{{Rule: text, Unmet: d.unmet, Values: s.seen}}
		}
	}()
	s.checkFilter(j.Only, "only")
	s.checkFilter(j.Except, "except")
	// workflow:rules take the default of only away, and nothing else: a job with
	// except alone keeps it.
	only := j.Only
	if only == nil && !s.workflow {
		only = &pipeline.Filter{Pos: j.Pos}
	}
	if only != nil {
		if why, rule := s.unmet(j, only); why != "" {
			d.included, d.unmet, d.reason, d.rule, d.pos = false, "only", why, rule, only.Pos
			if j.Only == nil {
				d.reason, d.rule = s.env.refText()+" is neither a branch nor a tag, for which jobs without rules run", ""
			}
			return
		}
	}
	if j.Except == nil {
		return
	}
	if why, rule := s.met(j, j.Except); why != "" {
		d.included, d.unmet, d.reason, d.rule, d.pos = false, "except", why, rule, j.Except.Pos
	}
}

// checkFilter looks for faults in what need not be looked at to decide: GitLab
// refuses them whatever the ref is (specification sections 1 and 11).
func (s *selector) checkFilter(f *pipeline.Filter, keyword string) {
	if f == nil {
		return
	}
	for _, text := range f.Variables {
		s.expression(text, keyword+":variables")
	}
}

// filterText is only and except of a job on one line, empty for none.
func filterText(j *pipeline.Job) string {
	var parts []string
	for _, f := range []struct {
		keyword string
		*pipeline.Filter
	}{{"only", j.Only}, {"except", j.Except}} {
		if f.Filter == nil {
			continue
		}
		if f.Refs != nil {
			parts = append(parts, f.keyword+": "+texts(f.Refs))
		}
		if f.Variables != nil {
			parts = append(parts, f.keyword+": variables: "+texts(f.Variables))
		}
		if f.Changes != nil {
			parts = append(parts, f.keyword+": changes: "+texts(f.Changes))
		}
		if f.Kubernetes {
			parts = append(parts, f.keyword+": kubernetes: active")
		}
	}
	return strings.Join(parts, "; ")
}

// unmet says which key of only does not hold, "" for none.
func (s *selector) unmet(j *pipeline.Job, f *pipeline.Filter) (why, rule string) {
	refs := f.Refs
	if refs == nil {
		refs = defaultRefs
	}
	if matched, all := s.match(refs, "only"); matched == "" {
		return fmt.Sprintf("only: %s is not among them", s.env.refText()), "only: " + all
	}
	if f.Variables != nil {
		if matched, all := s.matchVariables(j, f.Variables, "only"); matched == "" {
			return "only:variables: no expression holds", "only: variables: " + all
		}
	}
	if f.Changes != nil && !s.matchChanges(j, f.Changes) {
		return "only:changes: no file that matches has changed", "only: changes: " + texts(f.Changes)
	}
	if f.Kubernetes {
		return "only:kubernetes: there is no cluster", "only: kubernetes: active"
	}
	return "", ""
}

// met says which key of except holds, "" for none.
func (s *selector) met(j *pipeline.Job, f *pipeline.Filter) (why, rule string) {
	if matched, _ := s.match(f.Refs, "except"); matched != "" {
		return fmt.Sprintf("except: %s is among them", s.env.refText()), "except: " + matched
	}
	if matched, _ := s.matchVariables(j, f.Variables, "except"); matched != "" {
		return "except:variables: an expression holds", "except: variables: " + matched
	}
	if f.Changes != nil && s.matchChanges(j, f.Changes) {
		return "except:changes: a file that matches has changed, or may have", "except: changes: " + texts(f.Changes)
	}
	return "", ""
}

// matchVariables returns the first expression that holds, "" for none, and all of
// them for a person.
func (s *selector) matchVariables(j *pipeline.Job, expressions []pipeline.Text, keyword string) (matched, all string) {
	for _, text := range expressions {
		e := s.expression(text, keyword+":variables")
		if e != nil && s.holds(j, e, text) && matched == "" {
			matched = text.Value
		}
	}
	return matched, texts(expressions)
}

func (s *selector) matchChanges(j *pipeline.Job, patterns []pipeline.Text) bool {
	a, err := s.env.files.changed(s.patterns(j, patterns), nil, "")
	if err != nil {
		s.failClause(patterns[0], "changes", err, false)
	}
	s.checkPaths(patterns[0].Pos, "changes")
	return a.holds
}

// texts joins texts for a person.
func texts(list []pipeline.Text) string {
	var all []string
	for _, t := range list {
		all = append(all, t.Value)
	}
	return strings.Join(all, ", ")
}

// match returns the first entry of a filter that holds, "" for none, and all
// entries for a person.
func (s *selector) match(refs []pipeline.Text, keyword string) (matched, all string) {
	for _, ref := range refs {
		holds, ok := s.matchRef(ref.Value)
		s.checkMatcher(ref)
		if !ok {
			s.diags.report(noPattern(ref, keyword))
		}
		if holds && matched == "" {
			matched = ref.Value
		}
	}
	return matched, texts(refs)
}

// noPattern is the warning of an entry that was meant as a pattern and is none. One
// in front of a path is not checked before it is used, on GitLab neither.
func noPattern(ref pipeline.Text, keyword string) *syntax.Error {
	e := &syntax.Error{
		Severity: syntax.SeverityWarning, Code: codeFilterPattern,
		Pos: ref.Pos, Len: utf8.RuneCountInString(ref.Value),
		Msg:  fmt.Sprintf("%s: %q is no pattern but a name, which no ref can have", keyword, ref.Value),
		Help: "a pattern is /regular expression/flags, with flags of ismU",
	}
	if patternWithPath.MatchString(ref.Value) {
		e.Msg = fmt.Sprintf("%s: %s has no valid regular expression, and no ref matches it", keyword, ref.Value)
		e.Help = `the dialect is RE2: it has \z but no \Z, lookahead, lookbehind or backreferences`
	}
	return e
}

// patternWithPath splits /regex/flags@group/project.
var patternWithPath = regexp.MustCompile(`^(/.*/[ismU]*)@(.+)$`)

// matchRef reports whether one entry of only or except holds; ok is false for one
// that was meant as a pattern and is none.
func (s *selector) matchRef(entry string) (holds, ok bool) {
	pattern, path := entry, ""
	if strings.HasPrefix(entry, "/") {
		if m := patternWithPath.FindStringSubmatch(entry); m != nil {
			pattern, path = m[1], m[2]
		}
	} else {
		pattern, path, _ = strings.Cut(entry, "@")
	}
	if path != "" {
		const project = "CI_PROJECT_PATH"
		value, known := s.env.options.Predefined[project]
		s.read[project] = nil
		if known {
			s.read[project] = &value
		}
		if value != path {
			return false, true
		}
	}
	if strings.HasPrefix(pattern, "/") {
		match, ok := expr.MatchPattern(s.env.matcher, pattern, s.env.options.Ref)
		return match && !s.env.merge, ok
	}
	return s.matchKeyword(pattern), true
}

// matchKeyword matches a name that may be a keyword (branches, tags, the event in
// singular or plural) or the ref itself.
func (s *selector) matchKeyword(name string) bool {
	env := s.env
	if !env.merge {
		switch {
		case name == env.options.Ref,
			name == "branches" && !env.options.Tag,
			name == "tags" && env.options.Tag:
			return true
		}
	}
	event := strings.TrimSuffix(env.event, "_event")
	plural := event + "s"
	if event == "push" {
		plural = "pushes"
	}
	return name == event || name == plural
}
