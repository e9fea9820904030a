package exec

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// TestReports collects reports by kind, of a failed job too whatever
// artifacts:when says, and beside the artifacts themselves.
func TestReports(t *testing.T) {
	p := parsePlan(t, "1 good\n1 bad\n1 only")
	reports := map[string][]plan.Text{"junit": {plan.Literal("j.xml")}, "dotenv": {plan.Literal("d.env")}}
	p.Jobs[0].Artifacts = &plan.Artifacts{Paths: []plan.Text{plan.Literal("bin")}, When: "on_success", Reports: reports}
	p.Jobs[1].Artifacts = p.Jobs[0].Artifacts
	p.Jobs[2].Artifacts = &plan.Artifacts{When: "on_success", Reports: map[string][]plan.Text{"sast": {plan.Literal("x")}}}
	p.Jobs[1].Coverage = `cov: \d+`
	w := &world{script: programs{"bad": func(_ context.Context, _ Program, out io.Writer) (int, error) {
		io.WriteString(out, "cov: 1\ncov: 42\nbye")
		return 1, nil
	}}}
	w.collect = map[string]func() (*workspace.Manifest, error){"only": func() (*workspace.Manifest, error) {
		return &workspace.Manifest{Warnings: []string{"x: no matching files"}}, nil
	}}
	h := newHarness(t, w)
	res := h.run(t, t.Context(), p)
	for i, want := range []map[string]int{{"junit": 1, "dotenv": 1}, {"junit": 1, "dotenv": 1}, nil} {
		if got := res.Jobs[i].Reports; len(got) != len(want) || got["junit"] != want["junit"] || got["dotenv"] != want["dotenv"] {
			t.Errorf("%s: got %v, want %v", res.Jobs[i].Name, got, want)
		}
	}
	if _, err := os.Stat(h.RunDir.ReportsDir("bad", "junit")); err != nil {
		t.Error(err)
	}
	var collected []string
	for _, entry := range w.history {
		if job, found := strings.CutPrefix(entry, "collect "); found {
			collected = append(collected, job)
		}
	}
	slices.Sort(collected)
	if got := strings.Join(collected, ", "); got != "bad d.env, bad j.xml, good bin, good d.env, good j.xml, only x" {
		t.Errorf("collected %s", got)
	}
	if c := res.Jobs[1].Coverage; c == nil || *c != 42 {
		t.Errorf("coverage %v", c)
	}
	if res.Jobs[0].Coverage != nil {
		t.Error("a job without an expression has a coverage")
	}
	if !slices.ContainsFunc(h.events, func(e Event) bool { return e.Warning && strings.Contains(e.Text, "reports:sast: x: no matching") }) {
		t.Error("a missing report is not told")
	}
}
