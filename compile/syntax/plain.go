package syntax

import "strings"

// plain reads a scalar without quotes, which goes on for as many lines as are
// indented deeper than what is around it, or until a comment (YAML 1.1, section
// 9.1.3).
func (s *scanner) plain(l lexeme) {
	s.mayBeKey()
	t := s.here(tokenPlain, "")
	part, e := s.plainPart(l)
	t.text = part
	var lines strings.Builder // of a scalar of several lines, the first included
	s.keyAllowed = false
	for e == nil && s.peek(0) == '\n' {
		var breaks int
		breaks, e = s.plainBreaks()
		s.keyAllowed = true
		if e != nil || s.n == len(s.src.lines) || s.flow == 0 && s.column() <= s.indent() ||
			s.peek(0) == '#' || s.at == 0 && s.atMarker() {
			break
		}
		if part, e = s.plainPart(s.lexText()); part == "" {
			break
		}
		t.endLine = s.n + 1
		if lines.Len() == 0 {
			lines.WriteString(t.text)
		}
		lines.WriteString(fold(breaks))
		lines.WriteString(part)
		s.keyAllowed = false
	}
	if lines.Len() > 0 {
		t.text = lines.String()
	}
	s.add(t)
	if e != nil {
		s.invalid(e)
	}
}

// plainPart reads what is on the current line, from l on, and goes to the token, the
// comment or the line's end behind it.
func (s *scanner) plainPart(l lexeme) (part string, e *Error) {
	start, end := s.at, l.end
	for l.more > 0 {
		s.at = l.more
		if l = s.lexText(); l.end > s.at {
			end = l.end
		}
	}
	s.at = end
	if s.flow > 0 && end > start && s.line[end-1] == ':' && strings.IndexByte(",[]{}", s.peek(0)) >= 0 {
		end--
		s.at = end
		e = s.fail(CodeSyntax, "a colon in brackets needs a space behind it")
		e.Help = "put the text in quotes if the colon belongs to it"
	}
	for s.peek(0) == ' ' || s.peek(0) == '\t' {
		s.at++
	}
	return strings.TrimRight(s.line[start:end], " \t"), e
}

// plainBreaks goes from the end of a line to the next character that is no white
// space, and returns the number of line breaks before it.
func (s *scanner) plainBreaks() (breaks int, e *Error) {
	for s.peek(0) == '\n' && s.n < len(s.src.lines) {
		s.goTo(s.n + 1)
		breaks++
		for s.peek(0) == ' ' || s.peek(0) == '\t' {
			if s.peek(0) == '\t' && s.at <= s.indent() {
				return breaks, s.tabError()
			}
			s.at++
		}
	}
	return breaks, nil
}

// fold returns what n line breaks in a scalar stand for: one for a space, of more
// the first for nothing.
func fold(n int) string {
	if n == 1 {
		return " "
	}
	return strings.Repeat("\n", n-1)
}
