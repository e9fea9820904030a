package exec

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cic-ci/cic/plan"
)

// TestKeepFailed keeps the workspaces of failed jobs alone, with all that a shell
// needs and without the values of secrets.
func TestKeepFailed(t *testing.T) {
	for _, keep := range []bool{true, false} {
		p := parsePlan(t, "1 good\n1 bad\n1 flaky allow")
		p.Jobs[1].Variables = plan.Variables{{Name: "OWN", Value: plan.Text{Value: "in ${CI_PROJECT_DIR}", Template: true}}}
		p.Jobs[1].Secrets = []plan.Secret{{Name: "TOKEN"}}
		w := &world{script: programs{"bad": exits(3), "flaky": exits(1)}}
		h := newHarness(t, w)
		h.KeepFailed = keep
		h.Secrets = NewSecrets(map[string]Sensitive{"TOKEN": NewSensitive("canary-value")})
		res := h.run(t, t.Context(), p)
		for i, want := range []bool{false, true, true} {
			if res.Jobs[i].Kept != (want && keep) {
				t.Errorf("keep %v: job %s: %v", keep, res.Jobs[i].Name, res.Jobs[i].Kept)
			}
			if (w.happened("keep "+res.Jobs[i].Name) >= 0) != (want && keep) {
				t.Errorf("keep %v: job %s: %q", keep, res.Jobs[i].Name, w.history)
			}
		}
		r := &Record{Dir: h.RunDir.Dir}
		if _, err := r.KeptJob("good"); !errors.Is(err, ErrNotKept) {
			t.Errorf("a job that passed: %v", err)
		}
		k, err := r.KeptJob("bad")
		if !keep {
			if !errors.Is(err, ErrNotKept) {
				t.Errorf("kept without being asked: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if k.Job.Name != "bad" || k.Image != "docker.io/library/alpine:latest" || k.Workspace == "" || !slices.Contains(k.Env, "OWN=in /builds/project") {
			t.Errorf("kept %+v", k)
		}
		text, err := os.ReadFile(filepath.Join(h.RunDir.KeptDir(), "bad", keptFile))
		if err != nil || strings.Contains(string(text), "canary") {
			t.Errorf("kept %s, %v", text, err)
		}
	}
}

// TestKeepCanceled: of a job that was interrupted nothing is kept.
func TestKeepCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := &world{script: programs{"job": func(ctx context.Context, _ Program, _ io.Writer) (int, error) {
		cancel()
		<-ctx.Done()
		return 143, context.Cause(ctx)
	}}}
	h := newHarness(t, w)
	h.KeepFailed = true
	res := h.run(t, ctx, parsePlan(t, "1 job"))
	if res.Jobs[0].Kept || w.happened("keep job") >= 0 {
		t.Errorf("kept: %q", w.history)
	}
}
