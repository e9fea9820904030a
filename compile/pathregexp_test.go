package compile

import (
	"testing"

	"github.com/cic-ci/cic/compile/glob"
	"github.com/cic-ci/cic/compile/match"
)

func TestPathRegexp(t *testing.T) {
	m := match.New(match.Paths)
	for _, test := range []struct {
		expression string
		yes, no    []string
	}{
		{`\.go$`, []string{"a.go", "x/b.go"}, []string{"a.go.txt"}},
		{`^docs/`, []string{"docs/a"}, []string{"x/docs/a"}},
		{`\A(?!docs/)`, []string{"a", "x/docs/a"}, []string{"docs/a"}},
		{`^(?!(docs|tests)/).*\.py$`, []string{"a.py"}, []string{"docs/a.py", "tests/a.py", "a.txt"}},
		{`^(?!a[)]b)(?!\)).+`, []string{"x", "a"}, []string{"a)b", ")x", ""}},
		{`(?i)README`, []string{"x/readme.md"}, []string{"x"}},
	} {
		re, err := parsePathRegexp(m, test.expression)
		if err != nil {
			t.Errorf("%s: %v", test.expression, err)
			continue
		}
		for _, path := range test.yes {
			if !re.answer([]string{path}).holds {
				t.Errorf("%s does not match %q", test.expression, path)
			}
		}
		if re.answer(test.no).holds {
			t.Errorf("%s matches one of %q", test.expression, test.no)
		}
	}
	for _, expression := range []string{"(", `a(?!b)`, `^(?!(?<=x)a)`, `^(?!a`} {
		if _, err := parsePathRegexp(m, expression); err == nil {
			t.Errorf("%s is accepted", expression)
		}
	}
	re, err := parsePathRegexp(m, "a")
	if err != nil || !re.answer(make([]string, glob.MaxComparisons+1)).holds {
		t.Error("more paths than are looked at count as a match")
	}
}
