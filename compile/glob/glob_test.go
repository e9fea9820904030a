package glob

import (
	"strings"
	"testing"
)

// The first rows are the vectors of the specification, section 34.3.
func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern string
		yes, no string // paths, separated by spaces
	}{
		{"*.md", "README.md .md", "docs/a.md"},
		{"**/*.md", "README.md docs/x/a.md .a/.b.md", "a.mdx"},
		{"docs/**/*", "docs/a docs/x/y", "docs a/docs/b"},
		{"docs/**", "docs/a docs/.a", "docs/x/y docs"},
		{"docs/*", "docs/.hidden", "docs/a/b"},
		{"src/*.{c,h}", "src/a.h src/a.c", "src/a.cc src/a.{c,h}"},
		{"[Mm]akefile", "makefile Makefile", "akefile xakefile"},
		{"src/", "", "src/a src"},
		{"./a", "", "a"},
		{"a**b", "ab axb", "a/b ax/xb"},
		{"**/a/**/b", "a/b x/a/y/z/b", "ab a/xb"},
		{"[!a]", "b", "a /"},
		{"[^a-c]x", "dx", "ax bx"},
		{"[]a]", "] a", "b"},
		{"a?c", "abc aüc", "a/c ac"},
		{`\*`, "*", "a"},
		{"{a,b{c,d}}.x", "a.x bc.x bd.x", "b.x"},
		{"{a", "{a", "a"},
		{"a}", "a}", "a"},
		{"[", "", "[ a"},
		{"a.c", "a.c", "abc"},
		{"", "", "a"},
	} {
		p := Compile(test.pattern)
		for _, path := range strings.Fields(test.yes) {
			if !p.Match(path) {
				t.Errorf("%q does not match %q", test.pattern, path)
			}
		}
		for _, path := range strings.Fields(test.no) {
			if p.Match(path) {
				t.Errorf("%q matches %q", test.pattern, path)
			}
		}
	}
}

func TestTooManyComparisons(t *testing.T) {
	if !MatchAny([]string{"nothing", "like", "it"}, make([]string, 20_000)) {
		t.Error("60,000 comparisons were made")
	}
	if MatchAny([]string{"nothing"}, make([]string, 20_000)) {
		t.Error("an empty path matches")
	}
}

func FuzzCompile(f *testing.F) {
	for _, p := range []string{"**/*.{a,b}", "[!a-z]*", `\`, "{{,},}", "[z-a]", "\xff*"} {
		f.Add(p, "a/b.c")
	}
	f.Fuzz(func(_ *testing.T, pattern, path string) { Compile(pattern).Match(path) })
}
