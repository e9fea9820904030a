package exec

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cic-ci/cic/plan"
)

// oracle computes the final states by the text of specification 17.3, with no
// regard to cost.
func oracle(p *plan.Plan, outcomes []Status) []Status {
	states := make([]Status, len(p.Jobs))
	for i := range states {
		states[i] = StatusCreated
	}
	for changed := true; changed; {
		changed = false
		for i := range p.Jobs {
			if states[i] != StatusCreated {
				continue
			}
			j := &p.Jobs[i]
			var before tally
			for k := range p.Jobs {
				other := &p.Jobs[k]
				if j.AfterStages && slices.Index(p.Stages, other.Stage) < slices.Index(p.Stages, j.Stage) ||
					slices.ContainsFunc(j.Needs, func(n plan.Need) bool { return n.Job == other.Name }) {
					before.add(mapped(states[k], other.AllowFailure), 1)
				}
			}
			status := before.composite(!j.AfterStages)
			switch {
			case !status.complete():
				continue
			case !runsOn(j.When, status, !j.AfterStages):
				states[i] = StatusSkipped
			case j.When == "manual":
				states[i] = StatusManual
			default:
				states[i] = outcomes[i]
			}
			changed = true
		}
	}
	return states
}

func randomPlan(t testing.TB, r *rand.Rand) (*plan.Plan, []Status) {
	var text strings.Builder
	var outcomes []Status
	names := []string{}
	stages := 1 + r.IntN(4)
	for st := range stages {
		for range 1 + r.IntN(5) {
			name := fmt.Sprintf("j%d", len(names))
			fmt.Fprintf(&text, "%d %s %s", st, name, [...]string{"on_success", "on_success", "on_success", "on_failure", "always", "manual", "delayed"}[r.IntN(7)])
			if r.IntN(4) == 0 {
				text.WriteString(" allow")
			}
			if r.IntN(2) == 0 {
				text.WriteString(" needs")
				for _, n := range names {
					if r.IntN(len(names)) < 2 {
						text.WriteString(" " + n)
					}
				}
			}
			text.WriteString("\n")
			names = append(names, name)
			outcomes = append(outcomes, [...]Status{StatusSuccess, StatusSuccess, StatusSuccess, StatusFailed, StatusCanceled}[r.IntN(5)])
		}
	}
	return parsePlan(t, text.String()), outcomes
}

// TestScheduleAgainstOracle runs random graphs with a random order of ends: all
// that is decided must be what the specification says, nothing starts before
// what it waits for is done, and the end comes.
func TestScheduleAgainstOracle(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		p, outcomes := randomPlan(t, r)
		s, err := NewSchedule(p)
		if err != nil {
			t.Fatal(err)
		}
		var running, settled []int
		limit := 1 + r.IntN(4)
		for {
			settled = append(settled, s.Settled()...)
			for _, i := range s.Held() {
				s.Due(i)
			}
			for len(running) < limit {
				i, ok := s.Next()
				if !ok {
					break
				}
				checkStart(t, s, p, i)
				running = append(running, i)
			}
			if len(running) == 0 {
				break
			}
			if s.Running() != len(running) {
				t.Fatalf("seed %d: Running says %d of %d", seed, s.Running(), len(running))
			}
			k := r.IntN(len(running))
			i := running[k]
			running = slices.Delete(running, k, k+1)
			s.Finish(i, outcomes[i], p.Jobs[i].AllowFailure)
		}
		want := oracle(p, outcomes)
		var total tally
		for i := range p.Jobs {
			got, _, reason := s.Job(i)
			if got != want[i] {
				t.Errorf("seed %d: job %s is %s, want %s", seed, p.Jobs[i].Name, got, want[i])
			}
			undone := got == StatusSkipped || got == StatusManual
			if undone != (reason != "") || undone != slices.Contains(settled, i) {
				t.Errorf("seed %d: job %s is %s, reason %q, told: %v", seed, p.Jobs[i].Name, got, reason, slices.Contains(settled, i))
			}
			total.add(mapped(got, p.Jobs[i].AllowFailure), 1)
		}
		if got := s.Status(); got != total.composite(false) {
			t.Errorf("seed %d: pipeline %s, want %s", seed, got, total.composite(false))
		}
		if t.Failed() {
			return
		}
	}
}

// checkStart fails the test if what the job waits for is not done.
func checkStart(t *testing.T, s *Schedule, p *plan.Plan, job int) {
	t.Helper()
	j := &p.Jobs[job]
	for k := range p.Jobs {
		other := &p.Jobs[k]
		waits := slices.ContainsFunc(j.Needs, func(n plan.Need) bool { return n.Job == other.Name }) ||
			j.AfterStages && slices.Index(p.Stages, other.Stage) < slices.Index(p.Stages, j.Stage)
		// A job that runs in any case does not wait for a person.
		blocked := j.When == "always" && s.Running() == 1 && (other.When == "manual" || s.nodes[k].status == StatusCreated)
		if status, allowed, _ := s.Job(k); waits && !status.complete() && mapped(status, allowed) != statusIgnored && !blocked {
			t.Errorf("%s starts while %s is %s", j.Name, other.Name, status)
		}
	}
}
