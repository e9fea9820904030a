package syntax

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// text returns n in a compact form: kind initials before scalars that are no
// strings, positions left out.
func text(n *Node) string {
	var items []string
	switch n.Kind {
	case Mapping:
		for _, p := range n.Pairs {
			items = append(items, text(p.Key)+": "+text(p.Value))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case Sequence, Reference:
		for _, item := range n.Items {
			items = append(items, text(item))
		}
		tag := ""
		if n.Kind == Reference {
			tag = "!reference "
		}
		return tag + "[" + strings.Join(items, ", ") + "]"
	case String:
		return fmt.Sprintf("%q", n.Value)
	}
	return n.Kind.String() + "(" + n.Value + ")"
}

// messages returns "line:col code message" of each diagnostic.
func messages(errs ErrorList) []string {
	var out []string
	for _, e := range errs {
		s := fmt.Sprintf("%d:%d %s %s", e.Pos.Line, e.Pos.Col, e.Code, e.Msg)
		for _, n := range e.Notes {
			s += fmt.Sprintf(" | %d:%d %s", n.Pos.Line, n.Pos.Col, n.Msg)
		}
		out = append(out, s)
	}
	return out
}

func TestParse(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"pairs", "a: 1\nb: x\n", `{"a": integer(1), "b": "x"}`},
		{"byte order mark", "\ufeffa: x\n", `{"a": "x"}`},
		{"CR LF", "a:\r\n  - x\r\n  - |\r\n    l\r\n    m\r\n", `{"a": ["x", "l\nm\n"]}`},
		{"indented root", "  a: x\n  b: y\n", `{"a": "x", "b": "y"}`},
		{"list at the key's column", "a:\n- x\n- y\nb: z\n", `{"a": ["x", "y"], "b": "z"}`},
		{"mapping in list", "a:\n  - k: v\n    l: w\n  - - x\n    - y\n", `{"a": [{"k": "v", "l": "w"}, ["x", "y"]]}`},
		{"nulls", "a:\nb: ~\nc:\n  -\n  - x\n", `{"a": null(), "b": null(), "c": [null(), "x"]}`},
		{"comments", "# c\na: x # d\n# e\nb:\n  # f\n  - y\n", `{"a": "x", "b": ["y"]}`},
		{"flow", "a: [x, 'y, z', {k: v, l: [1]}, ]\nb: {\n  c: d\n}\n", `{"a": ["x", "y, z", {"k": "v", "l": [integer(1)]}], "b": {"c": "d"}}`},
		{"flow root", "{a: x, b: [y]}", `{"a": "x", "b": ["y"]}`},
		{"flow colon without space", "a: [docker:dind, {k: ruby:2.7}, \"x\"]\n", `{"a": ["docker:dind", {"k": "ruby:2.7"}, "x"]}`},
		{"flow pair", "a: [k: v]\n", `{"a": [{"k": "v"}]}`},
		{"flow keys only", "a: {k, l: }\n", `{"a": {"k": null(), "l": null()}}`},
		{"double quotes", `a: "x\ty\u00e9\x41\\"`, `{"a": "x\tyéA\\"}`},
		{"quotes over lines", "a: \"x\n  y\n\n  z\"\nb: 'it''s\n  q'\n", `{"a": "x y\nz", "b": "it's q"}`},
		{"plain over lines", "a: x\n  y\n\n  z\nb: w\n", `{"a": "x y\nz", "b": "w"}`},
		{"plain, deeper line with dash, then less deep", "a:\n  - cmake\n      -DX=1 &&\n    make\n", `{"a": ["cmake -DX=1 && make"]}`},
		{"plain, dash, ever deeper lines", "a:\n  - cmake\n    -DX=1\n      -DY=2\n    # c\n  - b\n", `{"a": ["cmake -DX=1 -DY=2", "b"]}`},
		{"plain, lines like list items", "a:\n  - foo\n      - bar\n    baz\n", `{"a": ["foo - bar baz"]}`},
		{"plain with spaces behind", "a: x  \nb: y\n", `{"a": "x", "b": "y"}`},
		{"literal", "a: |\n  x\n    y\n\n  z\n\nb: |-\n  x\n\nc: |+\n  x\n\n", `{"a": "x\n  y\n\nz\n", "b": "x", "c": "x\n\n"}`},
		{"literal with a comment and spaces", "a: | # c\n  x # no comment\n  y  \n", `{"a": "x # no comment\ny  \n"}`},
		{"literal with indentation", "a: |2\n    x\n   y\n", `{"a": "  x\n y\n"}`},
		{"literal without final break", "a: |\n  x", `{"a": "x"}`},
		{"literal with a dash", "a:\n  - |\n    -x\n    --y\n", `{"a": ["-x\n--y\n"]}`},
		{"empty literal", "a: |\n\nb: x\n", `{"a": "", "b": "x"}`},
		{"folded", "a: >\n  x\n  y\n\n  z\n    deep\n  w\nb: >-\n  x\n  y\n", `{"a": "x y\nz\n  deep\nw\n", "b": "x y"}`},
		{"explicit key", "? a\n: x\n", `{"a": "x"}`},
		{"tab between tokens", "a:\tx\nb: [x,\ty]\n", `{"a": "x", "b": ["x", "y"]}`},
		{"directive", "%YAML 1.1\n---\na: x\n", `{"a": "x"}`},
		{"document end", "a: x\n...\n", `{"a": "x"}`},
		{"reference", "a: !reference [b, c]\nd:\n  - !reference [e]\n", `{"a": !reference ["b", "c"], "d": [!reference ["e"]]}`},
		{"standard tags", "a: !!str 12\nb: !!int \"7\"\nc: !!str\nd: !!map {k: v}\nf: !!str 2024-01-31\n",
			`{"a": "12", "b": integer(7), "c": "", "d": {"k": "v"}, "f": "2024-01-31"}`},
		{"anchor on scalar, list, mapping", "a: &x 1\nb: &y [*x]\nc: &z\n  k: *y\nd: *z\n", `{"a": integer(1), "b": [integer(1)], "c": {"k": [integer(1)]}, "d": {"k": [integer(1)]}}`},
		{"anchors across entries, in lists", ".a:\n  - &x foo\n  - &y {k: v}\nb: [*x, *y]\nc:\n  - *x\n", `{".a": ["foo", {"k": "v"}], "b": ["foo", {"k": "v"}], "c": ["foo"]}`},
		{"anchor on a key, alias as key", "&k a: x\nb:\n  *k : y\n", `{"a": "x", "b": {"a": "y"}}`},
		{"anchor defined again", "a: &x 1\nb: *x\nc: &x 2\nd: *x\n", `{"a": integer(1), "b": integer(1), "c": integer(2), "d": integer(2)}`},
		{"merge", ".a: &a {k: 1, l: 2}\nb:\n  <<: *a\n  k: x\n  m: y\n", `{".a": {"k": integer(1), "l": integer(2)}, "b": {"k": "x", "l": integer(2), "m": "y"}}`},
		{"merge is shallow", ".a: &a {k: {x: 1}}\nb:\n  <<: *a\n  k: {y: 2}\n", `{".a": {"k": {"x": integer(1)}}, "b": {"k": {"y": integer(2)}}}`},
		{"merge list, first wins", "b:\n  <<: [{k: 1, l: 1}, {k: 2, m: 2}]\n", `{"b": {"k": integer(1), "m": integer(2), "l": integer(1)}}`},
		{"merge twice, last wins", "b:\n  <<: {k: 1}\n  <<: {k: 2}\n", `{"b": {"k": integer(2)}}`},
		{"quoted merge key", "b:\n  \"<<\": {x: y}\n", `{"b": {"x": "y"}}`},
		{"merge key with its tag", "b:\n  !!merge <<: {x: y}\n", `{"b": {"x": "y"}}`},
		{"a merge key that is text", "b:\n  !!str <<: x\n", `{"b": {"<<": "x"}}`},
		{"key types", "1: a\ntrue: b\n~: c\n", `{integer(1): "a", boolean(true): "b", null(): "c"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, errs := parseRoot("f", []byte(test.in))
			if len(errs) > 0 {
				t.Fatalf("errors: %q", messages(errs))
			}
			if diff := cmp.Diff(test.want, text(n)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseDiagnostics(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     []string
	}{
		{"empty", "", []string{"1:1 CIC1004 the file holds no pipeline: it is empty"}},
		{"comments only", "# a\n\n# b\n", []string{"1:1 CIC1004 the file holds no pipeline: it is empty"}},
		{"null", "~\n", []string{"1:1 CIC1004 the file holds no pipeline: it is empty"}},
		{"list", "- a\n- b\n", []string{"1:1 CIC1005 a pipeline is a mapping of job names to jobs, but this file is a list"}},
		{"scalar", "hello\n", []string{"1:1 CIC1005 a pipeline is a mapping of job names to jobs, but this file is a string"}},
		{"UTF-16", "\xff\xfea\x00", []string{"1:1 CIC1002 the file is UTF-16 or UTF-32, not UTF-8: byte order mark at byte offset 0"}},
		{"UTF-16 without mark", "a\x00:\x00", []string{`1:2 CIC1003 control character '\x00' at byte offset 1 is not allowed in YAML`}},
		{"Latin-1", "a: x\nb: caf\xe9\n", []string{"2:7 CIC1002 invalid UTF-8 at byte offset 11 (byte 0xe9)"}},
		{"escape", "a: \x1b[2J\n", []string{`1:4 CIC1003 control character '\x1b' at byte offset 3 is not allowed in YAML`}},
		{"tab", "a:\n\tb: c\n", []string{"2:1 CIC1006 a tab cannot be used for indentation"}},
		{"tab behind spaces", "a:\n  b: c\n  \td: e\n", []string{"3:3 CIC1006 a tab cannot be used for indentation"}},
		{"tab before a dash", "a:\n  \t- b\n", []string{"2:3 CIC1006 a tab cannot be used for indentation"}},
		{"duplicate key", "a: 1\nb: 2\na: 3\n", []string{`3:1 CIC1017 the key "a" is defined twice; the last value counts | 1:1 first defined here`}},
		{"duplicate key in flow", "a: {k: 1, k: 2}\n", []string{`1:11 CIC1017 the key "k" is defined twice; the last value counts | 1:5 first defined here`}},
		{"three errors in three jobs", "a:\n  k: v: w\nb:\n  x\n y: 1\nc: *nope\nd: ok\n", []string{
			`2:7 CIC1007 a second ": " in a value without quotes`,
			`4:3 CIC1007 "x" is no key: a colon is missing`,
			`6:4 CIC1010 no anchor "&nope" is defined above this alias`}},
		{"indentation", "a:\n    b: 1\n  c: 2\nd: x\n", []string{"3:3 CIC1007 wrong indentation: column 3 is not that of a key or list above | 0:0 the entries above begin in column 1"}},
		{"colon missing", "a:\n  script\n  b: x\n", []string{`2:3 CIC1007 "script" is no key: a colon is missing`}},
		{"colon missing in the middle", "a:\n  x: 1\n  script\n  b: x\n", []string{`3:3 CIC1007 "script" is no key: a colon is missing`}},
		{"key over lines", "a:\n  x: 1\n  b\n   c: d\n", []string{`3:3 CIC1007 a key must stand on one line: "b c" does not`}},
		{"quoted key over lines", "a:\n  x: 1\n  'b\n  c': d\n", []string{`3:3 CIC1007 a key must stand on one line: "b c" does not`}},
		{"first key over lines", "a:\n  b\n   c: d\n", []string{`2:3 CIC1007 a key must stand on one line: "b c" does not`}},
		{"key indented below a text", "a:\n  b: c d\n   e: f\n", []string{`3:5 CIC1007 unexpected ":": the line belongs to the text "c d" that begins above`}},
		{"unclosed quote", "a: 'x\nb: y\n", []string{"1:4 CIC1009 a quote is not closed"}},
		{"unclosed list", "a: [x\n", []string{`1:4 CIC1009 "[" is not closed`}},
		{"unclosed list, more keys", "a: [x,\nb: y\nc:\n  - z\n", []string{`3:2 CIC1007 unexpected ":" | 1:4 inside of this "["; is its end missing?`}},
		{"stray bracket", "a: x\nb: ]\n", []string{`2:4 CIC1007 unexpected "]"`}},
		{"text behind a quote", "a: \"x\" y\n", []string{`1:8 CIC1007 unexpected text "y"`}},
		{"text behind a quote, then a list", "a:\n  - echo \"b: 'v'\" > f; g\n  - \"next\"\n", []string{`2:17 CIC1007 unexpected text "\" > f; g"`}},
		{"list behind a key", "a: - x\n", []string{"1:4 CIC1007 a list cannot begin behind a key on the same line"}},
		{"reserved", "a: @x\n", []string{`1:4 CIC1007 text without quotes cannot begin with "@"`}},
		{"percent", "a: %x\n", []string{`1:4 CIC1007 text without quotes cannot begin with "%"`}},
		{"shell and", "a:\n  - && make\n", []string{`2:5 CIC1007 "&" needs the name of an anchor behind it; put text that begins with "&" in quotes`}},
		{"glob", "a: *.txt\n", []string{`1:4 CIC1007 "*" needs the name of an anchor behind it; put text that begins with "*" in quotes`}},
		{"unknown alias", "a: &base x\nb: *bsae\n", []string{`2:4 CIC1010 no anchor "&bsae" is defined above this alias`}},
		{"alias before anchor", "a: *x\nb: &x 1\n", []string{`1:4 CIC1010 no anchor "&x" is defined above this alias`}},
		{"recursive alias", "a: &x [*x]\n", []string{`1:8 CIC1011 the alias "*x" stands inside of the value that it names | 1:4 the value begins here`}},
		{"recursive merge", "a: &x\n  <<: *x\n", []string{`2:7 CIC1011 the alias "*x" stands inside of the value that it names | 1:4 the value begins here`}},
		{"merge behind a key", "a:\n  k: x\n  <<: {k: y, l: z}\n", []string{`3:3 CIC1021 "k" keeps its value, but GitLab takes that of a "<<" behind it | 2:3 defined here`}},
		{"merge of an equal value behind a key", "a:\n  k: x\n  <<: {k: x, l: z}\n", nil},
		{"text in brackets", "a: [b ${C}]\n", []string{`1:8 CIC1007 unexpected "{"`}},
		{"exclamation mark", "a: ! grep x\n", []string{`1:4 CIC1022 the "!" before this value is a tag of YAML: it is dropped`}},
		{"merge of a list", "a:\n  <<: [1]\n", []string{`2:3 CIC1013 "<<" merges mappings, but item 1 of its list is an integer`}},
		{"merge of null", "a:\n  <<:\n", []string{`2:3 CIC1013 "<<" merges mappings, but its value is null`}},
		{"key in brackets", "a:\n  ? [x]\n  : y\n", []string{"2:3 CIC1014 a key is a name, not a list"}},
		{"unknown tag", "a: !!python/object x\n", []string{`1:4 CIC1015 unknown tag "!!python/object"`}},
		{"reference without list", "a: !reference x\n", []string{"1:4 CIC1015 !reference needs a list of names, not a string"}},
		{"tag that does not fit", "a: !!int x\n", []string{"1:4 CIC1015 the tag !!int does not fit a string"}},
		{"date", "a: 2024-01-31\n", []string{"1:4 CIC1016 the date 2024-01-31 must be in quotes"}},
		{"time", "a: 2024-01-31 10:00:00\n", []string{"1:4 CIC1016 the date 2024-01-31 10:00:00 must be in quotes"}},
		{"symbol", "a: :foo\n", []string{`1:4 CIC1019 ":foo" is read as the symbol "foo": the colon is dropped`}},
		{"two documents", "a: x\n---\nb: y\n", []string{"3:1 CIC1018 only the first document of a file is read, this one is ignored"}},
		{"documents behind a header", "spec: {}\n---\na: x\n---\nb: x\n", []string{`3:1 CIC1018 only the first and the last document of a file with inputs are read, this one is ignored`}},
		{"comment inside of text", "a: x\n  -y\n  # c\n  z\n", []string{`4:3 CIC1007 unexpected text "z"`}},
		{"block behind text", "a: |x\n  y\n", []string{`1:4 CIC1007 text behind "|" or ">" on the same line`}},
		{"block indentation", "a:\n  b: |\n      x\n    y\n  c: z\n", []string{"4:5 CIC1007 wrong indentation in a block of text"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, errs := parseRoot("f", []byte(test.in))
			if diff := cmp.Diff(test.want, messages(errs)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Errors of one entry leave the others in the tree.
func TestParseGoesOnBehindErrors(t *testing.T) {
	n, errs := parseRoot("f", []byte("a: x\nb:\n  k: v: w\nc: y\n"))
	if want := `{"a": "x", "c": "y"}`; n == nil || text(n) != want || len(errs) != 1 {
		t.Errorf("got %v, errors %q, want %s", n, messages(errs), want)
	}
}

func TestDuplicateKeyKeepsThePlace(t *testing.T) {
	n, _ := parseRoot("f", []byte("a: 1\nb: 2\na: 3\n"))
	if got, want := text(n), `{"a": integer(3), "b": integer(2)}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if line := n.GetKey("a").Pos.Line; line != 3 {
		t.Errorf("the key of the last value is in line %d, want 3", line)
	}
}

func TestPositions(t *testing.T) {
	script := "job:\n  script:\n    - echo é; x\n    - |\n      one\n\n      three\n  w:\tx\n  list: [é, z ]   # c\n"
	n, errs := parseRoot("f", []byte(script))
	if len(errs) > 0 {
		t.Fatal(messages(errs))
	}
	job := n.Get("job")
	items := job.Get("script").Items
	for _, test := range []struct {
		what string
		got  Pos
		want Pos
	}{
		{"mapping", job.Pos, Pos{"f", 2, 3}},
		{"item", items[0].Pos, Pos{"f", 3, 7}},
		{"block", items[1].Pos, Pos{"f", 4, 7}},
		{"block's first line", items[1].LinePos(0), Pos{"f", 5, 1}},
		{"block's third line", items[1].LinePos(2), Pos{"f", 7, 1}},
		{"value behind a tab", job.Get("w").Pos, Pos{"f", 8, 6}},
		{"list in brackets", job.Get("list").Pos, Pos{"f", 9, 9}},
		{"second item", job.Get("list").Items[1].Pos, Pos{"f", 9, 13}},
	} {
		if test.got != test.want {
			t.Errorf("%s: at %v, want %v", test.what, test.got, test.want)
		}
	}
}

func TestDepth(t *testing.T) {
	for depth, ok := range map[int]bool{MaxDepth - 1: true, MaxDepth: false} {
		_, errs := parseRoot("f", []byte("a: "+strings.Repeat("[", depth)+strings.Repeat("]", depth)))
		if errs.HasErrors() == ok {
			t.Errorf("%d lists in a mapping: %q", depth, messages(errs))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"a: b\n", "a:\n  - b\n  - |\n    c\n", "a: &x [1, {b: *x}]\n<<: {c: d}\n", "---\na: !reference [b]\n---\nc: d\n",
		"a: \"x\\u00e9\n  y\"\n? b\n: 'c'\n", "a:\n  - cmake\n      -DX &&\n    make\n", "a: >+\n\n\nb: |2-\n   x\n", "\ta: b\r\nc: %d\r",
		"a: &b !!str c\n*b : d\n", "- a\n", "{a: [b, c: d], \"e\":f}",
	} {
		f.Add([]byte(s))
	}
	if data, err := os.ReadFile("../../.gitlab-ci.yml"); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, errs := parseRoot("f", data)
		if n == nil && !errs.HasErrors() {
			t.Fatal("neither a tree nor an error")
		}
		if n != nil {
			checkNode(t, n, 0)
		}
		if err := errs.Render(new(strings.Builder), map[string][]byte{"f": data}, RenderOptions{}); err != nil {
			t.Fatal(err)
		}
	})
}

