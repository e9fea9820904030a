package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/plan"
)

// TestSchedulePlay: what a person starts late lets those run that were passed by
// because of it (specification section 17.4).
func TestSchedulePlay(t *testing.T) {
	for _, tt := range []struct {
		name, plan string
		outcome    Status // of M
		before     string
		reset      string
		after      string
		pipeline   Status
	}{
		{"a need of an optional job", "1 M manual allow\n2 B\n2 D needs M\n3 E needs D", StatusSuccess,
			"M=manual B=success D=skipped E=skipped", "D E", "M=success B=success D=success E=success", StatusSuccess},
		{"it fails as allowed", "1 M manual allow\n2 D needs M\n2 F on_failure needs M", StatusFailed,
			"M=manual D=skipped F=skipped", "D F", "M=failed D=success F=skipped", StatusSuccess},
		{"a later stage that waits for a failure", "1 M manual allow\n1 A\n2 C on_failure\n2 D", StatusSuccess,
			"M=manual A=success C=skipped D=success", "C", "M=success A=success C=skipped D=success", StatusSuccess},
		{"a need in the same stage", "1 M manual allow\n1 D needs M\n2 E always needs D", StatusSuccess,
			"M=manual D=skipped E=success", "D", "M=success D=success E=success", StatusSuccess},
		{"a job that blocks", "1 M manual\n2 B\n2 D needs M", StatusSuccess,
			"M=manual B=created D=created", "", "M=success B=success D=success", StatusSuccess},
		{"a job that blocks and fails", "1 M manual\n2 B\n2 C on_failure", StatusFailed,
			"M=manual B=created C=created", "", "M=failed B=skipped C=success", StatusFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parsePlan(t, tt.plan)
			before, s := simulate(t, p, nil)
			if got := stateList(p, before); got != tt.before {
				t.Errorf("before: %s", got)
			}
			s.Settled()
			reset, ok := s.Play(0)
			var names []string
			for _, i := range reset {
				names = append(names, p.Jobs[i].Name)
			}
			if got := strings.Join(names, " "); !ok || got != tt.reset {
				t.Errorf("reset %q, %v", got, ok)
			}
			if _, again := s.Play(0); again {
				t.Error("a job that runs could be played")
			}
			after := finishAll(t, p, s, map[string]Status{"M": tt.outcome})
			if got := stateList(p, after); got != tt.after || s.Status() != tt.pipeline {
				t.Errorf("after: %s, %s", got, s.Status())
			}
		})
	}
}

func stateList(p *plan.Plan, states map[string]Status) string {
	var out []string
	for i := range p.Jobs {
		out = append(out, p.Jobs[i].Name+"="+string(states[p.Jobs[i].Name]))
	}
	return strings.Join(out, " ")
}

func TestScheduleGates(t *testing.T) {
	p := parsePlan(t, "1 A delayed\n1 B\n1 M manual\n2 C always needs A B")
	p.Jobs[0].ResourceGroup = &plan.Text{Value: "g"}
	p.Jobs[1].ResourceGroup = &plan.Text{Value: "g"}
	s, err := NewSchedule(p, 2)
	if err != nil {
		t.Fatal(err)
	}
	status := func(i int) Status { st, _, _ := s.Job(i); return st }
	if got := s.Held(); !slices.Equal(got, []int{0, 1}) || status(0) != StatusScheduled || status(1) != StatusWaiting || s.Holding() != 2 {
		t.Errorf("held %v: %s, %s, %d", got, status(0), status(1), s.Holding())
	}
	if i, ok := s.Next(); !ok || i != 2 {
		t.Errorf("the manual job that was wanted does not start: %d", i)
	}
	s.Due(0)
	if got := s.Held(); !slices.Equal(got, []int{0}) || status(0) != StatusWaiting || s.Holding() != 2 {
		t.Errorf("a delayed job comes to its group then: %v, %s", got, status(0))
	}
	s.Due(0) // twice does nothing
	if !s.Grant(1) || s.Grant(1) || status(1) != StatusPending || s.Holding() != 1 {
		t.Errorf("granted: %s, %d", status(1), s.Holding())
	}
	if s.Cancel("stop", func(i int) bool { return i == 0 }) != 1 || s.Grant(0) || s.Holding() != 0 {
		t.Errorf("canceled: %s, %d", status(0), s.Holding())
	}
	s.Finish(2, StatusSuccess, false)
	if i, ok := s.Next(); !ok || i != 1 {
		t.Errorf("%d, %v", i, ok)
	}
	s.Finish(1, StatusSuccess, false)
	if status(3) != StatusSkipped { // canceled runs nothing
		t.Errorf("C is %s", status(3))
	}
}

