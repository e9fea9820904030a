package syntax

import "strings"

// The lexer of the YAML library errs where a line of a plain scalar begins with
// "-". What this file does about it, the rest of the package need not know.

// maskDashes replaces each "-" that begins a line's text without being the
// indicator of a list item or a document by a character that the text does not
// hold, and returns that character, 0 if none was needed. A line of a plain
// scalar that begins with "-" makes the lexer cut the scalar in two, or keep the
// line breaks and comments of the lines behind it.
func maskDashes(text string) (masked string, mask rune) {
	var out strings.Builder
	done := 0
	for i := 0; i < len(text); {
		for i < len(text) && text[i] == ' ' {
			i++
		}
		if strings.HasPrefix(text[i:], "-") && !isIndicatorDash(text[i:]) {
			if mask == 0 {
				for mask = '\ue000'; strings.ContainsRune(text, mask); mask++ {
				}
			}
			out.WriteString(text[done:i])
			out.WriteRune(mask)
			done = i + 1
		}
		next := strings.IndexAny(text[i:], "\r\n")
		if next < 0 {
			break
		}
		i += next + 1
	}
	if mask == 0 {
		return text, 0
	}
	out.WriteString(text[done:])
	return out.String(), mask
}

// isIndicatorDash reports whether text, which begins with "-", begins with the
// indicator of a list item or of a document.
func isIndicatorDash(text string) bool {
	rest := strings.TrimPrefix(text, "---")
	if rest == text {
		rest = text[1:]
	}
	return rest == "" || strings.ContainsRune(" \t\r\n", rune(rest[0]))
}

// reasonComment is the text of the invalid token that stands for a comment between
// the lines of a plain scalar. The lexer takes it for text.
const reasonComment = "a comment between the lines of a text without quotes"

// plain sets the value and the last line of a plain scalar with the source text
// origin.
func plain(t *tok, origin string) {
	if !strings.Contains(origin, "\n") {
		return
	}
	lines := strings.Split(origin, "\n")
	t.endLine += len(lines) - 1
	value, comment := foldPlain(lines)
	if comment > 0 {
		*t = tok{kind: tokenInvalid, line: t.line + comment, endLine: t.endLine, text: reasonComment}
		t.col = spaces(lines[comment]) + 1
		return
	}
	t.text = value
}

// foldPlain joins the lines of a plain scalar: a line break is a space, n empty
// lines are n line breaks (YAML 1.1, section 9.1.3). A comment ends it: if text
// follows, comment is the index of the comment's line.
func foldPlain(lines []string) (value string, comment int) {
	var out strings.Builder
	empty := 0
	for i, line := range lines {
		line, commented := cutComment(strings.Trim(line, " \t"))
		switch {
		case line == "" && !commented:
			empty++
		case line != "" && comment > 0:
			return "", comment
		case line != "":
			if i > 0 && empty == 0 {
				out.WriteByte(' ')
			}
			out.WriteString(strings.Repeat("\n", empty) + line)
			empty = 0
		}
		if commented && comment == 0 {
			comment = i
		}
	}
	return out.String(), 0
}

// cutComment cuts a comment off the text of a line.
func cutComment(line string) (text string, commented bool) {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return strings.TrimRight(line[:i], " \t"), true
		}
	}
	return line, false
}
