package syntax

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// tokenKind is the kind of a token.
type tokenKind uint8

const (
	tokenEOF tokenKind = iota // of the document
	tokenPlain
	tokenEntry // -
	tokenKey   // ?
	tokenColon
	tokenComma
	// From here on, the scanner finds the end, or what follows depends on it.
	tokenQuoted
	tokenBlock // a literal or folded block scalar
	tokenListStart
	tokenListEnd
	tokenMapStart
	tokenMapEnd
	tokenAnchor
	tokenAlias
	tokenTag
	tokenInvalid
)

// tok is a token of the file.
type tok struct {
	kind tokenKind
	// first: the token is the first of its line.
	first bool
	// literal: a block scalar that keeps its line breaks.
	literal bool
	// inside: the token stands inside of brackets.
	inside bool
	// marker: a tokenEOF that ends a document, but not the file; starts: and begins
	// another one.
	marker, starts bool
	// line and col of its first character, endLine of its last one.
	line, col, endLine int
	// text is a scalar's value, the name of an anchor or alias, for anything else
	// the token as written.
	text string
	// problem says why a token is invalid.
	problem *Error
}

// exists tells a token from none, which is the zero value.
func (t tok) exists() bool { return t.line > 0 }

// width is the number of characters to underline for t.
func (t tok) width() int {
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

// scanner turns the lines of a file into tokens without comments and directives
// (YAML 1.1 as libyaml reads it, the parser below GitLab's loader). It reads as far
// as it is asked to, and looks at each character a bounded number of times. What it
// cannot read becomes an invalid token, and it goes on with the next line.
type scanner struct {
	src *source
	// queue are the tokens that were read, of which the first taken are no longer there
	// to see.
	queue []tok
	taken int
	// lastLine is the line of the end of the last token.
	lastLine int
	// line is the current line, n its index, at the byte offset in it.
	line  string
	n, at int
	// ahead are the library's next tokens on the line, shown the number of bytes that
	// it is shown next, known the tokens of what it was shown before; lexemes and text
	// are memory for it.
	ahead, lexemes []lexeme
	shown          int
	known          map[string][]lexeme
	text           []byte
	// colAt and col cache the number of characters before byte colAt of the line.
	colAt, col int
	// indents are the columns, from 0, of the block collections around the current
	// place; a line of text must stand further right than the last one.
	indents []int
	flow    int
	// keyAllowed: a key can begin here; tabs cannot. keyLine and keyCol are the place
	// of the last token that may be one.
	keyAllowed      bool
	keyLine, keyCol int
	// inDocument: the current document has begun.
	inDocument bool
}

func newScanner(src *source) *scanner {
	s := &scanner{src: src, keyAllowed: true, keyLine: -1}
	s.goTo(0)
	return s
}

// look returns the token that is i tokens ahead, the document's last one behind it.
func (s *scanner) look(i int) tok {
	for len(s.queue)-s.taken <= i {
		if n := len(s.queue); n > s.taken && s.queue[n-1].kind == tokenEOF {
			return s.queue[n-1]
		}
		if !s.skipSpace() {
			s.add(tok{kind: tokenEOF, line: len(s.src.lines) + 1})
			continue
		}
		s.unroll()
		s.read()
	}
	return s.queue[s.taken+i]
}

// take takes the next token.
func (s *scanner) take() tok {
	t := s.look(0)
	s.taken++
	return t
}

// goTo goes to the start of the line with index n.
func (s *scanner) goTo(n int) {
	s.line = ""
	if n < len(s.src.lines) {
		s.line = s.src.lines[n]
	}
	s.n, s.at, s.colAt, s.col = n, 0, 0, 0
	s.ahead, s.shown = nil, mostShown
}

// column returns the number of characters of the line before the current place.
func (s *scanner) column() int {
	if s.at < s.colAt {
		s.colAt, s.col = 0, 0
	}
	s.col += utf8.RuneCountInString(s.line[s.colAt:s.at])
	s.colAt = s.at
	return s.col
}

// peek returns the byte at offset i from the current place; at the end of the
// line it is a line break.
func (s *scanner) peek(i int) byte {
	if s.at+i < len(s.line) {
		return s.line[s.at+i]
	}
	return '\n'
}

// blankAt reports whether the byte at offset i is white space or the line's end.
func (s *scanner) blankAt(i int) bool {
	c := s.peek(i)
	return c == ' ' || c == '\t' || c == '\n'
}

// skipSpace goes to the next token, and reports whether there is one.
func (s *scanner) skipSpace() bool {
	for s.n < len(s.src.lines) {
		for s.peek(0) == ' ' || s.peek(0) == '\t' && (s.flow > 0 || !s.keyAllowed) {
			s.at++
		}
		switch s.peek(0) {
		case '\t':
			s.invalid(s.tabError())
			continue
		case '#', '\n':
			s.goTo(s.n + 1)
			s.keyAllowed = s.keyAllowed || s.flow == 0
			continue
		}
		return true
	}
	return false
}

func (s *scanner) pos() Pos { return Pos{s.src.file, s.n + 1, s.column() + 1} }

func (s *scanner) fail(code, format string, args ...any) *Error {
	return &Error{Code: code, Pos: s.pos(), Len: 1, Msg: fmt.Sprintf(format, args...)}
}

// tabError is the error of a tab at the current place.
func (s *scanner) tabError() *Error {
	return &Error{Code: CodeTab, Pos: s.pos(), Len: 1,
		Msg: "a tab cannot be used for indentation", Label: "tab", Help: "use spaces"}
}

// invalid adds an invalid token at the current place and skips the line's rest.
func (s *scanner) invalid(e *Error) {
	t := s.here(tokenInvalid, "")
	t.problem = e
	s.add(t)
	s.goTo(s.n + 1)
	s.keyAllowed = true
}

// here returns a token that begins at the current place.
func (s *scanner) here(kind tokenKind, text string) tok {
	return tok{kind: kind, line: s.n + 1, endLine: s.n + 1, col: s.column() + 1, text: text}
}

func (s *scanner) add(t tok) {
	t.first = t.line > s.lastLine
	t.inside = s.flow > 0
	s.lastLine = max(t.line, t.endLine)
	if s.taken > len(s.queue)/2 { // which costs less than what has been taken
		s.queue = s.queue[:copy(s.queue, s.queue[s.taken:])]
		s.taken = 0
	}
	s.queue = append(s.queue, t)
}

// indent returns the column of the innermost block collection, -1 if there is
// none.
func (s *scanner) indent() int {
	if len(s.indents) == 0 {
		return -1
	}
	return s.indents[len(s.indents)-1]
}

// roll enters a block collection at column col unless it has been entered.
func (s *scanner) roll(col int) {
	if s.flow == 0 && s.indent() < col {
		s.indents = append(s.indents, col)
	}
}

// unroll leaves the block collections that the current place is left of.
func (s *scanner) unroll() {
	if s.flow > 0 {
		return
	}
	for col := s.column(); s.indent() > col; {
		s.indents = s.indents[:len(s.indents)-1]
	}
}

// mayBeKey notes that the token at the current place may be a key.
func (s *scanner) mayBeKey() {
	if s.flow == 0 && s.keyAllowed {
		s.keyLine, s.keyCol = s.n, s.column()
	}
}

// read reads the token at the current place.
func (s *scanner) read() {
	if s.at == 0 && s.document() {
		return
	}
	s.inDocument = true
	switch l := s.lexeme(); l.kind {
	case tokenEntry:
		if s.flow > 0 {
			s.plain(lexeme{end: s.at + 1, more: s.at + 1})
			return
		}
		s.roll(s.column())
		s.indicator(l.kind, true)
	case tokenKey:
		s.roll(s.column())
		s.indicator(l.kind, s.flow == 0)
	case tokenColon:
		s.colon()
	case tokenComma:
		s.indicator(l.kind, true)
	case tokenListStart, tokenMapStart:
		s.mayBeKey()
		s.flow++
		s.indicator(l.kind, true)
	case tokenListEnd, tokenMapEnd:
		s.flow = max(s.flow-1, 0)
		s.indicator(l.kind, false)
	case tokenAnchor, tokenAlias:
		s.name(l.kind)
	case tokenTag:
		s.tag()
	case tokenBlock:
		s.block()
	case tokenQuoted:
		s.quoted(s.peek(0))
	case tokenPlain:
		s.plain(l)
	default:
		e := s.fail(CodeSyntax, "text without quotes cannot begin with %q", s.line[s.at:s.at+1])
		e.Help = "put the value in quotes"
		s.invalid(e)
	}
}

// document reads a directive, which it skips, or a marker of a document. It
// reports whether there was one.
func (s *scanner) document() bool {
	if s.peek(0) == '%' && !s.inDocument {
		s.goTo(s.n + 1)
		return true
	}
	if !s.atMarker() {
		return false
	}
	t := s.here(tokenEOF, "")
	t.marker, t.starts = true, s.line[0] == '-'
	s.inDocument = t.starts
	s.add(t)
	s.at, s.indents, s.flow, s.keyAllowed = 3, nil, 0, false
	return true
}

// atMarker reports whether the current line begins with a marker of a document.
func (s *scanner) atMarker() bool {
	return (strings.HasPrefix(s.line, "---") || strings.HasPrefix(s.line, "...")) &&
		(len(s.line) == 3 || strings.IndexByte(" \t", s.line[3]) >= 0)
}

// indicator reads a token of one character.
func (s *scanner) indicator(kind tokenKind, keyAllowed bool) {
	s.add(s.here(kind, s.line[s.at:s.at+1]))
	s.at++
	s.keyAllowed = keyAllowed
}

// colon reads the colon behind a key, or that of an empty key.
func (s *scanner) colon() {
	if s.flow == 0 && s.keyLine == s.n {
		s.roll(s.keyCol)
		s.keyLine = -1
		s.indicator(tokenColon, false)
		return
	}
	if s.keyAllowed {
		s.roll(s.column())
	}
	s.indicator(tokenColon, s.flow == 0)
}

// name reads an anchor or an alias. Of the characters, libyaml allows fewer than
// YAML does: the name of text such as "&& make" is empty.
func (s *scanner) name(kind tokenKind) {
	s.mayBeKey()
	end := s.at + 1
	for end < len(s.line) && isNameByte(s.line[end]) {
		end++
	}
	t := s.here(kind, s.line[s.at+1:end])
	s.at = end
	if !s.blankAt(0) && strings.IndexByte("?:,]}%@`", s.peek(0)) < 0 {
		t.text, s.at = "", len(s.line)
	}
	s.add(t)
	s.keyAllowed = false
}

func isNameByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c == '-'
}

// tag reads a tag.
func (s *scanner) tag() {
	s.mayBeKey()
	end := ""
	if s.flow > 0 {
		end = ",[]{}"
	}
	start := s.here(tokenTag, "")
	from := s.at
	for !s.blankAt(0) && strings.IndexByte(end, s.peek(0)) < 0 {
		s.at++
	}
	start.text = s.line[from:s.at]
	s.add(start)
	s.keyAllowed = false
}
