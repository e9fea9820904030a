package exec

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cic-ci/cic/plan"
)

// sound makes what parsePlan has made valid; a script's text is its first path.
func sound(p *plan.Plan) (*plan.Plan, map[string][]byte) {
	p.Context = plan.Context{Ref: "main", RefType: "branch", Event: "push"}
	scripts := map[string][]byte{}
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.Trigger == nil {
			j.Script.Path = plan.ScriptPath(j.Name)
			sum := sha256.Sum256([]byte(j.Script.Path))
			j.Script.SHA256 = hex.EncodeToString(sum[:])
			scripts[j.Script.Path] = []byte(j.Script.Path)
		}
		if p.Jobs[i].Stage == p.Stages[0] {
			p.Jobs[i].AfterStages = false
		}
	}
	return p, scripts
}

// dynamicPlan is a job that leaves a file, and a trigger job T for it.
func dynamicPlan(t *testing.T, strategy string) *plan.Plan {
	p, _ := sound(parsePlan(t, "1 gen\n2 T\n3 Z"))
	p.Jobs[0].Artifacts = &plan.Artifacts{Paths: []plan.Text{plan.Literal("f")}, When: "on_success"}
	p.Jobs[1] = plan.Job{Name: "T", Stage: "stage2", AfterStages: true, When: "on_success", Trigger: &plan.Trigger{
		Kind: plan.TriggerDynamic, Strategy: strategy, Include: []plan.ChildFile{{Artifact: "f", Job: "gen"}},
		Variables: plan.Variables{{Name: "A", Value: plan.Text{Value: "${CI_PIPELINE_ID}", Template: true}}},
	}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return p
}

// compiles is a CompileChild that makes a plan of a text.
func compiles(t *testing.T, text string, edit func(*plan.Plan)) func(context.Context, ChildRequest, io.Writer) (*ChildPlan, error) {
	return func(_ context.Context, r ChildRequest, out io.Writer) (*ChildPlan, error) {
		data, err := r.Artifact("gen", "f")
		if err != nil {
			return nil, err
		}
		if a, _ := r.Given.Get("A"); string(data) != "A=b" || a != plan.Literal("1") || r.Job.Name != "T" {
			return nil, fmt.Errorf("asked with %q %v", data, r.Given)
		}
		fmt.Fprintln(out, "a remark")
		p, scripts := sound(parsePlan(t, text))
		if edit != nil {
			edit(p)
		}
		return &ChildPlan{Plan: p, Scripts: scripts, Map: &plan.SourceMap{FormatVersion: plan.FormatVersion}}, nil
	}
}

func (h *harness) runDynamic(t *testing.T, ctx context.Context, p *plan.Plan) *Result {
	t.Helper()
	res, err := h.Run(ctx, p, func(s plan.Script) ([]byte, error) { return []byte(s.Path), nil })
	if err != nil {
		t.Fatal(err)
	}
	checkEvents(t, h.events)
	return res
}

func TestRunDynamicChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		h := newHarness(t, w)
		h.CompileChild = compiles(t, "1 a\n1 b\n2 c", nil)
		w.script = map[string]func(context.Context, Program, io.Writer) (int, error){JobID("T/b"): exits(1)}
		res := h.runDynamic(t, context.Background(), dynamicPlan(t, "depend"))
		want := "gen=success T=failed/child Z=skipped T/a=success T/b=failed/script T/c=skipped"
		if got := states(res); got != want || res.Status != StatusFailed || res.ExitCode() != 1 {
			t.Errorf("got  %s, %s\nwant %s", got, res.Status, want)
		}
		if len(res.Pipelines) != 1 || res.Pipelines[0] != (PipelineResult{"T", StatusFailed}) {
			t.Errorf("pipelines: %v", res.Pipelines)
		}
		var told []string
		for _, e := range h.events {
			if strings.HasPrefix(string(e.Type), "pipeline") || e.Job == "T" && e.Type == EventJobOutput {
				told = append(told, fmt.Sprintf("%s %s %d %s%s", e.Type, e.Job, e.Jobs, e.Status, e.Text))
			}
		}
		if want := []string{"job_output T 0 a remark", "pipeline_started T 3 ", "pipeline_finished T 0 failed"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		child, err := plan.ReadDir(filepath.Join(h.RunDir.Dir, "children", JobID("T")))
		if err != nil || len(child.Plan.Jobs) != 3 {
			t.Errorf("the child pipeline is not kept: %v", err)
		}
		whole, err := plan.ReadDir(h.RunDir.PlanDir())
		if err != nil || len(whole.Plan.Jobs) != 6 || len(res.Plan.Jobs) != 6 {
			t.Fatalf("the plan is not kept: %v", err)
		}
		if _, err := whole.Script(whole.Plan.Jobs[5].Script); err != nil {
			t.Error(err)
		}
		if log, err := os.ReadFile(h.RunDir.LogPath(JobID("T"))); err != nil || string(log) != "a remark\n" {
			t.Errorf("log %q, %v", log, err)
		}
	})
}

