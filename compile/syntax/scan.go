package syntax

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// tokenKind is the kind of a token.
type tokenKind uint8

const (
	tokenEOF tokenKind = iota
	tokenPlain
	tokenQuoted
	tokenBlock // a literal or folded block scalar, with its header
	tokenEntry // -
	tokenKey   // ?
	tokenColon
	tokenComma
	tokenListStart
	tokenListEnd
	tokenMapStart
	tokenMapEnd
	tokenAnchor
	tokenAlias
	tokenTag
	tokenDocStart
	tokenDocEnd
	tokenInvalid
)

// tok is a token of the file.
type tok struct {
	kind tokenKind
	// first: the token is the first of its line.
	first bool
	// literal: a block scalar that keeps its line breaks.
	literal bool
	// line and col of its first character, endLine of its last one.
	line, col, endLine int
	// text is a scalar's value, the name of an anchor or alias, the reason why a
	// token is invalid, for anything else the token as written.
	text string
}

// width is the number of characters to underline for t.
func (t *tok) width() int {
	switch n := utf8.RuneCountInString(t.text); t.kind {
	case tokenPlain, tokenTag:
		return n
	case tokenQuoted:
		return n + 2
	case tokenAnchor, tokenAlias:
		return n + 1
	}
	return 1
}

// scan returns the tokens of src without comments and directives, a tokenEOF
// last.
func scan(src *source) ([]tok, *Error) {
	if line := src.lexerCost(); line > 0 {
		return nil, &Error{Code: CodeTooCostly, Pos: Pos{src.file, line, 1},
			Msg: "too many tabs, blank lines or \"<\" in a row"}
	}
	text, mask := maskDashes(src.text)
	if !strings.HasSuffix(text, "\n") {
		text += "\n" // the lexer drops a tag at the very end
	}
	raw, e := tokenize(src.file, text)
	if e != nil {
		return nil, e
	}
	s := scanner{src: src, raw: raw, mask: mask, out: make([]tok, 0, len(raw)+1)}
	s.convert()
	return s.out, nil
}

// tokenize calls the library. Whatever it panics with becomes an error.
func tokenize(file, text string) (tokens token.Tokens, e *Error) {
	defer func() {
		if r := recover(); r != nil {
			e = &Error{Code: CodeSyntax, Pos: Pos{file, 1, 1}, Msg: fmt.Sprintf("the YAML library cannot read this file: %v", r)}
		}
	}()
	return lexer.Tokenize(text), nil
}

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

// scanner turns the library's tokens into ours.
type scanner struct {
	src  *source
	raw  token.Tokens
	mask rune
	out  []tok
	// runes of line runesLine, kept for lines with tabs.
	runes     []rune
	runesLine int
	flow      int
}

var tokenKinds = map[token.Type]tokenKind{
	token.SequenceEntryType:  tokenEntry,
	token.MappingKeyType:     tokenKey,
	token.MappingValueType:   tokenColon,
	token.CollectEntryType:   tokenComma,
	token.SequenceStartType:  tokenListStart,
	token.SequenceEndType:    tokenListEnd,
	token.MappingStartType:   tokenMapStart,
	token.MappingEndType:     tokenMapEnd,
	token.DocumentHeaderType: tokenDocStart,
	token.DocumentEndType:    tokenDocEnd,
	token.TagType:            tokenTag,
	token.AnchorType:         tokenAnchor,
	token.AliasType:          tokenAlias,
	token.SingleQuoteType:    tokenQuoted,
	token.DoubleQuoteType:    tokenQuoted,
	token.LiteralType:        tokenBlock,
	token.FoldedType:         tokenBlock,
	token.InvalidType:        tokenInvalid,
}

func (s *scanner) convert() {
	for i := 0; i < len(s.raw); i++ {
		r := s.raw[i]
		if r.Type == token.CommentType {
			continue
		}
		if r.Type == token.DirectiveType {
			for i+1 < len(s.raw) && s.raw[i+1].Position.Line == r.Position.Line {
				i++
			}
			continue
		}
		kind, known := tokenKinds[r.Type]
		if !known {
			kind = tokenPlain
		}
		t := tok{kind: kind, line: r.Position.Line, col: r.Position.Column, text: s.unmask(r.Value)}
		t.endLine = t.line
		switch kind {
		case tokenPlain:
			t.text, t.endLine = s.plain(r, t)
		case tokenQuoted:
			t.endLine += strings.Count(strings.TrimLeft(s.unmask(r.Origin), " \t\r\n"), "\n")
		case tokenAnchor, tokenAlias:
			t.text = ""
			if i+1 < len(s.raw) && isName(r, s.raw[i+1]) {
				i++
				t.text = s.unmask(s.raw[i].Value)
			}
		case tokenBlock:
			t.literal = r.Type == token.LiteralType
			t.text, i = s.blockText(i)
		case tokenInvalid:
			t.text = r.Error
		}
		s.add(t)
	}
	s.out = append(s.out, tok{kind: tokenEOF, first: true, line: len(s.src.lines) + 1})
}

