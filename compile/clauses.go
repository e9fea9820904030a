package compile

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/syntax"
)

// changed evaluates the clause changes of a rule.
func (s *selector) changed(j *pipeline.Job, p *pipeline.Paths, where string) answer {
	re := s.pathRegexp(j, p, where)
	if p.Regexp.Value != "" && re == nil {
		return answer{}
	}
	compareTo := s.expanded(j, p.CompareTo.Value)
	changed, err := s.env.files.changed(s.patterns(j, p.Patterns), re, compareTo)
	switch {
	case errors.Is(err, ErrNoRef):
		s.failClause(p.CompareTo, where, err, compareTo != "")
	case err != nil:
		s.failClause(pipeline.Text{Pos: p.Pos}, where, err, false)
	}
	s.checkPaths(p.Pos, where)
	return changed
}

// checkPaths reports, once, that comparing the project's files with the patterns of all
// rules takes too much work; at is where that shows.
func (s *selector) checkPaths(at syntax.Pos, where string) {
	if s.env.files.matcher.Report() {
		s.diags.report(tooManyPaths(at, where))
	}
}

func tooManyPaths(at syntax.Pos, where string) *syntax.Error {
	return &syntax.Error{
		Severity: syntax.SeverityWarning, Code: codePathBudget, Pos: at, Len: 1,
		Msg:  where + ": to compare the project's files with all patterns takes too much work: from here on every clause is taken to hold",
		Help: "let patterns begin with a directory, or take fewer",
	}
}

// exists evaluates the clause exists of a rule. Nothing is known of the files of
// other projects or refs, so that none is taken to exist there.
func (s *selector) exists(j *pipeline.Job, p *pipeline.Paths, where string) answer {
	re := s.pathRegexp(j, p, where)
	if p.Regexp.Value != "" && re == nil {
		return answer{}
	}
	if elsewhere := s.elsewhere(j, p); elsewhere != "" {
		s.diags.report(&syntax.Error{
			Severity: syntax.SeverityWarning, Code: resolve.CodeUnknownFiles, Pos: p.Project.Pos, Len: max(1, utf8.RuneCountInString(p.Project.Value)),
			Msg: fmt.Sprintf("%s: the files of %s are not known here: the clause does not hold", where, elsewhere),
		})
		return answer{}
	}
	exists, err := s.env.files.exists(s.patterns(j, p.Patterns), re)
	if err != nil {
		s.failClause(pipeline.Text{Pos: p.Pos}, where, err, false)
	}
	s.checkPaths(p.Pos, where)
	return exists
}

// elsewhere is the project, and the ref of it, that a clause means, "" for what is
// compiled.
func (s *selector) elsewhere(j *pipeline.Job, p *pipeline.Paths) string {
	project, ref := s.expanded(j, p.Project.Value), s.expanded(j, p.Ref.Value)
	if project == "" {
		return ""
	}
	own, _ := s.lookup(j, "CI_PROJECT_PATH")
	if strings.EqualFold(project, own) {
		if ref == "" {
			return ""
		}
		for _, name := range []string{"CI_COMMIT_REF_NAME", "CI_COMMIT_SHA"} {
			if value, _ := s.lookup(j, name); value == ref {
				return ""
			}
		}
	}
	if ref != "" {
		return fmt.Sprintf("project %q at %q", project, ref)
	}
	return fmt.Sprintf("project %q", project)
}

// pathRegexp parses the expression of a clause; nil for none, or after an error.
func (s *selector) pathRegexp(j *pipeline.Job, p *pipeline.Paths, where string) *pathRegexp {
	if p.Regexp.Value == "" {
		return nil
	}
	re, err := parsePathRegexp(s.env.files.matcher, s.expanded(j, p.Regexp.Value))
	if err != nil {
		reason := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		s.failClause(p.Regexp, where+":regexp", fmt.Errorf("invalid regular expression: %s", reason), false)
		return nil
	}
	return re
}

// failClause reports a clause that cannot be evaluated. GitLab refuses a ref that
// does not exist; a checkout may only lack it, so that the clause then holds.
func (s *selector) failClause(at pipeline.Text, where string, err error, refOfFile bool) {
	diag := &syntax.Error{
		Code: codeClause, Pos: at.Pos, Len: max(1, utf8.RuneCountInString(at.Value)),
		Msg: fmt.Sprintf("%s: %v", where, err),
	}
	if refOfFile && errors.Is(err, ErrNoRef) {
		diag.Severity, diag.Code = syntax.SeverityWarning, codeMissingRef
		diag.Msg += ": the clause is taken to hold"
		diag.Help = "fetch it: on GitLab a ref that does not exist is an error"
	}
	s.diags.report(diag)
}
