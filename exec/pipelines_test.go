package exec

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cic-ci/cic/plan"
)

// parseFamily makes a plan of several texts as parsePlan reads them, the first the
// plan's own pipeline. A text that begins with a line "NAME:" or "NAME: depend" is
// the child pipeline of that job, which becomes a trigger job.
func parseFamily(t testing.TB, texts ...string) *plan.Plan {
	t.Helper()
	whole := parsePlan(t, texts[0])
	for _, text := range texts[1:] {
		head, jobs, _ := strings.Cut(text, "\n")
		name, strategy, _ := strings.Cut(head, ":")
		for i := range whole.Jobs {
			if j := &whole.Jobs[i]; j.Name == name {
				j.Trigger = &plan.Trigger{Kind: plan.TriggerChild, Strategy: strings.TrimSpace(strategy)}
				j.Image, j.Script, j.Timeout = plan.Image{}, plan.Script{}, 0
			}
		}
		var err error
		if whole, _, err = whole.Adopt(plan.Child{Trigger: name, Plan: parsePlan(t, jobs)}); err != nil {
			t.Fatal(err)
		}
	}
	return whole
}

// finishFamily runs a schedule to its end as finishAll does, and starts what trigger
// jobs start.
func finishFamily(p *plan.Plan, s *Schedule, outcomes map[string]Status) map[string]Status {
	for {
		i, ok := s.Next()
		if !ok {
			break
		}
		j := &p.Jobs[i]
		if j.Trigger != nil {
			s.Open(i)
			if j.Trigger.Strategy == "" {
				s.Finish(i, StatusSuccess, false)
			}
			continue
		}
		outcome := outcomes[j.Name]
		if outcome == "" {
			outcome = StatusSuccess
		}
		s.Finish(i, outcome, outcome == StatusFailed && j.AllowFailure)
	}
	states := map[string]Status{}
	for i := range p.Jobs {
		states[p.Jobs[i].Name], _, _ = s.Job(i)
	}
	return states
}

func TestScheduleChildren(t *testing.T) {
	for _, tt := range []struct {
		name     string
		texts    []string
		failed   string // the job that fails
		want     string
		pipeline Status
	}{
		{"passes", []string{"1 A\n2 T\n3 Z", "T: depend\n1 a\n2 b"}, "",
			"A=success T=success Z=success T/a=success T/b=success", StatusSuccess},
		{"fails with its child", []string{"1 T\n2 Z\n2 F on_failure", "T: depend\n1 a\n2 b"}, "T/a",
			"T=failed Z=skipped F=success T/a=failed T/b=skipped", StatusFailed},
		{"fails as allowed", []string{"1 T allow\n2 Z", "T: mirror\n1 a"}, "T/a",
			"T=failed Z=success T/a=failed", StatusSuccess},
		{"goes on without it", []string{"1 T\n2 Z", "T:\n1 a\n2 b"}, "T/a",
			"T=success Z=success T/a=failed T/b=skipped", StatusSuccess},
		{"never starts", []string{"1 A\n2 T", "T: depend\n1 a\n2 b always needs a"}, "A",
			"A=failed T=skipped T/a=skipped T/b=skipped", StatusFailed},
		{"a failure stays within", []string{"1 T\n1 B\n2 Z", "T:\n1 a\n2 b"}, "B",
			"T=success B=failed Z=skipped T/a=success T/b=success", StatusFailed},
		{"stages of one name", []string{"1 A\n2 T\n2 B\n3 Z", "T: depend\n1 a\n3 b"}, "B",
			"A=success T=success B=failed Z=skipped T/a=success T/b=success", StatusFailed},
		{"grandchildren", []string{"1 T\n2 Z", "T: depend\n1 U\n2 b", "T/U: depend\n1 x\n2 y"}, "T/U/x",
			"T=failed Z=skipped T/U=failed T/b=skipped T/U/x=failed T/U/y=skipped", StatusFailed},
		{"a grandchild never starts", []string{"1 T", "T: depend\n1 a\n2 U", "T/U: depend\n1 x"}, "T/a",
			"T=failed T/a=failed T/U=skipped T/U/x=skipped", StatusFailed},
		{"blocked", []string{"1 T\n2 Z\n2 D needs", "T: depend\n1 m manual\n2 b"}, "",
			"T=running Z=created D=success T/m=manual T/b=created", StatusManual},
		{"an optional job is no hindrance", []string{"1 T\n2 Z", "T: depend\n1 a\n1 m manual allow"}, "",
			"T=success Z=success T/a=success T/m=manual", StatusSuccess},
		{"all is skipped", []string{"1 T\n2 Z\n2 D needs T", "T: depend\n1 a on_failure"}, "",
			"T=skipped Z=success D=skipped T/a=skipped", StatusSuccess},
		{"a manual trigger job", []string{"1 T manual allow\n2 Z", "T: depend\n1 a"}, "",
			"T=manual Z=success T/a=created", StatusSuccess},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parseFamily(t, tt.texts...)
			s, err := NewSchedule(p)
			if err != nil {
				t.Fatal(err)
			}
			states := finishFamily(p, s, map[string]Status{tt.failed: StatusFailed})
			if got := stateList(p, states); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got := s.Status(); got != tt.pipeline {
				t.Errorf("pipeline: %s, want %s", got, tt.pipeline)
			}
			if s.Running()+s.Ready()+s.Holding() != 0 {
				t.Error("something is left to do")
			}
		})
	}
}

