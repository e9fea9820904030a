package script

import (
	"errors"
	"regexp"

	"mvdan.cc/sh/v3/syntax"
)

// program is a parsed source.
type program struct {
	// file is nil once all is known of it.
	file  *syntax.File
	shell string
	// construct is what needs bash, nil for sh.
	construct *Error
	// redirects: exec redirects the program's own files.
	redirects bool
	// doubts are places that every shell reads and fails on, or misreads.
	doubts []*Error
}

// parse parses the text as POSIX and searches its tree for what the POSIX
// grammar accepts but a POSIX shell does not run. Only where that finds
// something, or the parse fails, the text is parsed as bash. set holds the
// variables that the program exports.
func (s *source) parse(set map[string]bool) (*program, error) {
	text := s.parsable()
	p, err := s.parseText(text, set)
	var fault *syntaxFault
	if !errors.As(err, &fault) {
		return p, err
	}
	if at, shell := foreignText(text); shell != "" {
		return nil, s.foreignError(at, shell)
	}
	m := s.mend(text, fault.err)
	if m == nil {
		if at, shell := foreignForm(text); shell != "" {
			return nil, s.foreignError(at, shell)
		}
		at, msg := describe(fault.err)
		return nil, s.errorAt(at, "shell syntax: "+msg, "")
	}
	if p, err = s.parseText(string(m.text), set); err != nil {
		return nil, err
	}
	p.doubts = m.doubts
	if c := m.construct; c != nil && p.construct == nil {
		p.shell, p.construct = "bash", s.errorAt(c.offset, c.what+" is not POSIX shell", c.help)
	}
	return p, nil
}

// syntaxFault is why the parser takes a text for neither POSIX nor bash.
type syntaxFault struct{ err error }

func (f *syntaxFault) Error() string { return f.err.Error() }

func (s *source) parseText(text string, set map[string]bool) (*program, error) {
	posix, posixErr := parseAs(syntax.LangPOSIX, text)
	var found *survey
	if posixErr == nil {
		found = newSurvey(posix, text, set)
		if err := found.refuses(s); err != nil {
			return nil, err
		}
		if !found.suspect() {
			return &program{file: posix, shell: "sh", redirects: found.redirects}, nil
		}
	}
	bash, bashErr := parseAs(syntax.LangBash, text)
	if posixErr != nil && bashErr != nil {
		return nil, &syntaxFault{bashErr}
	}
	if bashErr != nil {
		// ((a); b) is a nested subshell to every shell, but no arithmetic.
		return s.decide(posix, found, nil), nil
	}
	inBash := newSurvey(bash, text, set)
	if err := inBash.refuses(s); err != nil {
		return nil, err
	}
	if posixErr != nil {
		return s.decide(bash, inBash, posixErr), nil
	}
	inBash.construct = earliest(inBash.construct, found.construct)
	return s.decide(bash, inBash, nil), nil
}

// refuses returns the error for a tree that cannot be a program of any shell.
func (sv *survey) refuses(s *source) error {
	switch {
	case sv.tooDeep != nil:
		return s.errorAt(sv.tooDeep.offset, sv.tooDeep.Error(), "")
	case sv.foreign != "":
		return s.foreignError(sv.foreignAt, sv.foreign)
	}
	return nil
}

// decide makes the program of a surveyed tree. posixErr, if not nil, is why it
// is not POSIX in case that the survey found no construct.
func (s *source) decide(file *syntax.File, found *survey, posixErr error) *program {
	p := &program{file: file, shell: "sh", redirects: found.redirects}
	switch c := found.construct; {
	case c != nil:
		p.construct = s.errorAt(c.offset, c.what+" is not POSIX shell", c.help)
	case posixErr != nil:
		at, msg := describe(posixErr)
		p.construct = s.errorAt(at, "this is not POSIX shell: "+msg, "")
	default:
		return p
	}
	p.shell = "bash"
	return p
}

// codeSpan is how the parser quotes shell text in its messages.
var codeSpan = regexp.MustCompile("`([^`]+)`")

// describe returns the place and the message of a parser's error.
func describe(err error) (at int, msg string) {
	var parseErr syntax.ParseError
	var langErr syntax.LangError
	var depthErr *depthError
	switch {
	case errors.As(err, &depthErr):
		at, msg = depthErr.offset, depthErr.Error()
	case errors.As(err, &parseErr):
		at, msg = offset(parseErr.Pos), parseErr.Text
	case errors.As(err, &langErr):
		at, msg = offset(langErr.Pos), langErr.Feature
	default:
		msg = err.Error()
	}
	return at, codeSpan.ReplaceAllString(msg, `"$1"`)
}