func TestRunDelayed(t *testing.T) {
	for _, skip := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{script: programs{"a": sleeps(time.Minute), "b": sleeps(time.Minute), "c": sleeps(time.Minute)}}
			h := newHarness(t, w)
			h.Jobs, h.NoDelay = 1, skip
			p := parsePlan(t, "1 a\n1 b delayed\n1 c delayed\n2 d delayed\n2 e")
			p.Jobs[1].StartIn, p.Jobs[2].StartIn, p.Jobs[3].StartIn = 600, 30, 60
			res := h.run(t, t.Context(), p)
			var starts []time.Duration
			for _, j := range res.Jobs {
				starts = append(starts, j.Started.Sub(res.Jobs[0].Started)/time.Minute)
			}
			want := []time.Duration{0, 10, 1, 12, 11} // c waits for the only slot
			if skip {
				want = []time.Duration{0, 1, 2, 3, 3}
			}
			if !slices.Equal(starts, want) || res.ExitCode() != 0 {
				t.Errorf("minutes of the starts: %v, want %v", starts, want)
			}
			if waited := slices.ContainsFunc(h.events, func(e Event) bool {
				return e.Type == EventJobWaiting && e.Status == StatusScheduled && e.Job == "b" && e.Seconds == 600
			}); waited == skip {
				t.Errorf("told of the delay: %v", waited)
			}
		})
	}
}

func TestRunResourceGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{script: programs{"a": sleeps(time.Minute), "b": sleeps(time.Minute), "c": sleeps(time.Minute), "d": sleeps(time.Second)}}
		h := newHarness(t, w)
		h.Variables = map[string]string{"CI_PROJECT_NAME": "x"}
		p := parsePlan(t, "1 a\n1 b\n1 c\n1 d\n1 e")
		group := &plan.Text{Value: "g-${CI_PROJECT_NAME}", Template: true}
		p.Jobs[0].ResourceGroup, p.Jobs[2].ResourceGroup = group, group
		p.Jobs[1].ResourceGroup = &plan.Text{Value: "g-x"}
		p.Jobs[4].ResourceGroup = &plan.Text{Value: "${CI_JOB_URL}", Template: true} // empty: none
		res := h.run(t, t.Context(), p)
		if res.Duration != 3*time.Minute || res.ExitCode() != 0 {
			t.Errorf("%s, took %s", states(res), res.Duration)
		}
		if d := res.Jobs[3]; d.Started != res.Jobs[0].Started {
			t.Error("a job that waits for a group took a slot")
		}
		if !res.Jobs[1].Started.Before(res.Jobs[2].Started) {
			t.Error("the oldest comes first")
		}
	})
}

// TestRunResourceGroupOfAnotherRun: another process has the lock.
func TestRunResourceGroupOfAnotherRun(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t, &world{})
			cleared := 0
			h.ClearDead = func(context.Context) error { cleared++; return nil }
			p := parsePlan(t, "1 a\n1 b\n2 c")
			p.Jobs[0].ResourceGroup = &plan.Text{Value: "g"}
			lock, err := tryLock((&run{Executor: *h.Executor}).lockPath("", "g"))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Minute, func() {
				if interrupted {
					cancel()
				}
				if err := lock.Close(); err != nil {
					t.Error(err)
				}
			})
			res := h.run(t, ctx, p)
			cancel()
			want, clears := "a=success b=success c=success", 1
			if interrupted {
				want = "a=canceled b=success c=canceled"
			}
			if states(res) != want || res.Duration < time.Minute || res.Duration > 2*time.Minute || !interrupted && cleared != clears {
				t.Errorf("%s after %s, cleared %d times", states(res), res.Duration, cleared)
			}
		})
	}
}

func TestRunResourceGroupThatCannotBeLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, &world{})
		p := parsePlan(t, "1 a\n1 b\n1 c")
		p.Jobs[0].ResourceGroup = &plan.Text{Value: "g"}
		p.Jobs[0].Retry = &plan.Retry{Max: 2} // which would not help
		p.Jobs[2].ResourceGroup = &plan.Text{Value: "$", Template: true}
		locks := filepath.Dir((&run{Executor: *h.Executor}).lockPath("", "g"))
		if err := os.WriteFile(locks, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		res := h.run(t, t.Context(), p)
		if got := states(res); got != "a=failed/system b=success c=failed/system" || !strings.Contains(res.Jobs[0].Error, "resource_group: ") {
			t.Errorf("%s: %+v", got, res.Jobs[0])
		}
	})
}

func TestMatchManual(t *testing.T) {
	p := parsePlan(t, "1 plain\n1 one manual\n1 two manual allow")
	for _, name := range []string{"ship: [north]", "ship: [south]"} {
		j := p.Jobs[1]
		j.Name = name
		p.Jobs = append(p.Jobs, j)
	}
	for _, tt := range []struct{ names, want, err string }{
		{"one", "one", ""},
		{"two,one", "one,two", ""},
		{"ship", "ship: [north],ship: [south]", ""},
		{"ship: [south]", "ship: [south]", ""},
		{"all", "one,two,ship: [north],ship: [south]", ""},
		{"", "", ""},
		{"plain", "", `job "plain" is not manual`},
		{"one,tow", "", `the plan has no job "tow"; did you mean "two"?`},
		{"shop", "", `the plan has no job "shop"; did you mean "ship"?`},
	} {
		var names []string
		if tt.names != "" {
			names = strings.Split(tt.names, ",")
		}
		got, err := MatchManual(p, names)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if strings.Join(got, ",") != tt.want || text != tt.err {
			t.Errorf("%s: %q, %q", tt.names, got, text)
		}
	}
	if _, err := MatchManual(parsePlan(t, "1 a"), []string{AllManual}); err == nil {
		t.Error("all of a plan without any")
	}
}

func TestRunManualByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, &world{})
		h.Manual = []string{"m"}
		res := h.run(t, t.Context(), parsePlan(t, "1 m manual\n1 n manual allow\n2 a\n2 b needs m\n2 c needs n"))
		if got := states(res); got != "m=success n=manual a=success b=success c=skipped" || res.ExitCode() != 0 {
			t.Error(got)
		}
	})
}

// TestRunAsks: questions come one at a time and hold up nothing but the end.
func TestRunAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{script: programs{"slow": sleeps(time.Minute), "m": exits(0), "n": exits(3)}}
		h := newHarness(t, w)
		open := 0
		var asked []string
		h.Ask = func(ctx context.Context, q Question) (bool, error) {
			if open++; open > 1 {
				t.Error("two questions at once")
			}
			defer func() { open-- }()
			asked = append(asked, fmt.Sprintf("%s %q %v", q.Job, q.Confirmation, q.Optional))
			time.Sleep(10 * time.Minute)
			return q.Job != "no", nil
		}
		p := parsePlan(t, "1 m manual\n1 n manual allow\n1 no manual allow\n1 slow\n2 a\n2 needs-n needs n\n2 needs-no needs no")
		p.Jobs[0].ManualConfirmation = "Really?"
		res := h.run(t, t.Context(), p)
		if got := states(res); got != "m=success n=failed/script no=manual slow=success a=success needs-n=success needs-no=skipped" {
			t.Error(got)
		}
		if got := strings.Join(asked, ", "); got != `m "Really?" false, n "" true, no "" true` {
			t.Errorf("asked %s", got)
		}
		if res.Duration != 30*time.Minute || res.Jobs[3].Duration != time.Minute || !res.Jobs[1].Allowed {
			t.Errorf("took %s: %+v", res.Duration, res.Jobs)
		}
	})
}

func TestRunAsksNobody(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  func(context.Context, Question) (bool, error)
		want string
		code int
	}{
		{"the terminal is gone", func(context.Context, Question) (bool, error) { return false, errors.New("closed") }, "m=manual n=manual a=created", 8},
		{"interrupted", func(ctx context.Context, _ Question) (bool, error) { <-ctx.Done(); return true, context.Cause(ctx) }, "m=canceled n=canceled a=canceled", 130},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, &world{})
				h.Ask = tt.ask
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				res := h.run(t, ctx, parsePlan(t, "1 m manual\n1 n manual\n2 a"))
				if states(res) != tt.want || res.ExitCode() != tt.code {
					t.Errorf("%s, exit code %d", states(res), res.ExitCode())
				}
			})
		})
	}
}