// TestScheduleNeedsAbove: a job of a child pipeline may wait for one of a pipeline
// above, whichever is first, the end of that or the start of the child.
func TestScheduleNeedsAbove(t *testing.T) {
	for _, outcome := range []Status{StatusSuccess, StatusFailed} {
		for _, late := range []bool{false, true} {
			p := parseFamily(t, "1 A\n1 T needs", "T: depend\n1 a needs\n1 b")
			p.Jobs[2].Needs = []plan.Need{{Job: "A"}}
			s, err := NewSchedule(p)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				s.Next()
			}
			if late {
				s.Open(1)
				s.Finish(0, outcome, false)
			} else {
				s.Finish(0, outcome, false)
				s.Open(1)
			}
			states := finishFamily(p, s, nil)
			want := map[Status]Status{StatusSuccess: StatusSuccess, StatusFailed: StatusSkipped}[outcome]
			if states["T/a"] != want || states["T/b"] != StatusSuccess || states["T"] != StatusSuccess {
				t.Errorf("A %s, late %v: %s", outcome, late, stateList(p, states))
			}
		}
	}
}

// TestSchedulePlayTrigger: what was skipped with a trigger job comes back with it.
func TestSchedulePlayTrigger(t *testing.T) {
	p := parseFamily(t, "1 M manual allow\n2 T needs M\n2 Z needs T", "T: depend\n1 a\n2 b")
	s, err := NewSchedule(p)
	if err != nil {
		t.Fatal(err)
	}
	if got := stateList(p, finishFamily(p, s, nil)); got != "M=manual T=skipped Z=skipped T/a=skipped T/b=skipped" {
		t.Fatal(got)
	}
	s.Settled()
	if reset, ok := s.Play(0); !ok || !slices.Equal(reset, []int{1, 2, 3, 4}) {
		t.Errorf("reset %v, %v", reset, ok)
	}
	if got := stateList(p, finishFamily(p, s, nil)); got != "M=success T=success Z=success T/a=success T/b=success" {
		t.Error(got)
	}
	if got := s.Ended(); !slices.Equal(got, []int{1}) {
		t.Errorf("ended: %v", got)
	}
}

