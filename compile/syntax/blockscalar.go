package syntax

import "strings"

// block reads a literal or folded scalar (YAML 1.1, section 9.2).
func (s *scanner) block() {
	if s.flow > 0 {
		s.invalid(s.fail(CodeSyntax, "a block of text cannot begin inside of brackets"))
		return
	}
	t := s.here(tokenBlock, "")
	t.literal = s.peek(0) == '|'
	s.at++
	b := blockScanner{lines: s.src.lines, at: s.n + 1, endsInBreak: s.src.endsInBreak}
	least := max(s.indent()+1, 0)
	chomp := byte(' ')
	for done := false; !done; {
		switch c := s.peek(0); {
		case c == '+' || c == '-':
			chomp = c
		case c >= '1' && c <= '9':
			b.indent = max(s.indent(), 0) + int(c-'0')
		default:
			done = true
			continue
		}
		s.at++
	}
	for s.peek(0) == ' ' || s.peek(0) == '\t' {
		s.at++
	}
	if c := s.peek(0); c != '\n' && (c != '#' || !s.blankAt(-1)) {
		e := s.fail(CodeSyntax, "text behind \"|\" or \">\" on the same line")
		e.Help = "put the value in quotes, or begin the text on the next line"
		e.Pos.Col = t.col
		s.invalid(e)
		return
	}
	t.text = b.text(least, t.literal, chomp)
	t.endLine = max(b.end, t.line)
	s.add(t)
	s.goTo(b.at)
	s.keyAllowed, s.keyLine = true, -1
	if b.tab {
		s.at = spaces(s.line)
		s.invalid(s.tabError())
	}
}

// blockEnd is the error of a line behind a block scalar that is indented less
// than its text, but more than what is around it.
func (p *parser) blockEnd(line int) *Error {
	if e := p.tabError(line); e != nil {
		return e
	}
	text := p.src.line(line)
	col := len(text) - len(strings.TrimLeft(text, " ")) + 1
	e := &Error{Code: CodeSyntax, Pos: Pos{p.src.file, line, col}, Len: 1, Msg: "wrong indentation in a block of text"}
	e.Help = "indent each line of the block at least as far as its first one"
	return e
}

// blockScanner reads the lines of one block scalar (YAML 1.1, section 9.2).
type blockScanner struct {
	lines       []string
	at          int // index of the next line
	end         int // number of the last line that holds text
	indent      int // spaces before the text, 0 until known
	endsInBreak bool
	// tab: the next line has a tab where the indentation of the text would be.
	tab bool
}

// text returns the value of the scalar whose first line is next. least is the
// least indentation that makes a line text.
func (s *blockScanner) text(least int, literal bool, chomp byte) string {
	breaks := s.leadingBreaks(least)
	var out strings.Builder
	lineBreak := ""
	for !s.tab && s.more() {
		out.WriteString(breaks)
		line := s.lines[s.at][s.indent:]
		out.WriteString(line)
		s.at++
		s.end = s.at
		lineBreak = "\n"
		if s.at == len(s.lines) && !s.endsInBreak {
			lineBreak = ""
		}
		breaks = s.breaks()
		if !s.more() {
			break
		}
		if literal || isSpaced(line) || isSpaced(s.lines[s.at][s.indent:]) {
			out.WriteString(lineBreak)
		} else if breaks == "" {
			out.WriteByte(' ')
		}
	}
	if chomp != '-' {
		out.WriteString(lineBreak)
	}
	if chomp == '+' {
		out.WriteString(breaks)
	}
	return out.String()
}

// more reports whether the next line is text.
func (s *blockScanner) more() bool {
	return s.at < len(s.lines) && s.indent > 0 && spaces(s.lines[s.at]) >= s.indent
}

// breaks skips empty lines and returns a line break for each.
func (s *blockScanner) breaks() string {
	start := s.at
	for s.at < len(s.lines) && spaces(s.lines[s.at]) == len(s.lines[s.at]) && len(s.lines[s.at]) <= s.indent {
		s.at++
	}
	if s.at < len(s.lines) {
		n := spaces(s.lines[s.at])
		s.tab = n < s.indent && n < len(s.lines[s.at]) && s.lines[s.at][n] == '\t'
	}
	if s.at == len(s.lines) && s.at > start && !s.endsInBreak {
		start++ // of white space that no line break ends
	}
	return strings.Repeat("\n", s.at-start)
}

// leadingBreaks skips the empty lines before the text and finds its indentation,
// if the header does not tell: that of the first line, or of a longer line of
// spaces before it.
func (s *blockScanner) leadingBreaks(least int) string {
	if s.indent > 0 {
		return s.breaks()
	}
	start := s.at
	indent := max(least, 1)
	for ; s.at < len(s.lines); s.at++ {
		n := spaces(s.lines[s.at])
		indent = max(indent, n)
		if n < len(s.lines[s.at]) {
			s.tab = s.lines[s.at][n] == '\t'
			break
		}
	}
	s.indent = indent
	return strings.Repeat("\n", s.at-start)
}

// spaces returns the number of spaces that line begins with.
func spaces(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// isSpaced reports whether line begins with white space: its line breaks are then
// not folded.
func isSpaced(line string) bool { return line != "" && (line[0] == ' ' || line[0] == '\t') }
