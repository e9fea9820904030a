package expr

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxTokens is the most tokens an expression may have; specification section 0.
const maxTokens = 99

type kind uint8

const (
	tokVariable kind = iota
	tokInput         // $[[ inputs.NAME ]]
	tokWord          // a bare word that stands for a string
	tokString
	tokPattern
	tokNull
	tokBoolean
	tokOperator
	tokNot
	tokOpen
	tokClose
)

// span is a place in the source, in characters.
type span struct{ offset, length int }

type token struct {
	kind kind
	text string
	at   span
}

// lexeme is a kind of token and how it looks.
type lexeme struct {
	kind kind
	re   *regexp.Regexp
}

// inputLexemes have inputs before variables. The value of an input of type
// boolean is seen as its text, and so are true and false.
var inputLexemes = append([]lexeme{
	{tokInput, regexp.MustCompile(`^\$\[\[\s*inputs\.[A-Za-z0-9_-]+\s*\]\]`)},
	{tokWord, regexp.MustCompile(`^(?:true|false)\b`)},
}, lexemes...)

// The token patterns in the order in which they are tried (section 9.1). The
// order matters: != and !~ come before the unary !.
//
// GitLab's pattern token wants two characters between the slashes; the reference
// vectors of section 9.4 hold a pattern of one, so that is accepted where the
// longer form does not match, and [Expr.Warnings] tells of it.
var lexemes = []lexeme{
	{tokOpen, regexp.MustCompile(`^\(`)},
	{tokClose, regexp.MustCompile(`^\)`)},
	{tokVariable, regexp.MustCompile(`^\$\w+`)},
	{tokString, regexp.MustCompile(`^(?:"[^"\n]*"|'[^'\n]*')`)},
	{tokPattern, regexp.MustCompile(`^/([^/]|\\/)+[^\\]/[ismU]*`)},
	{tokPattern, regexp.MustCompile(`^/[^/\\]/[ismU]*`)},
	{tokNull, regexp.MustCompile(`^null\b`)},
	{tokBoolean, regexp.MustCompile(`^(?:true|false)\b`)},
	{tokOperator, regexp.MustCompile(`^(?:==|=~|!=|!~|&&|\|\|)`)},
	{tokNot, regexp.MustCompile(`^!`)},
}

// lex splits src. Offsets are counted in characters as the scan goes, so that
// the cost stays linear in the length of src.
func lex(src string, lexemes []lexeme) ([]token, error) {
	var tokens []token
	offset := 0
	for rest := src; ; {
		trimmed := strings.TrimLeft(rest, " \t\r\n\v\f")
		offset += len(rest) - len(trimmed)
		if rest = trimmed; rest == "" {
			break
		}
		t, ok := scan(rest, lexemes)
		if !ok {
			return nil, lexError(rest, offset, tokens)
		}
		t.at = span{offset, utf8.RuneCountInString(t.text)}
		if len(tokens) == maxTokens {
			return nil, &Error{Offset: offset, Len: t.at.length,
				Msg:  fmt.Sprintf("expression has more than %d tokens", maxTokens),
				Help: "split it over several rules"}
		}
		tokens = append(tokens, t)
		rest = rest[len(t.text):]
		offset += t.at.length
	}
	if len(tokens) == 0 {
		return nil, &Error{Len: 1, Msg: "expression is empty"}
	}
	return tokens, nil
}

func scan(rest string, lexemes []lexeme) (token, bool) {
	for _, l := range lexemes {
		if m := l.re.FindString(rest); m != "" {
			return token{kind: l.kind, text: m}, true
		}
	}
	return token{}, false
}

// Things that people write in place of a token, for a helpful answer.
var (
	braced    = regexp.MustCompile(`^\$\{(\w*)[^}\s]*\}?`)
	percent   = regexp.MustCompile(`^%(\w+)%`)
	inputRef  = regexp.MustCompile(`^\$\[\[.*?(?:\]\]|$)`)
	bareWord  = regexp.MustCompile(`^[\pL\pN_][\pL\pN_./:@-]*`)
	wordyOps  = map[string]string{"and": "&&", "AND": "&&", "or": "||", "OR": "||", "not": "!", "NOT": "!"}
	signOps   = map[byte]string{'=': "==", '&': "&&", '|': "||", '~': "=~"}
	otherForm = map[string]string{"nil": "null", "NULL": "null", "None": "null", "True": "true", "False": "false"}
)

// lexError explains why no token begins at rest, which is offset characters from
// the start and not empty.
func lexError(rest string, offset int, before []token) *Error {
	fail := func(text, msg, help string) *Error {
		return &Error{Offset: offset, Len: max(1, utf8.RuneCountInString(text)), Msg: msg, Help: help}
	}
	if m := inputRef.FindString(rest); m != "" {
		return fail(m, "inputs are not available here", "")
	}
	if m := braced.FindStringSubmatch(rest); m != nil {
		return fail(m[0], "${...} is no variable in an expression", variableHelp(m[1]))
	}
	if m := percent.FindStringSubmatch(rest); m != nil {
		return fail(m[0], "%...% is no variable in an expression", variableHelp(m[1]))
	}
	if m := bareWord.FindString(rest); m != "" {
		return wordError(m, before, fail)
	}
	_, size := utf8.DecodeRuneInString(rest)
	char := rest[:size]
	switch c := rest[0]; c {
	case '$':
		return fail(char, "a variable name must follow $", "")
	case '"', '\'':
		line, _, _ := strings.Cut(rest, "\n")
		return fail(line, "string is not closed", "add the closing "+char)
	case '/':
		if strings.HasPrefix(rest, "//") {
			return fail("//", "pattern is empty", "")
		}
		line, _, _ := strings.Cut(rest, "\n")
		return fail(line, "pattern is not closed", `end it with /; write \/ for a slash inside`)
	case '=', '&', '|', '~':
		return fail(char, fmt.Sprintf("unknown operator %q", char), "write "+signOps[c])
	case '<', '>':
		return fail(char, fmt.Sprintf("unknown operator %q", char), "only ==, !=, =~ and !~ compare")
	}
	return fail(char, fmt.Sprintf("unexpected character %q", char), "")
}

// wordError explains a bare word, which follows the tokens before.
func wordError(word string, before []token, fail func(text, msg, help string) *Error) *Error {
	if n := len(before); n > 0 && before[n-1].kind == tokString {
		if _, isOp := wordyOps[word]; !isOp {
			return fail(word, fmt.Sprintf("text %q behind a string", word), "a string has no escape sequences; use the other kind of quotes outside")
		}
	}
	if n := len(before); n > 0 && before[n-1].kind == tokPattern {
		if _, isOp := wordyOps[word]; !isOp {
			return fail(word, fmt.Sprintf("text %q behind a pattern", word), `write \/ for a slash inside of a pattern`)
		}
	}
	if op, ok := wordyOps[word]; ok {
		return fail(word, fmt.Sprintf("unknown operator %q", word), "write "+op)
	}
	if form, ok := otherForm[word]; ok {
		return fail(word, fmt.Sprintf("unexpected word %q", word), "write "+form)
	}
	return fail(word, fmt.Sprintf("unexpected word %q", word), `quote it: "`+word+`"; a variable begins with $`)
}

func variableHelp(name string) string {
	if name == "" {
		return ""
	}
	return "write $" + name
}