func checkNode(t *testing.T, n *Node, depth int) {
	if depth > MaxDepth || !n.Pos.IsValid() || n.Pos.Col < 1 {
		t.Fatalf("depth %d at %v", depth, n.Pos)
	}
	seen := map[string]bool{}
	for _, p := range n.Pairs {
		if seen[p.Key.Value] || !p.Key.IsScalar() || n.Get(p.Key.Value) != p.Value {
			t.Fatalf("key %q at %v", p.Key.Value, p.Key.Pos)
		}
		seen[p.Key.Value] = true
		checkNode(t, p.Value, depth+1)
	}
	for _, item := range n.Items {
		checkNode(t, item, depth+1)
	}
}

// pipeline returns a file of n jobs with 15 lines each.
func pipeline(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "job-%d:\n  extends: .base\n  stage: test\n  image: alpine\n  needs: [job-%d]\n  variables:\n    A: \"1\"\n    B: x y\n", i, i/2)
		b.WriteString("  rules:\n    - if: $X == \"1\"\n      when: always\n  script:\n    - echo a\n    - |\n      make all\n      make test\n")
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{100, 1000, 5000} {
		data := pipeline(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, errs := parseRoot("f", data); len(errs) > 0 {
					b.Fatal(messages(errs))
				}
			}
		})
	}
}

// parseRoot is [Parse], but gives the content alone.
func parseRoot(name string, data []byte) (*Node, ErrorList) {
	f, errs := Parse(name, data)
	if f == nil {
		return nil, errs
	}
	return f.Root, errs
}

func TestHeader(t *testing.T) {
	for _, test := range []struct {
		in           string
		header, root bool
	}{
		{"spec: {inputs: {a: }}\n---\nb: x\n", true, true},
		{"---\nspec:\n---\nb: x\n", true, true},
		{"spec: {}\nb: x\n", false, true},
		{"b: x\n---\nspec: {}\n", false, true},
	} {
		f, errs := Parse("f", []byte(test.in))
		if errs.HasErrors() {
			t.Fatal(errs[0])
		}
		if (f.Header != nil) != test.header || (f.Root.Get("b") != nil) != test.root {
			t.Errorf("%q: header %v, root %v", test.in, f.Header, f.Root)
		}
	}
}