// TestRunDynamicChildFails: whatever keeps the child pipeline from being made fails
// its trigger job, and nothing else.
func TestRunDynamicChildFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		compile func(t *testing.T) func(context.Context, ChildRequest, io.Writer) (*ChildPlan, error)
		gen     int // exit code of the job that makes the file
		want    string
	}{
		{"nobody compiles", func(*testing.T) func(context.Context, ChildRequest, io.Writer) (*ChildPlan, error) { return nil }, 0, "no child pipeline can be compiled here"},
		{"it does not compile", func(*testing.T) func(context.Context, ChildRequest, io.Writer) (*ChildPlan, error) {
			return func(context.Context, ChildRequest, io.Writer) (*ChildPlan, error) { return nil, errors.New("2 errors") }
		}, 0, "its child pipeline does not compile: 2 errors"},
		{"it asks for privileges", func(t *testing.T) func(context.Context, ChildRequest, io.Writer) (*ChildPlan, error) {
			return compiles(t, "1 a", func(p *plan.Plan) { p.Jobs[0].Privileged = true })
		}, 0, `job "T/a"`},
		{"it asks for a secret", func(t *testing.T) func(context.Context, ChildRequest, io.Writer) (*ChildPlan, error) {
			return compiles(t, "1 a", func(p *plan.Plan) { p.Jobs[0].Secrets = []plan.Secret{{Name: "TOKEN"}} })
		}, 0, "TOKEN"},
		{"it is invalid", func(t *testing.T) func(context.Context, ChildRequest, io.Writer) (*ChildPlan, error) {
			return compiles(t, "1 a", func(p *plan.Plan) { p.Jobs[0].Timeout = 0 })
		}, 0, "timeout: 0 is not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, &world{})
				h.CompileChild = tt.compile(t)
				res := h.runDynamic(t, context.Background(), dynamicPlan(t, ""))
				if got := states(res); got != "gen=success T=failed/config Z=skipped" && !strings.HasPrefix(got, "gen=success T=failed/system") {
					t.Error(got)
				}
				if !strings.Contains(res.Jobs[1].Error, tt.want) {
					t.Errorf("%q, want %q", res.Jobs[1].Error, tt.want)
				}
			})
		})
	}
}

// TestRunDynamicChildInterrupted: the run ends while the child pipeline is compiled.
func TestRunDynamicChildInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, &world{})
		ctx, cancel := context.WithCancel(context.Background())
		compile := compiles(t, "1 a", nil)
		h.CompileChild = func(c context.Context, r ChildRequest, out io.Writer) (*ChildPlan, error) {
			cancel()
			synctest.Wait()
			return compile(c, r, out)
		}
		res := h.runDynamic(t, ctx, dynamicPlan(t, "depend"))
		if got := states(res); got != "gen=success T=canceled/canceled Z=canceled" || res.ExitCode() != 130 {
			t.Errorf("%s, exit code %d", got, res.ExitCode())
		}
	})
}
