package syntax

import (
	"fmt"
	"regexp"
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
	tokenBlock // the header of a literal or folded block scalar; its text is no token
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
	// afterComment: a comment stands before it.
	afterComment bool
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
	case tokenDocStart, tokenDocEnd:
		return 3
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

// reasonEmptyBlock is the lexer's error for a block scalar without text before a
// top-level key, which is valid YAML.
const reasonEmptyBlock = "could not find multi-line content"

// reasonAstray is the text of the invalid token that stands where the lexer's
// tokens do not match the source.
const reasonAstray = "the YAML library loses its place near this line"

// scanner turns the library's tokens into ours.
type scanner struct {
	src  *source
	raw  token.Tokens
	mask rune
	out  []tok
	// runes of line runesLine.
	runes     []rune
	runesLine int
	// The end of the last token: its line and the column behind it, from 0.
	endLine, endCol int
	// invalidLine is the line of the last invalid token.
	invalidLine int
	flow        int
	// comment: one stands before the next token.
	comment bool
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
	token.DirectiveType:      tokenInvalid, // elsewhere than at the start of a line
}

// convert turns all tokens. Where the lexer goes astray, an invalid token is the
// last one.
func (s *scanner) convert() {
	for i := 0; i < len(s.raw); i++ {
		switch r := s.raw[i]; {
		case r.Type == token.CommentType:
			s.comment = true
			continue
		case r.Type == token.DirectiveType && r.Position.Column == 1:
			for i+1 < len(s.raw) && s.raw[i+1].Position.Line == r.Position.Line {
				i++
			}
			continue
		}
		var t tok
		var origin string
		t, origin, i = s.token(i)
		t.afterComment, s.comment = s.comment, false
		switch {
		case t.kind == tokenInvalid:
			t.line = min(t.line, len(s.src.lines)) // the lexer may have lost count
			s.invalidLine = t.line
		case t.line == s.invalidLine:
		case s.place(&t):
			s.setEnd(&t, origin)
		default:
			s.add(tok{kind: tokenInvalid, line: min(t.line, len(s.src.lines)), col: 1, text: reasonAstray})
			i = len(s.raw)
			continue
		}
		s.add(t)
	}
	s.out = append(s.out, tok{kind: tokenEOF, first: true, line: len(s.src.lines) + 1})
}

// token turns token i, and returns its source text, if it is a plain scalar, and
// the index of the last token that belongs to it.
func (s *scanner) token(i int) (t tok, origin string, last int) {
	r := s.raw[i]
	kind, known := tokenKinds[r.Type]
	if !known {
		kind = tokenPlain
	}
	t = tok{kind: kind, line: r.Position.Line, col: r.Position.Column, text: s.unmask(r.Value)}
	t.endLine = t.line
	switch kind {
	case tokenPlain:
		origin = strings.Trim(s.unmask(r.Origin), " \t\n")
		plain(&t, origin)
	case tokenAnchor, tokenAlias:
		t.text = ""
		if i+1 < len(s.raw) && isName(r, s.raw[i+1]) {
			i++
			t.text = s.unmask(s.raw[i].Value)
		}
	case tokenBlock:
		t.literal = r.Type == token.LiteralType
		i = s.endOfBlock(i) // its text is read from the source by blockText
	case tokenInvalid:
		t.text = r.Error
		if r.Type == token.DirectiveType {
			t.text = `'%' is a reserved character`
		}
	}
	return t, origin, i
}

// isName reports whether name is the name of the anchor or alias before it. Of
// the characters, YAML 1.1 parsers allow fewer than its specification does: text
// such as "&& make" is no anchor.
func isName(indicator, name *token.Token) bool {
	return name.Type != token.CommentType && name.Position.Line == indicator.Position.Line &&
		name.Position.Column == indicator.Position.Column+1 && anchorName.MatchString(name.Value)
}

var anchorName = regexp.MustCompile(`^[0-9A-Za-z_-]+$`)

// endOfBlock returns the index of the last token of the block scalar whose header
// is token i.
func (s *scanner) endOfBlock(i int) int {
	if i+1 < len(s.raw) && s.raw[i+1].Type == token.CommentType {
		i++ // behind the header
	}
	if i+1 < len(s.raw) && s.raw[i+1].Type == token.StringType {
		i++
	}
	if i+1 < len(s.raw) && s.raw[i+1].Error == reasonEmptyBlock {
		i++
	}
	return i
}

func (s *scanner) unmask(text string) string {
	if s.mask == 0 || !strings.ContainsRune(text, s.mask) {
		return text
	}
	return strings.ReplaceAll(text, string(s.mask), "-")
}

// add appends t and undoes the cut that the lexer makes at a colon without a
// space in a flow collection.
func (s *scanner) add(t tok) {
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

// place sets where t begins: at the first character behind the last token. The
// lexer's columns are wrong behind tabs and for text with spaces behind it. If t
// does not begin there, the lexer has gone astray, and the result is false.
func (s *scanner) place(t *tok) bool {
	if s.runesLine != t.line {
		s.runesLine, s.runes = t.line, s.runes[:0]
		for _, r := range s.src.line(t.line) {
			s.runes = append(s.runes, r)
		}
	}
	at := 0
	if t.line == s.endLine {
		at = s.endCol
	}
	for at < len(s.runes) && (s.runes[at] == ' ' || s.runes[at] == '\t') {
		at++
	}
	if at >= len(s.runes) || !begins(t, s.runes[at]) {
		return false
	}
	t.col = at + 1
	return true
}

// setEnd sets the end of t, whose place is known, with origin for its source text.
func (s *scanner) setEnd(t *tok, origin string) {
	s.endLine, s.endCol = t.line, t.col-1+t.width()
	switch t.kind {
	case tokenQuoted:
		s.endLine, s.endCol = s.quoteEnd(t)
	case tokenBlock:
		s.endCol = len(s.runes)
	case tokenPlain:
		if n := strings.LastIndexByte(origin, '\n'); n >= 0 {
			s.endLine, s.endCol = t.endLine, utf8.RuneCountInString(origin[n+1:])
		}
	}
	t.endLine = s.endLine
}

// quoteEnd returns where the quoted scalar t ends: its last line, and the column
// behind it, from 0.
func (s *scanner) quoteEnd(t *tok) (line, col int) {
	runes, at := s.runes, t.col
	quote := runes[t.col-1]
	for line = t.line; ; {
		for ; at < len(runes); at++ {
			switch {
			case runes[at] == '\\' && quote == '"':
				at++
			case runes[at] != quote:
			case quote == '\'' && at+1 < len(runes) && runes[at+1] == quote:
				at++
			default:
				return line, at + 1
			}
		}
		line++
		if line > len(s.src.lines) {
			return line, 0 // not reached: the lexer found the end
		}
		runes, at = []rune(s.src.line(line)), 0
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
