package exec

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/plan"
)

func TestRunTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{script: programs{"a": sleeps(time.Hour)}}
		h := newHarness(t, w)
		p := parsePlan(t, "1 a")
		p.Jobs[0].Timeout = 5
		p.Jobs[0].AfterScript = &plan.Script{Path: "jobs/a.after.sh"}
		res := h.run(t, t.Context(), p)
		j := res.Jobs[0]
		if j.Class != ClassTimeout || j.Duration != 5*time.Second || j.Error != "timed out after 5s" || j.ExitCode != 143 {
			t.Errorf("%+v", j)
		}
		if w.happened("after_script a") >= 0 {
			t.Error("after_script ran after a timeout")
		}
	})
}

// TestRunTimeoutAtTheSameInstant: whichever wins, there is one end, and it is
// either of the two.
func TestRunTimeoutAtTheSameInstant(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			w := &world{script: programs{"a": sleeps(5 * time.Second)}}
			h := newHarness(t, w)
			p := parsePlan(t, "1 a\n2 b")
			p.Jobs[0].Timeout = 5
			res := h.run(t, t.Context(), p)
			if got := states(res); got != "a=success b=success" && got != "a=failed/timeout b=skipped" {
				t.Error(got)
			}
		})
	}
}

func TestRunAllowedExitCodes(t *testing.T) {
	for code, want := range map[int]Status{3: StatusSuccess, 4: StatusFailed} {
		synctest.Test(t, func(t *testing.T) {
			p := parsePlan(t, "1 a\n2 b")
			p.Jobs[0].AllowFailureExitCodes = []int{3}
			res := newHarness(t, &world{script: programs{"a": exits(code)}}).run(t, t.Context(), p)
			if res.Status != want || res.Jobs[0].Allowed != (code == 3) {
				t.Errorf("exit code %d: %s", code, res.Status)
			}
		})
	}
}

func TestRunAfterScript(t *testing.T) {
	for _, tt := range []struct {
		name  string
		world *world
		want  string // of CI_JOB_STATUS, empty if it does not run
		state string
	}{
		{"success", &world{}, "success", "a=success"},
		{"failure", &world{script: programs{"a": exits(1)}}, "failed", "a=failed/script"},
		{"no sandbox", &world{setup: map[string]func(context.Context, Spec) error{"a": func(context.Context, Spec) error { return io.EOF }}}, "", "a=failed/system"},
		{"system failure", &world{script: programs{"a": func(context.Context, Program, io.Writer) (int, error) { return 0, io.EOF }}}, "", "a=failed/system"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				saw := ""
				tt.world.after = programs{"a": func(_ context.Context, p Program, _ io.Writer) (int, error) {
					for _, e := range p.Env {
						if v, ok := strings.CutPrefix(e, "CI_JOB_STATUS="); ok {
							saw = v
						}
					}
					return 7, nil // does not count
				}}
				p := parsePlan(t, "1 a")
				p.Jobs[0].AfterScript = &plan.Script{Path: "jobs/a.after.sh", Shell: "sh"}
				res := newHarness(t, tt.world).run(t, t.Context(), p)
				if saw != tt.want || states(res) != tt.state {
					t.Errorf("CI_JOB_STATUS %q, %s", saw, states(res))
				}
			})
		})
	}
}

func TestRunAfterScriptHasItsOwnLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := parsePlan(t, "1 a")
		p.Jobs[0].AfterScript = &plan.Script{Path: "jobs/a.after.sh"}
		h := newHarness(t, &world{after: programs{"a": sleeps(time.Hour)}})
		res := h.run(t, t.Context(), p)
		if states(res) != "a=success" || res.Duration != 5*time.Minute {
			t.Errorf("%s after %s", states(res), res.Duration)
		}
		if log := readLog(t, h, "a"); !strings.Contains(log, "cic: warning: after_script: ended after its time limit") {
			t.Errorf("log: %q", log)
		}
	})
}

func TestRunNeedsItsScripts(t *testing.T) {
	h := newHarness(t, &world{})
	res, err := h.Run(t.Context(), parsePlan(t, "1 a\n1 b"), func(s plan.Script) ([]byte, error) {
		if s.Path == "jobs/b.sh" {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, nil
	})
	if !errors.Is(err, io.ErrUnexpectedEOF) || res != nil || len(h.world.history) > 0 || len(h.events) > 0 {
		t.Errorf("%v, %v, %v", res, err, h.world.history)
	}
}
