package exec

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/plan"
)

// fails is a program that ends with 1 after d.
func fails(d time.Duration) func(context.Context, Program, io.Writer) (int, error) {
	return func(ctx context.Context, p Program, out io.Writer) (int, error) {
		if code, err := sleeps(d)(ctx, p, out); err != nil {
			return code, err
		}
		return 1, nil
	}
}

func TestRunCancelsOnFailure(t *testing.T) {
	for _, tt := range []struct {
		name, plan, want string
		code             int
	}{
		{"a failure", "1 a\n1 b\n1 m manual\n2 c\n2 d always", "a=failed/script b=canceled/canceled m=canceled c=canceled d=canceled", 1},
		{"one that is allowed", "1 a allow\n1 b\n2 c", "a=failed/script b=success c=success", 0},
		{"a delayed job", "1 a\n1 b delayed\n2 c", "a=failed/script b=canceled c=canceled", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{script: programs{"a": fails(time.Minute), "b": sleeps(time.Hour)}}
				p := parsePlan(t, tt.plan)
				p.Jobs[1].StartIn = 3600
				p.AutoCancel = &plan.AutoCancel{OnJobFailure: "all"}
				res := newHarness(t, w).run(t, t.Context(), p)
				if states(res) != tt.want || res.ExitCode() != tt.code || res.Interrupted || tt.code != 0 && res.Status != StatusFailed {
					t.Errorf("%s: %s, exit code %d", states(res), res.Status, res.ExitCode())
				}
				if b := res.Jobs[1]; tt.code != 0 && b.Error+b.Reason != `job "a" failed` {
					t.Errorf("%+v", b)
				}
			})
		})
	}
}

func TestRunTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := ""
		w := &world{
			script: programs{"a": sleeps(time.Hour), "b": sleeps(time.Hour)},
			after: programs{"a": func(_ context.Context, p Program, _ io.Writer) (int, error) {
				status = strings.Join(p.Env, " ")
				time.Sleep(time.Second)
				return 0, nil
			}},
		}
		h := newHarness(t, w)
		h.Timeout = 5 * time.Minute
		p := parsePlan(t, "1 a\n1 b allow\n1 c\n2 d")
		p.Jobs[0].AfterScript = &plan.Script{Path: "jobs/a.after.sh"}
		res := h.run(t, t.Context(), p)
		if got := states(res); got != "a=canceled/canceled b=canceled/canceled c=success d=canceled" {
			t.Error(got)
		}
		if !res.TimedOut || res.ExitCode() != 5 || res.Status != StatusCanceled || res.Duration != h.Timeout+time.Second {
			t.Errorf("%+v", res)
		}
		if !strings.Contains(status, "CI_JOB_STATUS=canceled") || res.Jobs[0].Error != "the run timed out after 5m0s" {
			t.Errorf("after_script with %q; %+v", status, res.Jobs[0])
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, &world{closing: map[string]func() error{"a": func() error { time.Sleep(time.Hour); return nil }}})
		h.Timeout = time.Minute
		if res := h.run(t, t.Context(), parsePlan(t, "1 a")); res.TimedOut || res.ExitCode() != 0 {
			t.Errorf("a run whose jobs had passed timed out: %+v", res)
		}
	})
}

func TestRunGivesWay(t *testing.T) {
	for _, tt := range []struct {
		name, plan string
		policy     string
		may        string // interruptible jobs
		want       string
		code       int
	}{
		{"all may be interrupted", "1 a\n2 b", "", "a b", "a=canceled/canceled b=canceled", 130},
		{"none that may not has begun", "1 a\n2 b", "conservative", "a", "a=canceled/canceled b=canceled", 130},
		{"one that may not has begun", "1 a\n1 b\n2 c", "conservative", "b c", "a=success b=success c=success", 0},
		{"those that may", "1 a\n1 b\n1 m manual\n2 c needs a\n2 d needs b\n2 e always needs m", "interruptible", "b m c", "a=success b=canceled/canceled m=canceled c=canceled d=skipped e=skipped", 130},
		{"never", "1 a\n2 b", "none", "a b", "a=success b=success", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{script: programs{"a": sleeps(time.Hour / 2), "b": sleeps(time.Hour / 2)}}
				h := newHarness(t, w)
				p := parsePlan(t, tt.plan)
				for i := range p.Jobs {
					p.Jobs[i].Interruptible = slices.Contains(strings.Fields(tt.may), p.Jobs[i].Name)
				}
				p.AutoCancel = &plan.AutoCancel{OnNewCommit: tt.policy}
				time.AfterFunc(time.Minute, func() {
					for _, id := range []string{"later", "later-still"} {
						if err := h.RunDir.giveWay(id); err != nil {
							t.Error(err)
						}
					}
				})
				res := h.run(t, t.Context(), p)
				if states(res) != tt.want || res.ExitCode() != tt.code {
					t.Errorf("%s, exit code %d", states(res), res.ExitCode())
				}
				if a := res.Jobs[0]; a.Status == StatusCanceled && (a.Error != "run later of the same ref took over" || a.Duration > time.Minute+time.Second) {
					t.Errorf("%+v", a)
				}
			})
		})
	}
}

