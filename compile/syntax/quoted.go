package syntax

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// quoted reads a scalar in quotes, line by line (YAML 1.1, sections 9.1.1 and 9.1.2).
func (s *scanner) quoted(quote byte) {
	s.mayBeKey()
	t := s.here(tokenQuoted, "")
	s.at++
	var text strings.Builder
	for {
		part, e := s.quotedPart(quote)
		text.WriteString(unquote(quote, part))
		if e == nil && s.peek(0) == quote {
			break
		}
		if e == nil && s.atBreak(quote) {
			e = s.quotedBreaks(&t, &text)
		}
		if e != nil {
			t.kind, t.problem = tokenInvalid, e
			s.add(t)
			s.goTo(s.n + 1)
			return
		}
	}
	s.at++
	t.text, t.endLine = text.String(), s.n+1
	s.keyAllowed = false
	s.add(t)
}

// mostQuoted is the number of bytes within quotes from which on they are read in
// several parts.
const mostQuoted = 4096

// escape is an escape sequence in double quotes (YAML 1.1, section 5.6). The library
// takes anything for the digits of a code point, and halves of a pair for one.
var escape = func() *regexp.Regexp {
	unit := `(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]|[dD][0-7])[0-9a-fA-F]{2}`
	return regexp.MustCompile(`^\\(?:[0abt\tnvfre "/\\N_LP]|x[0-9a-fA-F]{2}|u` + unit +
		`|U000(?:0` + unit + `|[1-9a-fA-F][0-9a-fA-F]{4})|U0010[0-9a-fA-F]{4})`)
}()

// quotedPart goes to the quote, the line break or the escaped line break behind the
// current place, or not as far if that is far. It returns the text before it as
// written, without the white space before a line break.
func (s *scanner) quotedPart(quote byte) (part string, e *Error) {
	start, end := s.at, s.at // end is behind the last character that is no white space
	for {
		c, n := s.peek(0), 1
		switch {
		case c == '\n':
			return s.line[start:end], nil
		case c == '\'' && quote == c && s.peek(1) == c:
			n = 2
		case c == quote, s.atBreak(quote), end == s.at && end-start >= mostQuoted:
			return s.line[start:s.at], nil
		case c == '\\' && quote == '"':
			if n = len(escape.FindString(s.line[s.at:])); n == 0 {
				return "", s.escapeError()
			}
		}
		s.at += n
		if c != ' ' && c != '\t' {
			end = s.at
		}
	}
}

// atBreak reports whether a line break is at the current place, which may be escaped.
func (s *scanner) atBreak(quote byte) bool {
	return s.peek(0) == '\n' || quote == '"' && s.peek(0) == '\\' && s.peek(1) == '\n'
}

// quotedBreaks goes from the line break at the current place, which may be escaped,
// to the next character of t that is no white space, and adds what is in between.
func (s *scanner) quotedBreaks(t *tok, text *strings.Builder) *Error {
	escaped := s.peek(0) == '\\'
	if escaped {
		s.at++
	}
	breaks := 0
	for s.peek(0) == '\n' {
		s.goTo(s.n + 1)
		if s.n >= len(s.src.lines) || s.atMarker() {
			return &Error{Code: CodeUnclosed, Pos: Pos{s.src.file, t.line, t.col}, Len: 1, Msg: "a quote is not closed"}
		}
		breaks++
		for s.peek(0) == ' ' || s.peek(0) == '\t' {
			s.at++
		}
	}
	if escaped {
		text.WriteString(strings.Repeat("\n", breaks-1))
	} else {
		text.WriteString(fold(breaks))
	}
	return nil
}

// escapeError is the error of a backslash that begins no escape sequence.
func (s *scanner) escapeError() *Error {
	_, size := utf8.DecodeRuneInString(s.line[s.at+1:])
	e := s.fail(CodeSyntax, "%s is no escape sequence", strconv.Quote(s.line[s.at:s.at+1+size]))
	e.Len = 2
	e.Help = `in double quotes write "\\" for a backslash, or put the value in single quotes`
	return e
}