// TestScheduleCancelFamily: what is given up ends the trigger jobs that wait for it.
func TestScheduleCancelFamily(t *testing.T) {
	p := parseFamily(t, "1 T\n2 Z", "T: depend\n1 a\n2 b")
	s, err := NewSchedule(p)
	if err != nil {
		t.Fatal(err)
	}
	i, _ := s.Next()
	s.Open(i)
	a, _ := s.Next()
	s.Cancel("stop", nil)
	s.Finish(a, StatusCanceled, false)
	if got := stateList(p, finishFamily(p, s, nil)); got != "T=canceled Z=canceled T/a=canceled T/b=canceled" {
		t.Error(got)
	}
}

// TestScheduleFamilies runs random families of pipelines in a random order: jobs
// start only once the trigger job above them has, what waits for an awaited
// pipeline starts after its last job, and the ends are those of specification 17
// within each pipeline. Half of the families grow while they run.
func TestScheduleFamilies(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 7))
		parent, outcomes := randomPlan(t, r)
		at := r.IntN(len(parent.Jobs))
		name := parent.Jobs[at].Name
		childPlan, childOutcomes := randomPlan(t, r)
		strategy := [...]string{"", "depend"}[r.IntN(2)]
		parent.Jobs[at].Trigger = &plan.Trigger{Kind: plan.TriggerDynamic, Strategy: strategy}
		whole, _, err := parent.Adopt(plan.Child{Trigger: name, Plan: childPlan})
		if err != nil {
			t.Fatal(err)
		}
		grows := r.IntN(2) == 0
		p := whole
		if grows {
			p = parent
		}
		s, err := NewSchedule(p)
		if err != nil {
			t.Fatal(err)
		}
		opened := false
		var running []int
		for {
			for {
				for _, i := range s.Held() {
					s.Due(i)
				}
				i, ok := s.Next()
				if !ok {
					break
				}
				if i >= len(parent.Jobs) && !opened {
					t.Fatalf("seed %d: job %s starts before its pipeline", seed, whole.Jobs[i].Name)
				}
				if i != at {
					running = append(running, i)
					continue
				}
				if grows {
					if err := s.Extend(whole); err != nil {
						t.Fatal(err)
					}
				}
				opened = true
				if s.Open(i); strategy == "" {
					s.Finish(i, StatusSuccess, false)
				}
			}
			if len(running) == 0 {
				break
			}
			k := r.IntN(len(running))
			i := running[k]
			running = slices.Delete(running, k, k+1)
			outcome := append(slices.Clone(outcomes), childOutcomes...)[i]
			s.Finish(i, outcome, whole.Jobs[i].AllowFailure)
		}
		checkFamily(t, s, seed, at, parent, childPlan, outcomes, childOutcomes, opened)
		if t.Failed() {
			return
		}
	}
}

// checkFamily compares the ends with those of the pipelines each by itself.
func checkFamily(t *testing.T, s *Schedule, seed uint64, at int, parent, child *plan.Plan, outcomes, childOutcomes []Status, opened bool) {
	t.Helper()
	inside := oracle(child, childOutcomes)
	var total tally
	for i := range inside {
		total.add(mapped(inside[i], child.Jobs[i].AllowFailure), 1)
		if !opened {
			continue
		}
		if got, _, _ := s.Job(len(parent.Jobs) + i); got != inside[i] {
			t.Errorf("seed %d: job %s of the child is %s, want %s", seed, child.Jobs[i].Name, got, inside[i])
		}
	}
	outcomes = slices.Clone(outcomes)
	outcomes[at] = StatusSuccess
	if parent.Jobs[at].Trigger.Strategy != "" {
		if outcomes[at] = total.composite(false); !outcomes[at].complete() {
			outcomes[at] = StatusRunning // as its pipeline is blocked
		}
	}
	for i, want := range oracle(parent, outcomes) {
		if got, _, _ := s.Job(i); got != want {
			t.Errorf("seed %d: job %s is %s, want %s", seed, parent.Jobs[i].Name, got, want)
		}
	}
}
