package match

import (
	"errors"
	"regexp/syntax"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	m := New(Texts)
	for range 2 { // the second answers are kept ones
		for _, test := range []struct {
			source, text string
			want         bool
		}{
			{"^a+$", "aaa", true}, {"^a+$", "aab", false}, {"(?i)B", "aab", true}, {"", "", true}, {"(a+)+$", strings.Repeat("a", 100_000), true},
		} {
			if got, err := m.Match(test.source, test.text); got != test.want || err != nil {
				t.Errorf("Match(%q, %.20q) = %v, %v", test.source, test.text, got, err)
			}
		}
	}
	if m.Spent() || m.Report() {
		t.Error("the budget is spent")
	}
}

func TestCheck(t *testing.T) {
	for _, source := range []string{"", "a", strings.Repeat("a", MaxSource), "(a{1,9}){1,9}", `^(?:[^/]+/)*[^/]*\.go$`, strings.Repeat(`\pL`, 300)} {
		if err := Check(source); err != nil {
			t.Errorf("%.20q: %v", source, err)
		}
	}
	for _, source := range []string{strings.Repeat("a", MaxSource+1), strings.Repeat("a{1000}", 40), strings.Repeat("(a{1,9}){1,99}", 40), "(?:" + strings.Repeat(`\pL`, 100) + "){90}"} {
		if err := Check(source); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%.20q: %v", source, err)
		}
	}
	var fault *syntax.Error
	if err := Check("a("); !errors.As(err, &fault) {
		t.Error(err)
	}
}

// What the regexp package makes of a pattern is not much more than what is counted.
func TestSteps(t *testing.T) {
	for _, source := range []string{"a", "abc|abd", "(a+)+$", "((a{1,9}){1,9}){1,9}$", "a{1000}", "(ab){3,}", "(.*a.*){20}b", `\pL+`, "(?i)(foo|bar)$", "^(feature|release)/.*-[0-9]+$"} {
		n, err := measure(source)
		if err != nil {
			t.Fatal(err)
		}
		re, err := syntax.Parse(source, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		program, err := syntax.Compile(re.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if made := len(program.Inst); made > 2*n+4 || n > 3*made+100 {
			t.Errorf("%s: %d steps counted, %d made", source, n, made)
		}
	}
}

// The same pair costs once; another one ends the budget, and that is told once.
func TestBudget(t *testing.T) {
	text := strings.Repeat("a", 10_000)
	m := New(300_000)
	for range 100 {
		if ok, err := m.Match("(a+)+$", text); !ok || err != nil || m.Spent() {
			t.Fatal(ok, err, m.left)
		}
	}
	for i := range 100 {
		if _, err := m.Match("(a+)+$", text[:9_000+i]); err != nil {
			t.Fatal(err)
		}
	}
	if !m.Spent() || !m.Report() || m.Report() {
		t.Error("not reported as spent, once")
	}
	if ok, err := m.Match("a", "a"); ok || err != nil {
		t.Error("something matches once the budget is spent:", err)
	}
	if _, err := m.Match("(", "a"); err == nil {
		t.Error("a fault is none once the budget is spent")
	}
}

// What is kept is bounded.
func TestForget(t *testing.T) {
	m := New(1 << 40)
	for i := range 300 {
		if _, err := m.Match(strings.Repeat("a", 1000+i), "a"); err != nil {
			t.Fatal(err)
		}
		if m.steps > maxKeptSteps+2000 {
			t.Fatalf("%d steps are kept", m.steps)
		}
	}
}
