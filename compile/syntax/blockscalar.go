package syntax

import "strings"

// blockText reads the text of the block scalar with header t from the source,
// and checks that the lexer found its end in the same place. The lexer's own
// value lacks white space at the end of some texts. least is the least column that
// the text may have.
func (p *parser) blockText(t *tok, least int) *Error {
	s := blockScanner{lines: p.src.lines, at: t.line, endsInBreak: strings.HasSuffix(p.src.text, "\n")}
	if p.flow > 0 {
		return p.fail(CodeSyntax, t, "a block of text cannot begin inside of brackets")
	}
	chomp := ' '
	line := []rune(p.src.line(t.line))
	for _, r := range line[min(t.col, len(line)):] {
		if r == '+' || r == '-' {
			chomp = r
		} else if r >= '1' && r <= '9' {
			s.indent = max(least-2, 0) + int(r-'0')
		} else {
			break
		}
	}
	t.text = s.text(max(least-1, 0), t.literal, chomp)
	t.endLine = max(s.end, t.line)
	next := p.peek()
	for i, text := range s.lines[t.endLine:max(t.endLine, next.line-1)] {
		if text = strings.Trim(text, " \t"); text != "" && text[0] != '#' {
			return p.blockEnd(t.endLine + i + 1)
		}
	}
	if s.end == 0 && next.kind == tokenPlain && strings.HasPrefix(next.text, "-") {
		// The lexer has taken the list item behind it for text.
		e := p.fail(CodeSyntax, t, "an empty block of text before a list item is not supported")
		e.Help = `write "" instead`
		return e
	}
	if next.line <= t.endLine && next.kind != tokenEOF {
		return p.blockEnd(next.line)
	}
	return nil
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
}

// text returns the value of the scalar whose first line is next. least is the
// least indentation that makes a line text.
func (s *blockScanner) text(least int, literal bool, chomp rune) string {
	breaks := s.leadingBreaks(least)
	var out strings.Builder
	lineBreak := ""
	for s.more() {
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
