package glob

import (
	"math/rand/v2"
	"regexp"
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
		{"[a/]b", "ab", "/b"},
		{"[z-a]", "", "z a [z-a]"},
		{"[a-]", "a -", "b"},
		{`[\]x]`, "] x", "a"},
		{"[a-c-e]", "b - e", "d"},
		{`a\`, `a\`, "a"},
		{"", "", "a"},
	} {
		p := compiled(t, test.pattern)
		for _, path := range strings.Fields(test.yes) {
			if matches, _ := p.Match(path); !matches {
				t.Errorf("%q does not match %q", test.pattern, path)
			}
		}
		for _, path := range strings.Fields(test.no) {
			if matches, _ := p.Match(path); matches {
				t.Errorf("%q matches %q", test.pattern, path)
			}
		}
	}
}

func TestTooLarge(t *testing.T) {
	for _, pattern := range []string{
		strings.Repeat("{a,b}", 12), "{a,b}" + strings.Repeat("x", maxLength), strings.Repeat("{a,b}", 9) + strings.Repeat("x", 1000),
		strings.Repeat("x", maxLength+1), "{" + strings.Repeat(",", maxBraces) + "}",
	} {
		if _, err := Compile(pattern); err == nil {
			t.Errorf("%.30q of %d bytes is accepted", pattern, len(pattern))
		}
	}
	if _, err := Compile(strings.Repeat("{a,b}", 9)); err != nil {
		t.Error(err)
	}
}

// However many wildcards there are, the steps are at most elements times path.
func TestSteps(t *testing.T) {
	path := strings.Repeat("a/", 500) + strings.Repeat("a", 1000)
	for _, pattern := range []string{strings.Repeat("**/", 1) + strings.Repeat("**/a*/", 50) + "b", strings.Repeat("*a", 100) + "b", "**/" + strings.Repeat("*?", 100) + "b"} {
		p := compiled(t, pattern)
		if matches, steps := p.Match(path); matches || steps > len(pattern)*len(path) {
			t.Errorf("%.30q: %v in %d steps", pattern, matches, steps)
		}
	}
	if _, steps := compiled(t, "docs/**/*.md").Match("src/a.md"); steps > 1 {
		t.Error("a path in another directory takes", steps, "steps")
	}
}

func compiled(t *testing.T, pattern string) Pattern {
	t.Helper()
	p, err := Compile(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// asRegexp translates a pattern without brackets and braces, as a definition of what
// it means that shares nothing with how it is matched.
func asRegexp(p string) *regexp.Regexp {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch {
		case strings.HasPrefix(p[i:], "**/") && (i == 0 || p[i-1] == '/'):
			b.WriteString(`(?:[^/]+/)*`)
			i += 2
		case p[i] == '*':
			b.WriteString(`[^/]*`)
		case p[i] == '?':
			b.WriteString(`[^/]`)
		default:
			b.WriteString(regexp.QuoteMeta(p[i : i+1]))
		}
	}
	return regexp.MustCompile(`(?s)^(?:` + b.String() + `)$`)
}

// All patterns of a few characters mean what their translation says.
func TestAgainstRegexp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(parts []string, most int) string {
		var b strings.Builder
		for range random.IntN(most) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		return b.String()
	}
	matched := 0
	for range 50_000 {
		pattern := text([]string{"a", "b", "/", "*", "?", "**/", "a*"}, 9)
		path := strings.Trim(text([]string{"a", "b", "a/", "b/"}, 12), "/")
		got, _ := compiled(t, pattern).Match(path)
		if want := asRegexp(pattern).MatchString(path); got != want {
			t.Fatalf("%q matches %q: %v, want %v", pattern, path, got, want)
		}
		if got {
			matched++
		}
	}
	if matched < 1000 {
		t.Errorf("only %d pairs matched", matched)
	}
}

func FuzzCompile(f *testing.F) {
	for _, p := range []string{"**/*.{a,b}", "[!a-z]*", `\`, "{{,},}", "[z-a]", "\xff*"} {
		f.Add(p, "a/b.c")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := Compile(pattern)
		if err != nil {
			return
		}
		if _, steps := p.Match(path); steps > (1+len(p.alternatives))*(2+len(pattern))*(2+len(path)) {
			t.Errorf("%d steps", steps)
		}
	})
}
