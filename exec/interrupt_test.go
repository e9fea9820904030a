package exec

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

func TestRunInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := ""
		w := &world{
			script: programs{"a": sleeps(time.Hour), "b": exits(1)},
			after: programs{"a": func(_ context.Context, p Program, _ io.Writer) (int, error) {
				status = strings.Join(p.Env, " ")
				return 0, nil
			}},
		}
		h := newHarness(t, w)
		h.Jobs = 2
		p := withArtifacts(t, "1 a art\n1 b\n2 c\n2 d needs a", "always")
		p.Jobs[0].AfterScript = &plan.Script{Path: "jobs/a.after.sh"}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(errors.New("interrupted by SIGINT")) })
		res := h.run(t, ctx, p)
		if got := states(res); got != "a=canceled/canceled b=failed/script c=canceled d=canceled" {
			t.Error(got)
		}
		if !res.Interrupted || res.Status != StatusCanceled || res.ExitCode() != 130 || res.Duration != time.Minute {
			t.Errorf("%+v", res)
		}
		if !strings.Contains(status, "CI_JOB_STATUS=canceled") || w.happened("collect a out/") < 0 {
			t.Errorf("after_script with %q; %v", status, w.history)
		}
		if res.Jobs[0].Error != "interrupted by SIGINT" || res.Jobs[2].Reason == "" {
			t.Errorf("%+v", res.Jobs)
		}
	})
}

func TestRunInterruptedDuringSetup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{setup: map[string]func(context.Context, Spec) error{
			"a": func(ctx context.Context, _ Spec) error {
				<-ctx.Done()
				return &Error{Class: ClassImagePull, Err: ctx.Err()}
			},
			"b": func(ctx context.Context, _ Spec) error { <-ctx.Done(); return ctx.Err() },
		}, script: programs{"c": sleeps(time.Hour)}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		res := newHarness(t, w).run(t, ctx, parsePlan(t, "1 a\n1 c needs\n2 b needs c"))
		if got := states(res); got != "a=canceled/canceled c=canceled/canceled b=canceled" {
			t.Error(got)
		}
	})
}

// TestRunInterruptedAfterScript: what an after_script still gets is little.
func TestRunInterruptedAfterScript(t *testing.T) {
	for _, when := range []time.Duration{time.Second, 2 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			p := parsePlan(t, "1 a")
			p.Jobs[0].AfterScript = &plan.Script{Path: "jobs/a.after.sh"}
			w := &world{script: programs{"a": sleeps(time.Minute)}, after: programs{"a": sleeps(time.Hour)}}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(when, cancel)
			res := newHarness(t, w).run(t, ctx, p)
			if res.Duration != when+30*time.Second {
				t.Errorf("interrupted after %s, ended after %s", when, res.Duration)
			}
			if when > time.Minute && (states(res) != "a=success" || !res.Interrupted) {
				t.Errorf("%s, interrupted %v", states(res), res.Interrupted)
			}
		})
	}
}

func TestRunKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kill := make(chan struct{})
		w := &world{
			// It ignores SIGTERM, and ends when it is killed.
			script: programs{"a": func(ctx context.Context, p Program, _ io.Writer) (int, error) {
				<-ctx.Done()
				<-p.Kill
				return 137, context.Cause(ctx)
			}, "b": sleeps(time.Minute), "c": sleeps(time.Minute)},
			after: programs{"b": sleeps(time.Hour), "c": sleeps(time.Hour)},
		}
		h := newHarness(t, w)
		h.Kill = kill
		p := withArtifacts(t, "1 a art\n1 b\n1 c art", "always")
		p.Jobs[0].AfterScript = &plan.Script{Path: "jobs/a.after.sh"}
		p.Jobs[1].AfterScript = &plan.Script{Path: "jobs/b.after.sh"}
		p.Jobs[2].AfterScript = &plan.Script{Path: "jobs/c.after.sh"}
		time.AfterFunc(2*time.Minute, func() { close(kill) })
		res := h.run(t, t.Context(), p)
		if res.Duration != 2*time.Minute || !res.Interrupted || states(res) != "a=canceled/canceled b=success c=canceled/canceled" {
			t.Errorf("%s after %s", states(res), res.Duration)
		}
		if w.happened("after_script a") >= 0 || w.happened("collect a out/") >= 0 || w.happened("close a") < 0 {
			t.Errorf("%v", w.history)
		}
	})
}

