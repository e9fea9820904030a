package syntax

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/lexer"
)

// TestLibrary is how the YAML library reads what the scanner does not leave to it,
// and why. If it fails with a later version of the library, that one may read it as
// libyaml does: then what lex.go, quoted.go or blockscalar.go does for it can go.
func TestLibrary(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		// shownAs, tokenize
		{"a tab is lost", "- a\tb ", `- "ab"`},
		{"<< ends text and loses what is before it", "- a <<: b ", `- << : "b"`},
		{"a brace is text in a list", "[ a } ", `[ "a }"`},
		{"a colon is text behind a colon in braces", "{ a: b : c,", `{ "a" : "b : c" ,`},
		{"a colon ends text in braces without white space", "{ a:b,", `{ "a" : "b" ,`},
		{"a question mark at the end", "- ?", `- "?"`},
		{"a tag at the end", "- !a", `-`},
		// kindOf and the scanner
		{"a comma outside of brackets", "- , ", `- ","`},
		{"a colon in brackets", "[ :a] ", `[ ":a" ]`},
		{"a dash in brackets", "[ - a] ", `[ - "a" ]`},
		{"a name goes on to white space", "- *a: b ", `- * "a:" "b"`},
		{"a name of any characters", "- && make ", `- & & "make"`},
		{"a tag with brackets", "[ !a] ", `[ !a]`},
		{"a tag with braces", "- !a{b} ", `- invalid "b}"`},
		// quoted.go
		{"any digits of a code point", `"\xzz"`, `"Ӫ"`},
		{"half of a pair", `"\ud83e\udd8a"`, `"🦊"`},
		{"no character", `"\U00110000"`, `"�"`},
		{"an escaped space before a line break", "\"a\\ \n b\"", `"a b"`},
		{"an empty line behind an escaped line break", "\"a \\\n\n b\"", `"a\nb"`},
		{"a tab before a line break", "'a\t\n b'", `"a\t b"`},
		// plain.go
		{"text that goes on with a dash", "- a\n     -b &&\n   c\n", `- "a -b &&" "c"`},
		{"a comment behind such text", "a:\n  - b\n     -c # d\n", `"a" : - "b -c # d"`},
		// blockscalar.go
		{"an empty block", "a: |\n\nb: c\n", `"a" : | "" "b" : "c"`},
		{"white space before the end", "a: |-\n  b  \n", `"a" : |- "b"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := library(test.in); got != test.want {
				t.Errorf("%q is read as %s, no longer as %s", test.in, got, test.want)
			}
		})
	}
}

// library returns the tokens that the library makes of text.
func library(text string) string {
	var out []string
	for _, t := range lexer.Tokenize(text) {
		s := t.Value
		switch kind, known := lexemeKinds[t.Type]; {
		case kind == tokenInvalid && known:
			s = "invalid"
		case !known && s != "<<", kind == tokenQuoted:
			s = fmt.Sprintf("%q", t.Value)
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}
