package exec

import (
	"strings"
	"testing"
)

func TestCoverage(t *testing.T) {
	for _, test := range []struct {
		expression, output string
		want               float64 // -1 for none
	}{
		{`Coverage: \d+\.\d+%`, "Coverage: 12.5%\nother 99%\nCoverage: 80.25%\nend", 80.25},
		{`TOTAL.*\s+(\d+%)$`, "TOTAL  10  2  75%", 10}, // the whole match counts, not its group
		{`covered`, "covered 5\n", -1},
		{`cov (\d+)`, "cov x\n", -1},
		{`cov.*`, "cov 1\ncov none\n", 1}, // a match without a number does not undo one with
		{`c \d+`, "c " + strings.Repeat("9", 400), -1},
	} {
		c, err := newCoverage(test.expression)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(test.output) {
			c.line(strings.TrimSuffix(line, "\n"))
		}
		got := -1.0
		if f := c.result(); f != nil {
			got = *f
		}
		if got != test.want {
			t.Errorf("%s in %.40q: got %v, want %v", test.expression, test.output, got, test.want)
		}
	}
	if _, err := newCoverage("("); err == nil {
		t.Error("an invalid expression is accepted")
	}
	if c, err := newCoverage(""); c != nil || err != nil || c.result() != nil {
		t.Error("a job without an expression has one")
	}
}
