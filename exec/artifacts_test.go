package exec

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// withArtifacts is parsePlan for lines that may hold the word art: that job
// leaves artifacts. Jobs with needs see those of their needs, others all earlier.
func withArtifacts(t testing.TB, text, when string) *plan.Plan {
	p := parsePlan(t, strings.ReplaceAll(text, " art", ""))
	i := 0
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		j := &p.Jobs[i]
		if slices.Contains(strings.Fields(line), "art") {
			j.Artifacts = &plan.Artifacts{When: when, Paths: []plan.Text{plan.Literal("out/")}}
		}
		if j.AfterStages {
			j.Inputs = &plan.Inputs{BeforeStage: j.Stage}
		} else if len(j.Needs) > 0 {
			j.Inputs = &plan.Inputs{}
			for _, n := range j.Needs {
				j.Inputs.Jobs = append(j.Inputs.Jobs, n.Job)
			}
		}
		i++
	}
	return p
}

func TestRunPassesArtifacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{collect: map[string]func() (*workspace.Manifest, error){
			"empty": func() (*workspace.Manifest, error) {
				return &workspace.Manifest{Warnings: []string{"out/: no match"}}, nil
			},
			"z": func() (*workspace.Manifest, error) {
				return &workspace.Manifest{Files: []workspace.File{{Path: "out", Type: "dir"}}}, nil
			},
		}}
		h := newHarness(t, w)
		p := withArtifacts(t, `
			1 a art
			1 none
			1 empty art
			1 z art
			2 all art
			2 some needs a
			3 behind needs all
			3 last`, "on_success")
		p.Jobs[6].Inputs.BeforeStage = p.Jobs[4].Stage
		res := h.run(t, t.Context(), p)
		dirs := func(ids ...string) []string {
			var out []string
			for _, id := range ids {
				out = append(out, h.RunDir.ArtifactsDir(id))
			}
			return out
		}
		for _, tt := range []struct {
			job  string
			want []string
		}{{"a", nil}, {"all", dirs("a", "z")}, {"some", dirs("a")}, {"behind", dirs("a", "z", "all")}, {"last", dirs("a", "z", "all")}} {
			if got := w.layers[tt.job]; !slices.Equal(got, tt.want) {
				t.Errorf("%s sees %q, want %q", tt.job, got, tt.want)
			}
		}
		if res.Jobs[0].Artifacts != 1 || res.Jobs[0].ArtifactBytes != 3 {
			t.Errorf("result: %+v", res.Jobs[0])
		}
		if log := readLog(t, h, "empty"); !strings.Contains(log, "cic: warning: artifacts: out/: no match\n") {
			t.Errorf("log: %q", log)
		}
		if w.happened("collect a out/") > w.happened("close a") {
			t.Error("the sandbox closed before artifacts were collected and dependents released")
		}
	})
}

func TestRunArtifactsWhen(t *testing.T) {
	for _, when := range []string{"on_success", "on_failure", "always"} {
		for _, end := range []string{"success", "failed", "timeout", "canceled"} {
			synctest.Test(t, func(t *testing.T) {
				program := map[string]func(context.Context, Program, io.Writer) (int, error){
					"success": exits(0), "failed": exits(1), "timeout": sleeps(2 * time.Hour), "canceled": sleeps(10 * time.Minute),
				}[end]
				w := &world{script: programs{"a": program}}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if end == "canceled" {
					time.AfterFunc(time.Minute, cancel)
				}
				newHarness(t, w).run(t, ctx, withArtifacts(t, "1 a art", when))
				want := when == "always" || when == "on_success" && end == "success" ||
					when == "on_failure" && (end == "failed" || end == "timeout")
				if got := w.happened("collect a out/") >= 0; got != want {
					t.Errorf("artifacts:when:%s of a job that ended as %s: collected %v", when, end, got)
				}
			})
		}
	}
}
