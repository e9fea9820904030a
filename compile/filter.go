package compile

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/expr"
	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
)

// defaultRefs is the "only" of a job without rules and only.
var defaultRefs = pipeline.Filter{Refs: []pipeline.Text{{Value: "branches"}, {Value: "tags"}}}

func (s *selector) applyFilters(j *pipeline.Job, d *decision) {
	only := j.Only
	if only == nil {
		only = &defaultRefs
	}
	matched, all := s.match(only, "only")
	if matched == "" {
		d.included = false
		if j.Only == nil {
			d.reason, d.pos = s.env.refText()+" is neither a branch nor a tag, for which jobs without rules run", j.Pos
			return
		}
		d.reason = fmt.Sprintf("only: %s is not among them", s.env.refText())
		d.rule, d.pos = "only: "+all, j.Only.Pos
		return
	}
	if j.Except == nil {
		return
	}
	if matched, _ := s.match(j.Except, "except"); matched != "" {
		d.included, d.rule, d.pos = false, "except: "+matched, j.Except.Pos
		d.reason = fmt.Sprintf("except: %s is among them", s.env.refText())
	}
}

// match returns the first entry of a filter that holds, "" for none, and all
// entries for a person.
func (s *selector) match(f *pipeline.Filter, keyword string) (matched, all string) {
	entries := make([]string, len(f.Refs))
	for i, ref := range f.Refs {
		entries[i] = ref.Value
		holds, ok := s.matchRef(ref.Value)
		if !ok {
			s.diags.report(&syntax.Error{
				Severity: syntax.SeverityWarning, Code: codeFilterPattern,
				Pos: ref.Pos, Len: utf8.RuneCountInString(ref.Value),
				Msg:  fmt.Sprintf("%s: %q is no pattern but a name, which no ref can have", keyword, ref.Value),
				Help: "a pattern is /regular expression/flags, with flags of ismU",
			})
		}
		if holds && matched == "" {
			matched = ref.Value
		}
	}
	return matched, strings.Join(entries, ", ")
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
		match, ok := expr.MatchPattern(pattern, s.env.options.Ref)
		return match && !s.env.mergeRequest(), ok
	}
	return s.matchKeyword(pattern), true
}

// matchKeyword matches a name that may be a keyword (branches, tags, the event in
// singular or plural) or the ref itself.
func (s *selector) matchKeyword(name string) bool {
	env := s.env
	if !env.mergeRequest() {
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