func TestTakeOver(t *testing.T) {
	state := t.TempDir()
	begin := func(id, project, ref string) *RunDir {
		r, err := CreateRun(state, id)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := r.append([]Event{{Type: EventRunStarted, Project: project, Ref: ref}}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	old := begin("1", "/p", "main")
	others := []*RunDir{begin("2", "/q", "main"), begin("3", "/p", "other"), begin("6", "/p", "main")}
	dead := begin("4", "/p", "main")
	if err := dead.unlock(); err != nil {
		t.Fatal(err)
	}
	r, err := CreateRun(state, "5")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	asked, err := r.TakeOver("/p", "main")
	if err != nil || !slices.Equal(asked, []string{"1"}) {
		t.Errorf("asked %q, %v", asked, err)
	}
	if by, err := old.takenOver(); by != "5" || err != nil {
		t.Errorf("%q, %v", by, err)
	}
	for _, o := range append(others, dead) {
		if by, err := o.takenOver(); by != "" || err != nil {
			t.Errorf("run %s: %q, %v", o.ID, by, err)
		}
	}
}

// TestRunAtRandom runs random plans in which everything happens at once: however
// it ends, each job has one final state, the order of events holds, and nothing is
// left (which harness.run checks).
func TestRunAtRandom(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			p, outcomes := randomPlan(t, r)
			w := &world{script: programs{}, setup: map[string]func(context.Context, Spec) error{}}
			h := newHarness(t, w)
			h.Jobs = 1 + r.IntN(4)
			h.NoDelay = r.IntN(4) == 0
			randomJobs(r, p, w, outcomes)
			if r.IntN(3) == 0 {
				p.AutoCancel = &plan.AutoCancel{OnJobFailure: "all"}
			}
			if r.IntN(3) == 0 {
				h.Timeout = time.Duration(1+r.IntN(120)) * time.Second
			}
			if r.IntN(2) == 0 {
				answers := rand.New(rand.NewPCG(seed, 3))
				h.Ask = func(ctx context.Context, _ Question) (bool, error) {
					select {
					case <-time.After(time.Duration(answers.IntN(60)) * time.Second):
						return answers.IntN(2) == 0, nil
					case <-ctx.Done():
						return false, context.Cause(ctx)
					}
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			switch r.IntN(4) {
			case 0:
				time.AfterFunc(time.Duration(r.IntN(120))*time.Second, cancel)
			case 1:
				time.AfterFunc(time.Duration(r.IntN(120))*time.Second, func() {
					if err := h.RunDir.giveWay("later"); err != nil {
						t.Error(err)
					}
				})
			}
			checkRandomRun(t, h, h.run(t, ctx, p), seed)
		})
		if t.Failed() {
			return
		}
	}
}

// randomJobs gives jobs their conduct and what they do.
func randomJobs(r *rand.Rand, p *plan.Plan, w *world, outcomes []Status) {
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if r.IntN(3) == 0 {
			j.ResourceGroup = &plan.Text{Value: fmt.Sprint("g", r.IntN(2))}
		}
		if j.When == "delayed" {
			j.StartIn = int64(1 + r.IntN(60))
		}
		if r.IntN(3) == 0 {
			j.Retry = &plan.Retry{Max: 1 + r.IntN(2)}
		}
		j.Interruptible = r.IntN(2) == 0
		took := time.Duration(r.IntN(30)) * time.Second
		w.script[j.Name] = sleeps(took)
		if outcomes[i] == StatusFailed {
			w.script[j.Name] = fails(took)
		}
		if outcomes[i] == StatusCanceled { // here: it is hard to set up
			broken := r.IntN(3)
			w.setup[j.Name] = func(context.Context, Spec) error {
				if broken--; broken >= 0 {
					return io.ErrUnexpectedEOF
				}
				return nil
			}
		}
	}
}

func checkRandomRun(t *testing.T, h *harness, res *Result, seed uint64) {
	t.Helper()
	final := map[string]Status{}
	for _, e := range h.events {
		switch e.Type {
		case EventJobFinished:
			final[e.Job] = e.Status
		case EventJobRequeued:
			delete(final, e.Job)
		}
	}
	for _, j := range res.Jobs {
		settled := j.Status.complete() || j.Status == StatusManual
		if waits := j.Status == StatusCreated && final[j.Name] == "" && res.Status == StatusManual; !waits && (!settled || final[j.Name] != j.Status) {
			t.Errorf("seed %d: job %s is %s, the event said %q", seed, j.Name, j.Status, final[j.Name])
		}
		if ran := !j.Started.IsZero(); ran != (j.Status == StatusSuccess || j.Status == StatusFailed || j.Class == ClassCanceled) {
			t.Errorf("seed %d: job %s is %s, started %v", seed, j.Name, j.Status, j.Started)
		}
	}
	if code := res.ExitCode(); (code == 0) != (res.Status == StatusSuccess || res.Status == StatusSkipped) && !res.TimedOut {
		t.Errorf("seed %d: %s, exit code %d", seed, res.Status, code)
	}
}
