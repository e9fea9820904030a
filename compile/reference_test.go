package compile

import (
	"strings"
	"testing"

	"github.com/cic-ci/cic/plan"
)

func TestScanReferences(t *testing.T) {
	for _, test := range []struct {
		in      string
		percent bool
		want    string // literal text as it is, references as <name|written>
	}{
		{"", true, ""},
		{"plain", true, "plain"},
		{"$A", true, "<A|$A>"},
		{"${A}", true, "<A|${A}>"},
		{"%A%", true, "<A|%A%>"},
		{"%A%", false, "%A%"},
		{"x$A-${B}y%C%z", true, "x<A|$A>-<B|${B}>y<C|%C%>z"},
		{"$A_B", true, "<A_B|$A_B>"},
		{"$APP_VERSION$APP", true, "<APP_VERSION|$APP_VERSION><APP|$APP>"},
		{"$$HOME", true, "$HOME"},
		{"$$$A", true, "$<A|$A>"},
		{"%%A%%", true, "%%A%%"},
		{"100%", true, "100%"},
		{"50% of %A% is", true, "50% of <A|%A%> is"},
		{"${A:-d}", true, ""},
		{"${}", true, ""},
		{"${A", true, "A"},
		{"$1$@$?x", true, "x"},
		{"${1}", true, ""},
		{"a$", true, "a$"},
		{"a$ b", true, "a$ b"},
		{"$.", true, "$."},
		{"é$A", true, "é<A|$A>"},
	} {
		var b strings.Builder
		scanReferences(test.in, test.percent, func(s string) { b.WriteString(s) }, func(name, written string) {
			b.WriteString("<" + name + "|" + written + ">")
		})
		if b.String() != test.want {
			t.Errorf("scanReferences(%q, %v) = %q, want %q", test.in, test.percent, b.String(), test.want)
		}
	}
}

func TestTextBuilder(t *testing.T) {
	var b textBuilder
	b.literal("cost $5, ")
	b.text(plan.Literal("$x "))
	b.text(runtimeReference("CI_COMMIT_SHA"))
	b.literal(" $")
	if got, want := b.result(), (plan.Text{Value: "cost $$5, $$x ${CI_COMMIT_SHA} $$", Template: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got, err := b.result().Expand(func(string) (string, bool) { return "abc", true })
	if err != nil || got != "cost $5, $x abc $" {
		t.Errorf("expanded: %q, %v", got, err)
	}
}

// FuzzScanReferences checks that no input makes a malformed template, and that
// text without a dollar or percent sign stays as it is.
func FuzzScanReferences(f *testing.F) {
	for _, s := range []string{"", "$A", "${A}%B%", "$$", "${", "%%", "${A:-x}$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b textBuilder
		b.text(runtimeReference("CI_JOB_ID"))
		scanReferences(s, true, b.literal, func(name, _ string) {
			if !plan.IsIdentifier(name) {
				t.Errorf("%q: reference to %q", s, name)
			}
			b.text(runtimeReference(name))
		})
		if _, err := b.result().Segments(); err != nil {
			t.Error(err)
		}
		if !strings.ContainsAny(s, "$%") && b.result().Value != "${CI_JOB_ID}"+s {
			t.Errorf("%q became %q", s, b.result().Value)
		}
	})
}
