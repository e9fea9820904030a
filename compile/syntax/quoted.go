package syntax

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// quoted reads a scalar in quotes (YAML 1.1, sections 9.1.1 and 9.1.2).
func (s *scanner) quoted(quote byte) {
	s.mayBeKey()
	t := s.here(tokenQuoted, "")
	s.at++
	var text strings.Builder
	var e *Error
	for done := false; e == nil && !done; {
		switch c := s.peek(0); {
		case c == '\'' && quote == c && s.peek(1) == c:
			text.WriteByte(c)
			s.at += 2
		case c == quote:
			s.at++
			done = true
		case c == '\n':
			var breaks int
			if breaks, e = s.quotedBreaks(&t); e == nil {
				text.WriteString(fold(breaks))
			}
		case c == '\\' && quote == '"':
			e = s.escape(&t, &text)
		default:
			s.run(quote, &text)
		}
	}
	if e != nil {
		t.kind, t.problem = tokenInvalid, e
		s.add(t)
		s.goTo(s.n + 1)
		return
	}
	t.text, t.endLine = text.String(), s.n+1
	s.keyAllowed = false
	s.add(t)
}

// run copies the characters up to the next one that means something, without the
// white space before a line's end.
func (s *scanner) run(quote byte, text *strings.Builder) {
	rest := s.line[s.at:]
	end := strings.IndexByte(rest, quote)
	if end < 0 {
		end = len(rest)
	}
	if quote == '"' {
		if i := strings.IndexByte(rest[:end], '\\'); i >= 0 {
			end = i
		}
	}
	s.at += end
	if s.at == len(s.line) {
		text.WriteString(strings.TrimRight(rest, " \t"))
		return
	}
	text.WriteString(rest[:end])
}

// quotedBreaks goes from the end of a line to the next character of t that is no
// white space, and returns the number of line breaks before it.
func (s *scanner) quotedBreaks(t *tok) (breaks int, e *Error) {
	for s.peek(0) == '\n' {
		s.goTo(s.n + 1)
		if s.n >= len(s.src.lines) || s.atMarker() {
			return 0, &Error{Code: CodeUnclosed, Pos: Pos{s.src.file, t.line, t.col}, Len: 1, Msg: "a quote is not closed"}
		}
		breaks++
		for s.peek(0) == ' ' || s.peek(0) == '\t' {
			s.at++
		}
	}
	return breaks, nil
}

// escapes are the characters that stand for others behind a backslash in double
// quotes (YAML 1.1, section 5.6).
var escapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r", 'e': "\x1b",
	' ': " ", '"': `"`, '/': "/", '\\': `\`, 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
}

// digits is the number of hexadecimal digits behind an escape of a code point.
var digits = map[byte]int{'x': 2, 'u': 4, 'U': 8}

// escape reads an escape sequence of t.
func (s *scanner) escape(t *tok, text *strings.Builder) *Error {
	c := s.peek(1)
	if c == '\n' {
		s.at++
		breaks, e := s.quotedBreaks(t)
		if e == nil {
			text.WriteString(strings.Repeat("\n", breaks-1))
		}
		return e
	}
	if to, ok := escapes[c]; ok {
		text.WriteString(to)
		s.at += 2
		return nil
	}
	if n := digits[c]; n > 0 && s.at+2+n <= len(s.line) {
		code, err := strconv.ParseUint(s.line[s.at+2:s.at+2+n], 16, 32)
		if err == nil && code <= utf8.MaxRune && utf8.ValidRune(rune(code)) {
			text.WriteRune(rune(code))
			s.at += 2 + n
			return nil
		}
	}
	_, size := utf8.DecodeRuneInString(s.line[s.at+1:])
	e := s.fail(CodeSyntax, "%s is no escape sequence", strconv.Quote(s.line[s.at:s.at+1+size]))
	e.Len = 2
	e.Help = `in double quotes write "\\" for a backslash, or put the value in single quotes`
	return e
}
