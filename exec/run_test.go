package exec

import (
	"context"
	"errors"
	"fmt"
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

type programs = map[string]func(context.Context, Program, io.Writer) (int, error)

func TestRunOutcomes(t *testing.T) {
	system := errors.New("the disk is gone")
	for _, tt := range []struct {
		name, plan string
		world      *world
		want       string
		status     Status
		code       int
	}{
		{"all pass", "1 a\n2 b", &world{}, "a=success b=success", StatusSuccess, 0},
		{"a script fails", "1 a\n2 b", &world{script: programs{"a": exits(3)}}, "a=failed/script b=skipped", StatusFailed, 1},
		{"allowed failure", "1 a allow\n2 b", &world{script: programs{"a": exits(3)}}, "a=failed/script b=success", StatusSuccess, 0},
		{"system failure of Run", "1 a", &world{script: programs{"a": func(context.Context, Program, io.Writer) (int, error) { return 0, system }}}, "a=failed/system", StatusFailed, 4},
		{"allowed system failure", "1 a allow", &world{script: programs{"a": func(context.Context, Program, io.Writer) (int, error) { return 0, system }}}, "a=failed/system", StatusSuccess, 0},
		{"pull failure", "1 a\n1 b", &world{
			setup:  map[string]func(context.Context, Spec) error{"a": func(context.Context, Spec) error { return &Error{Class: ClassImagePull, Err: system} }},
			script: programs{"b": exits(1)},
		}, "a=failed/image_pull b=failed/script", StatusFailed, 4},
		{"no shell", "1 a", &world{
			setup: map[string]func(context.Context, Spec) error{"a": func(context.Context, Spec) error { return &Error{Class: ClassConfig, Err: system} }},
		}, "a=failed/config", StatusFailed, 1},
		{"timeout before script failure", "1 a\n1 b", &world{script: programs{"a": sleeps(time.Hour + 1), "b": exits(1)}}, "a=failed/timeout b=failed/script", StatusFailed, 5},
		{"blocked", "1 a\n1 m manual\n2 b", &world{}, "a=success m=manual b=created", StatusManual, 8},
		{"blocked and failed", "1 a\n1 m manual\n2 b", &world{script: programs{"a": exits(2)}}, "a=failed/script m=manual b=created", StatusManual, 1},
		{"optional manual", "1 m manual allow\n2 b", &world{}, "m=manual b=success", StatusSuccess, 0},
		{"artifacts that cannot be collected", "1 a art\n2 b", &world{
			collect: map[string]func() (*workspace.Manifest, error){"a": func() (*workspace.Manifest, error) { return nil, system }},
		}, "a=failed/system b=skipped", StatusFailed, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, tt.world)
				p := withArtifacts(t, tt.plan, "on_success")
				res := h.run(t, t.Context(), p)
				if got := states(res); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
				if res.Status != tt.status || res.ExitCode() != tt.code {
					t.Errorf("%s, exit code %d; want %s, %d", res.Status, res.ExitCode(), tt.status, tt.code)
				}
			})
		})
	}
}

func TestRunFollowsCriticalPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Level by level this would take 2 + 2 + 2 + 1 s.
		w := &world{script: programs{
			"a": sleeps(2 * time.Second), "b": sleeps(time.Second),
			"c": sleeps(time.Second), "d": sleeps(2 * time.Second),
			"e": sleeps(2 * time.Second), "f": sleeps(1 * time.Second), "g": sleeps(time.Second),
		}}
		h := newHarness(t, w)
		res := h.run(t, t.Context(), parsePlan(t, `
			1 a needs
			1 b needs
			2 c needs a
			2 d needs b
			3 e needs c
			3 f needs d
			4 g needs f`))
		if res.Duration != 5*time.Second {
			t.Errorf("took %s, the critical path is 5s", res.Duration)
		}
		for _, j := range res.Jobs {
			if j.Name == "d" && j.Duration != 2*time.Second {
				t.Errorf("d took %s", j.Duration)
			}
		}
	})
}

func TestRunBoundsJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		w := &world{script: programs{}, closing: map[string]func() error{}}
		for i := range 40 {
			name := fmt.Sprintf("j%d", i)
			fmt.Fprintf(&text, "%d %s\n", i/20, name)
			w.script[name] = sleeps(time.Second)
			w.closing[name] = func() error { time.Sleep(3 * time.Second); return nil }
		}
		h := newHarness(t, w)
		h.Jobs = 3
		h.run(t, t.Context(), parsePlan(t, text.String()))
		if w.most != 3 {
			t.Errorf("%d jobs ran at once, 3 are allowed and possible", w.most)
		}
	})
}

func TestRunReleasesDependentsBeforeClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{closing: map[string]func() error{"a": func() error { time.Sleep(time.Minute); return nil }}}
		h := newHarness(t, w)
		h.Jobs = 1
		res := h.run(t, t.Context(), parsePlan(t, "1 a\n2 b"))
		if w.happened("script b") < w.happened("end of script a") || res.Jobs[1].Started.Sub(res.Jobs[0].Started) != 0 {
			t.Errorf("b started %s after a: %v", res.Jobs[1].Started.Sub(res.Jobs[0].Started), w.history)
		}
	})
}

func TestRunPreparesEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(context.Context, Spec) error { time.Sleep(time.Second); return nil }
		w := &world{
			script: programs{"a": sleeps(10 * time.Second), "b": sleeps(time.Second), "bad": func(ctx context.Context, p Program, out io.Writer) (int, error) {
				time.Sleep(5 * time.Second)
				return 1, nil
			}},
			setup: map[string]func(context.Context, Spec) error{"a": slow, "b": slow, "never": slow},
		}
		h := newHarness(t, w)
		res := h.run(t, t.Context(), parsePlan(t, "1 a needs\n1 bad needs\n2 b needs a\n2 never needs bad"))
		if res.Duration != 12*time.Second {
			t.Errorf("took %s; with b set up while a runs it is 12s", res.Duration)
		}
		if w.happened("setup b") > w.happened("end of script a") {
			t.Error("b was not prepared while a ran")
		}
		if w.happened("setup never") < 0 || w.happened("script never") >= 0 || w.happened("close never") < 0 {
			t.Errorf("the job that was prepared and skipped: %v", w.history)
		}
	})
}

// Jobs that take less time than their preparation are prepared well ahead, within
// the bound.
func TestRunPreparesChain(t *testing.T) {
	for _, tt := range []struct {
		jobs int
		want time.Duration
	}{{1, 6 * time.Second}, {3, 2 * time.Second}, {6, time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{setup: map[string]func(context.Context, Spec) error{}}
			for _, name := range strings.Fields("a b c d e f") {
				w.setup[name] = func(context.Context, Spec) error { time.Sleep(time.Second); return nil }
			}
			h := newHarness(t, w)
			h.Jobs = tt.jobs
			res := h.run(t, t.Context(), parsePlan(t, "1 a needs\n1 b needs a\n1 c needs b\n1 d needs c\n1 e needs d\n1 f needs e"))
			if res.Duration.Round(time.Second) != tt.want {
				t.Errorf("with %d jobs at a time it took %s, want about %s", tt.jobs, res.Duration, tt.want)
			}
		})
	}
}

// While a prepared job starts, nothing else is made or removed.
func TestRunStartsUndisturbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{script: programs{"a": sleeps(time.Second), "b": sleeps(startTime / 2), "c": sleeps(time.Second)}}
		h := newHarness(t, w)
		h.Jobs = 2
		h.run(t, t.Context(), parsePlan(t, "1 a needs\n1 b needs a\n1 c needs b\n1 d needs c"))
		started, ended := w.happened("script b"), w.happened("end of script b")
		for _, other := range []string{"close a", "setup c"} {
			if at := w.happened(other); at < ended {
				t.Errorf("%s at %d, while b started (%d to %d): %v", other, at, started, ended, w.history)
			}
		}
	})
}

func TestRunThrowsAwayWhatWasPreparedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := func(context.Context, Program, io.Writer) (int, error) { time.Sleep(time.Second); return 1, nil }
		w := &world{script: programs{"a": fails}}
		h := newHarness(t, w)
		h.Jobs = 4
		h.run(t, t.Context(), parsePlan(t, "1 a needs\n1 b needs a\n1 c needs b\n1 d needs c\n1 e needs d"))
		for _, name := range []string{"b", "c", "d"} {
			if w.happened("setup "+name) < 0 || w.happened("script "+name) >= 0 || w.happened("close "+name) < 0 {
				t.Errorf("%s: %v", name, w.history)
			}
		}
		if w.happened("setup e") >= 0 {
			t.Error("more was prepared than the bound allows")
		}
	})
}

func readLog(t *testing.T, h *harness, id string) string {
	t.Helper()
	data, err := os.ReadFile(h.RunDir.LogPath(id))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestRunRefusesPrivileges(t *testing.T) {
	h := newHarness(t, &world{})
	p := parsePlan(t, "1 a\n1 b")
	p.Jobs[1].Privileged = true
	_, err := h.Run(t.Context(), p, nil)
	var policy *PolicyError
	if !errors.As(err, &policy) || len(policy.Refused) != 1 || policy.Refused[0].Job != "b" || len(h.world.history) > 0 {
		t.Errorf("%v, %v", err, h.world.history)
	}
}

func TestRunReportsFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skipf("needs a disk that is full: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, &world{script: programs{"a": func(_ context.Context, _ Program, out io.Writer) (int, error) {
			_, err := io.WriteString(out, "hello\n")
			return 0, err
		}}})
		h.RunDir.journal.Close()
		var err error
		if h.RunDir.journal, err = os.OpenFile("/dev/full", os.O_WRONLY, 0); err != nil {
			t.Fatal(err)
		}
		res, err := h.Run(t.Context(), parsePlan(t, "1 a"), func(plan.Script) ([]byte, error) { return nil, nil })
		if err == nil || res == nil || states(res) != "a=success" || !strings.Contains(err.Error(), "journal") {
			t.Errorf("%v, %v", res, err)
		}
	})
}

func TestRunKeepsTailOfFailedJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, &world{script: programs{"a": func(_ context.Context, _ Program, out io.Writer) (int, error) {
			for i := range 30 {
				fmt.Fprintf(out, "line %d\n", i)
			}
			return 137, nil
		}}})
		res := h.run(t, t.Context(), parsePlan(t, "1 a"))
		j := res.Jobs[0]
		if len(j.Tail) != tailLines || j.Tail[0] != "line 10" || j.Tail[tailLines-1] != "line 29" {
			t.Errorf("tail: %q", j.Tail)
		}
		if j.Error != "exit code 137 (SIGKILL)" || j.Log != filepath.Join(h.RunDir.Dir, "logs", "a.log") {
			t.Errorf("%+v", j)
		}
		if log := readLog(t, h, "a"); strings.Count(log, "\n") != 30 || !strings.HasPrefix(log, "line 0\n") {
			t.Errorf("log: %q", log)
		}
	})
}

// BenchmarkRunManyJobs is the executor's own cost of 5,000 jobs in two stages,
// of which the first leaves artifacts to the second.
func BenchmarkRunManyJobs(b *testing.B) {
	var text strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&text, "%d j%d\n", i/2500, i)
	}
	p := withArtifacts(b, text.String(), "on_success")
	w := &world{collect: map[string]func() (*workspace.Manifest, error){}}
	for i := range 2500 {
		p.Jobs[i].Artifacts = &plan.Artifacts{When: "on_success"}
		w.collect[p.Jobs[i].Name] = func() (*workspace.Manifest, error) {
			return &workspace.Manifest{Files: make([]workspace.File, 1)}, nil
		}
	}
	n := 0
	for b.Loop() {
		n++
		dir, err := CreateRun(b.TempDir(), fmt.Sprint("run", n))
		if err != nil {
			b.Fatal(err)
		}
		e := &Executor{Runtime: w, Workspaces: w, Now: time.Now, RunDir: dir, Jobs: 4}
		if _, err := e.Run(b.Context(), p, func(plan.Script) ([]byte, error) { return nil, nil }); err != nil {
			b.Fatal(err)
		}
		if err := dir.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
