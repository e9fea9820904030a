package syntax

import (
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// The lexer of the YAML library says which tokens stand on a line, and what a text
// in quotes means. It is shown a part of one line at a time: given several lines, it
// takes apart what belongs together and loses its place. What crosses lines is up to
// the scanner. TestLibrary tells when the library reads better than it did.

// lexeme is a token as the library sees it. start and end are byte offsets in the
// current line; end is that of text without quotes.
type lexeme struct {
	kind       tokenKind
	start, end int
	// more is where text goes on behind what the library was shown, 0 if it does not.
	more int
}

// The bytes of a line that the library is shown at a time: fewer where it has read
// in vain, so that it never reads more than a few times the line.
const (
	mostShown  = 128
	leastShown = 8
)

// lexemeKinds are the kinds of the library's tokens. Those of any other type, such
// as numbers, are text without quotes.
var lexemeKinds = map[token.Type]tokenKind{
	token.SequenceEntryType: tokenEntry,
	token.MappingKeyType:    tokenKey,
	token.MappingValueType:  tokenColon,
	token.CollectEntryType:  tokenComma,
	token.SequenceStartType: tokenListStart,
	token.SequenceEndType:   tokenListEnd,
	token.MappingStartType:  tokenMapStart,
	token.AnchorType:        tokenAnchor,
	token.AliasType:         tokenAlias,
	token.TagType:           tokenTag,
	token.LiteralType:       tokenBlock,
	token.FoldedType:        tokenBlock,
	token.SingleQuoteType:   tokenQuoted,
	token.DoubleQuoteType:   tokenQuoted,
	token.DirectiveType:     tokenInvalid, // in brackets
	token.CommentType:       tokenEOF,     // of the line
	token.InvalidType:       tokenInvalid,
}

// lexeme takes the token at the current place.
func (s *scanner) lexeme() lexeme {
	if len(s.ahead) == 0 || s.ahead[0].start != s.at {
		s.lex(false)
	}
	return s.takeLexeme()
}

// lexText takes the rest of the text without quotes around the current place, which
// may be nothing.
func (s *scanner) lexText() lexeme {
	s.lex(true)
	return s.takeLexeme()
}

func (s *scanner) takeLexeme() lexeme {
	l := s.ahead[0]
	s.ahead = s.ahead[1:]
	return l
}

// lex reads tokens from the current place on, up to one whose end is the scanner's
// to find. inText: the place is inside of text without quotes, whose rest is first.
func (s *scanner) lex(inText bool) {
	to := min(s.at+s.shown, len(s.line))
	found, from := s.tokenize(to, inText)
	s.ahead = s.lexemes[:0]
	ended := false
	for _, l := range found {
		l.start, l.end = l.start+from, min(l.end+from, to)
		first := len(s.ahead) == 0
		ended = l.start == to || l.kind == tokenEOF
		if !first && (ended || l.start > to) {
			break
		}
		switch {
		case first && inText:
			l.start, l.end = s.at, max(s.at, l.end)
		case first && l.start != s.at:
			l.start, l.kind = s.at, tokenInvalid
			fallthrough
		default:
			l.kind = s.kindOf(l)
		}
		s.ahead = append(s.ahead, l)
		if ended = l.kind > tokenComma; ended {
			s.shown = max(s.shown/2, leastShown)
			break
		}
	}
	s.lexemes = s.ahead
	if last := &s.ahead[len(s.ahead)-1]; last.kind == tokenPlain && !ended && to < len(s.line) {
		last.more = to
	}
}

// mostKnown bounds the texts whose tokens a scanner remembers.
const mostKnown = 4096

// tokenize gives the library the line from the current place to offset to, and two
// characters more, without which it cannot tell whether text ends there. The places
// of the tokens, of which there is one at least, count from offset from. What looks
// the same is read once: most lines of a file look like another one.
func (s *scanner) tokenize(to int, inText bool) (found []lexeme, from int) {
	before, from := " ", s.at // no marker of a document stands behind it
	if s.flow > 0 {
		before = "["
	}
	if inText {
		before += "x"         // all that follows is text
		from = max(from-1, 0) // but for a "#" behind white space
	}
	s.text = append(s.text[:0], before...)
	for i := from; i <= to+1; i++ {
		s.text = append(s.text, s.shownAs(i))
	}
	from -= len(before)
	if found, known := s.known[string(s.text)]; known {
		return found, from
	}
	text := string(s.text)
	for _, t := range lexer.Tokenize(text) {
		kind, known := lexemeKinds[t.Type]
		if !known {
			kind = tokenPlain
		}
		start := t.Position.Column - 1
		if s.flow == 0 || start > 0 {
			found = append(found, lexeme{kind: kind, start: start, end: start + len(t.Value)})
		}
	}
	if len(found) == 0 {
		found = []lexeme{{kind: tokenInvalid}} // a tag without white space behind it
	}
	if s.known == nil || len(s.known) == mostKnown {
		s.known = map[string][]lexeme{}
	}
	s.known[text] = found
	return found, from
}

// shownAs is the character that the library is shown for the byte at offset i of the
// line. Tabs it drops from text, "<<" ends text and takes quadratic time, and "}" is
// text behind the start of a list. Letters and digits look the same.
func (s *scanner) shownAs(i int) byte {
	if i >= len(s.line) {
		return ' '
	}
	switch c := s.line[i]; {
	case c == '\t':
		return ' '
	case c == '}':
		return ']'
	case c == '<', c >= utf8.RuneSelf, c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
		return 'x'
	default:
		return c
	}
}

// kindOf is the kind that libyaml gives to a token of the library.
func (s *scanner) kindOf(l lexeme) tokenKind {
	switch c := s.line[l.start]; {
	case l.kind == tokenListEnd && c == '}':
		return tokenMapEnd
	case l.kind == tokenPlain && c == '%':
		return tokenInvalid // a directive, were it not for the white space before it
	case l.kind == tokenPlain && c == ',':
		return tokenComma // outside of brackets, too
	case l.kind == tokenPlain && c == ':' && s.flow > 0:
		return tokenColon // without white space behind it, too
	case l.kind == tokenInvalid && (c == '"' || c == '\''):
		return tokenQuoted // it ends on another line, or has an escape sequence
	case l.kind == tokenInvalid && (c == '|' || c == '>'):
		return tokenBlock
	case l.kind == tokenInvalid && c == '!':
		return tokenTag
	}
	return l.kind
}

// tabsInQuotes writes each tab as an escape sequence: the library takes quadratic
// time for tabs in double quotes.
var tabsInQuotes = strings.NewReplacer(`\\`, `\\`, "\\\t", `\t`, "\t", `\t`)

// unquote returns what a part of a line means within quotes.
func unquote(quote byte, part string) string {
	if part == "" {
		return ""
	}
	if quote == '"' {
		part = tabsInQuotes.Replace(part)
	}
	return lexer.Tokenize(string(quote) + part + string(quote))[0].Value
}