// isName reports whether name is the name of the anchor or alias before it.
func isName(indicator, name *token.Token) bool {
	return name.Type != token.CommentType && name.Position.Line == indicator.Position.Line &&
		name.Position.Column == indicator.Position.Column+1
}

// plain returns the value of a plain scalar and the line of its end.
func (s *scanner) plain(r *token.Token, t tok) (text string, endLine int) {
	origin := strings.Trim(s.unmask(r.Origin), " \t\r\n")
	if !strings.ContainsAny(origin, "\r\n") {
		return t.text, t.line
	}
	lines := splitLines(origin)
	return foldPlain(lines), t.line + len(lines) - 1
}

// foldPlain joins the lines of a plain scalar: a line break is a space, n empty
// lines are n line breaks (YAML 1.1, section 9.1.3). A comment ends it.
func foldPlain(lines []string) string {
	var out strings.Builder
	out.WriteString(strings.TrimRight(lines[0], " \t"))
	empty := 0
	for _, line := range lines[1:] {
		line = strings.Trim(line, " \t")
		switch {
		case line == "":
			empty++
			continue
		case line[0] == '#':
			return out.String()
		case empty == 0:
			out.WriteByte(' ')
		default:
			out.WriteString(strings.Repeat("\n", empty))
		}
		empty = 0
		out.WriteString(line)
	}
	return out.String()
}

// blockText returns the content of the block scalar whose header is token i, and
// the index of the last token of it.
func (s *scanner) blockText(i int) (text string, last int) {
	last = i
	if i+1 < len(s.raw) && s.raw[i+1].Type == token.CommentType {
		i++
	}
	if i+1 == len(s.raw) || s.raw[i+1].Type != token.StringType {
		return "", last
	}
	text = s.unmask(s.raw[i+1].Value)
	// scan gave the text a last line break that the file does not have.
	if i+2 == len(s.raw) && !strings.HasSuffix(s.src.text, "\n") {
		text = strings.TrimSuffix(text, "\n")
	}
	return text, i + 1
}

func (s *scanner) unmask(text string) string {
	if s.mask == 0 || !strings.ContainsRune(text, s.mask) {
		return text
	}
	return strings.ReplaceAll(text, string(s.mask), "-")
}

// add appends t, mends its column, and undoes the cut that the lexer makes at a
// colon without a space in a flow collection.
func (s *scanner) add(t tok) {
	s.mendColumn(&t)
	last := &tok{}
	if n := len(s.out); n > 0 {
		last = &s.out[n-1]
	}
	t.first = last.line == 0 || t.line > last.endLine
	switch t.kind {
	case tokenListStart, tokenMapStart:
		s.flow++
	case tokenListEnd, tokenMapEnd:
		s.flow--
	}
	if n := len(s.out); s.flow > 0 && t.kind == tokenPlain && n > 1 && last.kind == tokenColon && !t.first && t.col == last.col+1 {
		if key := &s.out[n-2]; key.kind == tokenPlain && key.endLine == t.line {
			key.text += ":" + t.text
			key.endLine = t.endLine
			s.out = s.out[:n-1]
			return
		}
	}
	s.out = append(s.out, t)
}

// mendColumn sets t's column on a line with tabs, which the lexer does not count
// between tokens.
func (s *scanner) mendColumn(t *tok) {
	if t.kind == tokenInvalid || !strings.Contains(s.src.line(t.line), "\t") {
		return
	}
	if s.runesLine != t.line {
		s.runes, s.runesLine = []rune(s.src.line(t.line)), t.line
	}
	from := t.col - 1
	if n := len(s.out); n > 0 && s.out[n-1].endLine == t.line {
		from = max(from, s.out[n-1].col)
	}
	for i := max(from, 0); i < len(s.runes); i++ {
		if begins(t, s.runes[i]) {
			t.col = i + 1
			return
		}
	}
}

// begins reports whether r can be the first character of t.
func begins(t *tok, r rune) bool {
	switch t.kind {
	case tokenQuoted:
		return r == '"' || r == '\''
	case tokenBlock:
		return r == '|' || r == '>'
	case tokenAnchor:
		return r == '&'
	case tokenAlias:
		return r == '*'
	}
	first, _ := utf8.DecodeRuneInString(t.text)
	return r == first
}