// TestRunInterruptedWhileItDigests: nobody waits long for the digest of what is as
// good as endless. The record is missing then, and the job's verdict stands.
func TestRunInterruptedWhileItDigests(t *testing.T) {
	for _, name := range []string{"interrupted", "killed"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			kill := make(chan struct{})
			w := &world{collectTo: map[string]func(string) (*workspace.Manifest, error){"a": func(dst string) (*workspace.Manifest, error) {
				const size = 1 << 40 // of one hole
				file := filepath.Join(dst, "f")
				err := errors.Join(os.Mkdir(dst, 0o700), os.WriteFile(file, nil, 0o600), os.Truncate(file, size))
				return &workspace.Manifest{Files: []workspace.File{{Path: "f", Type: "file", Size: size}}, Size: size}, err
			}}}
			h := newHarness(t, w)
			h.Kill, h.StopBudget = kill, time.Millisecond
			if name == "killed" {
				h.StopBudget = 24 * time.Hour
			}
			h.Observer = func(e Event) {
				h.events = append(h.events, e)
				if e.Type == EventJobFinished {
					cancel(errors.New("interrupted by SIGINT"))
					if name == "killed" {
						close(kill)
					}
				}
			}
			res := h.run(t, ctx, withArtifacts(t, "1 a art", "always"))
			if states(res) != "a=success" {
				t.Error(states(res))
			}
			if _, err := VerifyOutputs(t.Context(), h.RunDir.Dir, "a"); !errors.As(err, new(*OutputsError)) {
				t.Errorf("the outputs are recorded: %v", err)
			}
		})
	}
}

func TestRunInterruptedWhenDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{closing: map[string]func() error{"a": func() error { cancel(); time.Sleep(time.Second); return nil }}}
		res := newHarness(t, w).run(t, ctx, parsePlan(t, "1 a"))
		if res.Interrupted || res.ExitCode() != 0 {
			t.Errorf("a run whose jobs had passed counts as interrupted: %+v", res)
		}
	})
}

func TestRunSurvivesPanics(t *testing.T) {
	boom := func() { panic("boom") }
	for _, tt := range []struct {
		name  string
		world *world
		want  string
		code  int
	}{
		{"in Run", &world{script: programs{
			"a": func(context.Context, Program, io.Writer) (int, error) { boom(); return 0, nil },
			"b": sleeps(time.Hour),
		}}, "a=failed/system b=canceled/canceled c=canceled", 4},
		{"in Setup", &world{
			setup:  map[string]func(context.Context, Spec) error{"a": func(context.Context, Spec) error { boom(); return nil }},
			script: programs{"b": sleeps(time.Hour)},
		}, "a=failed/system b=canceled/canceled c=canceled", 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, tt.world)
				if tt.name == "in Setup" {
					tt.world.open = 0
				}
				res := h.run(t, t.Context(), parsePlan(t, "1 a\n1 b\n2 c"))
				if states(res) != tt.want || res.ExitCode() != tt.code || res.Interrupted {
					t.Errorf("%s, exit code %d", states(res), res.ExitCode())
				}
				if j := res.Jobs[0]; j.Error != "internal error: boom" || !strings.Contains(j.Help, "run_test.go") && !strings.Contains(j.Help, "interrupt_test.go") {
					t.Errorf("%q %q", j.Error, j.Help)
				}
			})
		})
	}
}

func TestRunReportsPanicOfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{closing: map[string]func() error{"a": func() error { panic("boom") }}}
		h := newHarness(t, w)
		res, err := h.Run(t.Context(), parsePlan(t, "1 a"), func(plan.Script) ([]byte, error) { return nil, nil })
		if err == nil || !strings.Contains(err.Error(), "boom") || states(res) != "a=success" {
			t.Errorf("%s, %v", states(res), err)
		}
	})
}

func TestRunWarnsOfFailedCleanUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{closing: map[string]func() error{"a": func() error { return errors.New("device busy") }}}
		h := newHarness(t, w)
		res := h.run(t, t.Context(), parsePlan(t, "1 a"))
		found := false
		for _, e := range h.events {
			found = found || e.Warning && e.Text == "clean-up: device busy"
		}
		if !found || res.ExitCode() != 0 {
			t.Errorf("%+v", h.events)
		}
	})
}

// TestRunIsNotHeldUpByItsObserver: a terminal that is stopped costs the view
// lines, and the jobs a second.
func TestRunIsNotHeldUpByItsObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lines = 100_000
		chatty := func(_ context.Context, _ Program, out io.Writer) (int, error) {
			for range lines {
				io.WriteString(out, "a line of some forty bytes, more or less\n")
			}
			return 0, nil
		}
		w := &world{script: programs{"a": chatty}}
		h := newHarness(t, w)
		resume := make(chan struct{})
		shown, notes := 0, []string{}
		h.Observer = func(e Event) {
			if e.Type == EventRunStarted {
				<-resume
			}
			if e.Type == EventJobOutput {
				shown++
			}
			if e.Type == EventJobNote {
				notes = append(notes, e.Text)
			}
		}
		time.AfterFunc(time.Hour, func() { close(resume) })
		res := h.run(t, t.Context(), parsePlan(t, "1 a"))
		if res.Duration != pumpPatience {
			t.Errorf("the job was held up for %s", res.Duration)
		}
		if len(notes) != 1 || !strings.Contains(notes[0], "lines are not shown") || shown == 0 || shown >= lines {
			t.Errorf("%d lines shown, notes: %q", shown, notes)
		}
		if log := readLog(t, h, "a"); strings.Count(log, "\n") != lines {
			t.Errorf("the log has %d lines", strings.Count(log, "\n"))
		}
	})
}
