package syntax

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestYAML11 is what GitLab's loader makes of the corners of YAML 1.1
// (specification, section 2). Each result is libyaml's and Psych's own.
func TestYAML11(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		// Scalars without quotes.
		{"text over lines", "a: b c\n  d\n\n  e   \n   f\n", `{"a": "b c d\ne f"}`},
		{"a line that begins with dashes", "a:\n  - cmake\n      -DX=1 &&\n    make\n", `{"a": ["cmake -DX=1 && make"]}`},
		{"a line that is a dash", "a: b\n  - c\n", `{"a": "b - c"}`},
		{"indicators inside", "a: x [y] {z}, *b & !c | d > e % f @ g ` h # i\n", "{\"a\": \"x [y] {z}, *b & !c | d > e % f @ g ` h\"}"},
		{"indicators at a line's start", "a: x\n  [y]\n  {z}\n  *b\n  &c\n  !d\n  | e\n  > f\n  @g\n  %h\n  'i'\n  \"j\"\n", `{"a": "x [y] {z} *b &c !d | e > f @g %h 'i' \"j\""}`},
		{"a comment ends text", "a: x # y\nb: x# y\nc:\n  x\n  # y\n", `{"a": "x", "b": "x# y", "c": "x"}`},
		{"colons", "a: b:c\nd: http://x:1/\ne:f: g\nh: i :j\n", `{"a": "b:c", "d": "http://x:1/", "e:f": "g", "h": "i :j"}`},
		{"keys with colons", "build:app: x\n'a: b': y\n\"c\": z\nd e : w\n", `{"build:app": "x", "a: b": "y", "c": "z", "d e": "w"}`},
		{"keys with a dash or question mark", "-a: x\n?b: y\n", `{"-a": "x", "?b": "y"}`},
		{"tabs between tokens", "a:\tb\t# c\nd:\t[e,\t\tf]\n", `{"a": "b", "d": ["e", "f"]}`},
		{"tabs inside text", "a: b\tc\n  \td\n", `{"a": "b\tc d"}`},
		{"white space behind", "a: b  \nc:  \n  - d \t\n", `{"a": "b", "c": ["d"]}`},
		{"unusual characters", "é: ü\n日本: ∀\n😀: 🦊\n", `{"é": "ü", "日本": "∀", "😀": "🦊"}`},

		// Quotes.
		{"single quotes", "a: 'it''s'\nb: ''''\nc: ''\nd: 'x # y: z'\n", `{"a": "it's", "b": "'", "c": "", "d": "x # y: z"}`},
		{"quotes over lines", "a: 'b  \n   c\n\n  d'\ne: \"f\n\n\n  g \"\n", `{"a": "b c\nd", "e": "f\n\ng "}`},
		{"quotes to the left", "a:\n    b: 'c\nd'\n", `{"a": {"b": "c d"}}`},
		{"escaped line break", "a: \"b \\\n    c\\\n   \\ d\"\n", `{"a": "b c d"}`},
		{"escapes", `a: "\0\a\b\t\n\v\f\r\e\ \"\/\\\N\_\L\P\x41\u00e9\U0001f98a"` + "\n",
			`{"a": "\x00\a\b\t\n\v\f\r\x1b \"/\\\u0085\u00a0\u2028\u2029Aé🦊"}`},

		// Blocks of text.
		{"chomping", "a: |\n  x\n\nb: |-\n  x\n\nc: |+\n  x\n\nd: y\n", `{"a": "x\n", "b": "x", "c": "x\n\n", "d": "y"}`},
		{"folding", "a: >\n  x\n  y\n\n  z\n   more\n   more\n  w\n", `{"a": "x y\nz\n more\n more\nw\n"}`},
		{"given indentation", "a: |1\n  x\nb: |+2\n    x\n  y\n\nc: >-1\n x\n y\n", `{"a": " x\n", "b": "  x\ny\n\n", "c": "x y"}`},
		{"given indentation in a list", "a:\n  - |2\n     x\n", `{"a": [" x\n"]}`},
		{"empty blocks", "a: |\nb: >\n\nc:\n  - |\n  - |+\n\n  - x\n", `{"a": "", "b": "", "c": ["", "\n", "x"]}`},
		{"a comment behind the header", "a: | # x\n  y\n", `{"a": "y\n"}`},
		{"comments are text", "a: |\n  # x\n  y # z\n# end\nb: w\n", `{"a": "# x\ny # z\n", "b": "w"}`},
		{"no line break at the end", "a: |\n  x", `{"a": "x"}`},
		{"white space at the end", "a: |+\n  x\n  ", `{"a": "x\n"}`},
		{"tabs in a block", "a: |\n  x\n  \ty\n", `{"a": "x\n\ty\n"}`},

		// Collections.
		{"lists in a list", "a:\n- - b\n  - c\n- - - d\n", `{"a": [["b", "c"], [["d"]]]}`},
		{"a mapping in a list of its own column", "a:\n- b: c\n  d: e\n-\n  f: g\n", `{"a": [{"b": "c", "d": "e"}, {"f": "g"}]}`},
		{"brackets over lines", "a: [b,\n c d\n   e, # f\n]\ng: {\n  h: i\n    j, k: {l: m}\n}\n", `{"a": ["b", "c d e"], "g": {"h": "i j", "k": {"l": "m"}}}`},
		{"brackets to the left", "a:\n  b: [\nc,\nd\n]\n", `{"a": {"b": ["c", "d"]}}`},
		{"colons in brackets", "a: [b:c, http://d, \"e\":f, g: h]\n", `{"a": ["b:c", "http://d", {"e": "f"}, {"g": "h"}]}`},
		{"pairs without value", "a: {b, c: , 'd':}\n", `{"a": {"b": null(), "c": null(), "d": null()}}`},
		{"a question mark", "? a\n: b\n? c\nd: {? e : f}\n", `{"a": "b", "c": null(), "d": {"e": "f"}}`},
		{"question marks in text", "a: [b?, c?d]\ne: f?\n", `{"a": ["b?", "c?d"], "e": "f?"}`},
		{"an anchor on nothing", "a: &x\nb: *x\nc: [&y , *y]\n", `{"a": null(), "b": null(), "c": [null(), null()]}`},
		{"an anchor on a key", "&x a: b\n*x : c\n", `{"a": "c"}`},
		{"an anchor before a collection", "a: &x\n  b: c\nd: &y\n- e\nf: [*x, *y]\n", `{"a": {"b": "c"}, "d": ["e"], "f": [{"b": "c"}, ["e"]]}`},
		{"tags", "a: !!str 1\nb: ! 2\nc: !!int '3'\nd: !reference [a, b]\ne: [!reference [c, d]]\n",
			`{"a": "1", "b": "2", "c": integer(3), "d": !reference ["a", "b"], "e": [!reference ["c", "d"]]}`},

		// Files.
		{"directives", "%YAML 1.1\n%TAG ! tag:x,2000:\n---\na: b\n", `{"a": "b"}`},
		{"an end of the document", "a: b\n...\n", `{"a": "b"}`},
		{"a marker inside of text", "a: |\n  ---\nb: ---c\n", `{"a": "---\n", "b": "---c"}`},
		{"comments in odd places", "# a\n\n  # b\na: # c\n  # d\n  - e # f\n      # g\n  # h\n  - i\n#j\n", `{"a": ["e", "i"]}`},
		{"CR alone", "a: b\rc:\r  - d\r", `{"a": "b", "c": ["d"]}`},
		{"CR LF in text", "a: b\r\n  c\r\nd: 'e\r\n\r\n  f'\r\ng: >\r\n  h\r\n  i\r\n", `{"a": "b c", "d": "e\nf", "g": "h i\n"}`},
		{"a long line", "a: " + strings.Repeat("x ", 50_000) + "y\n", `{"a": "` + strings.Repeat("x ", 50_000) + `y"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, errs := parseRoot("f", []byte(test.in))
			if errs.HasErrors() {
				t.Fatalf("errors: %q", messages(errs))
			}
			if diff := cmp.Diff(test.want, text(n)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestYAML11Refused is what the loader refuses, beside TestParseDiagnostics.
func TestYAML11Refused(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"a tab on a line of its own", "a: b\n\t\nc: d\n", "2:1 CIC1006 a tab cannot be used for indentation"},
		{"a tab behind a dash", "a:\n  -\tb\n", "2:4 CIC1006 a tab cannot be used for indentation"},
		{"a tab before a block's text", "a: |\n  \tb\n", "2:3 CIC1006 a tab cannot be used for indentation"},
		{"unknown escape", `a: "\s"` + "\n", `1:5 CIC1007 "\\s" is no escape sequence`},
		{"escape of half a pair", `a: "\ud83e"` + "\n", `1:5 CIC1007 "\\u" is no escape sequence`},
		{"a quote that a document ends", "a: 'b\n---\nc: d'\n", "1:4 CIC1009 a quote is not closed"},
		{"a colon before a bracket", "a: [b:, c]\n", "1:6 CIC1007 a colon in brackets needs a space behind it"},
		{"a block in brackets", "a: [|\n  b]\n", "1:5 CIC1007 a block of text cannot begin inside of brackets"},
		{"a key over lines", "a:\n  'b\n  c': d\n", `2:3 CIC1007 a key must stand on one line: "b c" does not`},
		{"backtick", "a: `b`\n", "1:4 CIC1007 text without quotes cannot begin with \"`\""},
		{"an alias with a tag", "a: &x b\nc: !!str *x\n", "2:10 CIC1007 an alias cannot have a tag"},
		{"recursive merge", "a: &x\n  b:\n    <<: *x\n", `3:9 CIC1011 the alias "*x" stands inside of the value that it names | 1:4 the value begins here`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, errs := parseRoot("f", []byte(test.in))
			if len(errs) != 1 || messages(errs)[0] != test.want {
				t.Errorf("got %q, want %q", messages(errs), test.want)
			}
		})
	}
}
