package exec

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cic-ci/cic/plan"
)

// parsePlan builds a plan of lines such as
//
//	2 C on_failure allow needs A B
//
// stage, name, then any of: a when, allow, needs with the rest of the line.
// Without needs a job waits for all earlier stages.
func parsePlan(t testing.TB, text string) *plan.Plan {
	t.Helper()
	p := &plan.Plan{FormatVersion: plan.FormatVersion, Source: "ci.yml"}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		stage := "stage" + fields[0]
		if !slices.Contains(p.Stages, stage) {
			p.Stages = append(p.Stages, stage)
		}
		j := plan.Job{
			Name: fields[1], Stage: stage, When: "on_success", AfterStages: true, Timeout: 3600,
			Image:  plan.Image{Name: plan.Literal("docker.io/library/alpine:latest")},
			Script: plan.Script{Path: "jobs/" + fields[1] + ".sh", Shell: "sh"},
		}
		for i, f := range fields[2:] {
			if f == "needs" {
				j.AfterStages = false
				for _, need := range fields[2+i+1:] {
					j.Needs = append(j.Needs, plan.Need{Job: need, Artifacts: true})
				}
				break
			}
			if f == "allow" {
				j.AllowFailure = true
			} else {
				j.When = f
			}
		}
		p.Jobs = append(p.Jobs, j)
	}
	var err error
	if p.Batches, err = plan.Levels(p.Stages, p.Jobs); err != nil {
		t.Fatal(err)
	}
	return p
}

// simulate runs a schedule to its end; jobs end as outcomes says, else with success.
func simulate(t testing.TB, p *plan.Plan, outcomes map[string]Status) (states map[string]Status, s *Schedule) {
	t.Helper()
	s, err := NewSchedule(p)
	if err != nil {
		t.Fatal(err)
	}
	return finishAll(t, p, s, outcomes), s
}

// finishAll goes on with a schedule to its end.
func finishAll(t testing.TB, p *plan.Plan, s *Schedule, outcomes map[string]Status) (states map[string]Status) {
	t.Helper()
	for {
		i, ok := s.Next()
		if !ok {
			for _, i := range s.Held() {
				s.Due(i)
			}
			if i, ok = s.Next(); !ok {
				break
			}
		}
		status := outcomes[p.Jobs[i].Name]
		if status == "" {
			status = StatusSuccess
		}
		s.Finish(i, status, p.Jobs[i].AllowFailure)
	}
	states = map[string]Status{}
	for i := range p.Jobs {
		states[p.Jobs[i].Name], _, _ = s.Job(i)
	}
	return states
}

// TestScheduleVectors holds the consequences that specification 17.4 lists and
// the worked vectors of 34.7.
func TestScheduleVectors(t *testing.T) {
	for _, tt := range []struct {
		name, plan string
		bad        string // names that fail, or end as NAME=status
		want       string
		pipeline   Status
	}{
		{"stage failure skips the next", "1 A\n1 A2\n2 B", "A", "A=failed A2=success B=skipped", StatusFailed},
		{"allowed failure counts as success", "1 A allow\n2 B\n2 C on_failure", "A", "A=failed B=success C=skipped", StatusSuccess},
		{"failure two levels up with needs", "1 A\n2 B needs A\n3 C on_failure needs B", "A", "A=failed B=skipped C=skipped", StatusFailed},
		{"failure two levels up by stages", "1 A\n2 B\n3 C on_failure", "A", "A=failed B=skipped C=success", StatusFailed},
		{"needs of a success", "1 A\n1 A2\n2 B needs A2", "A", "A=failed A2=success B=success", StatusFailed},
		{"optional manual", "1 M manual allow\n2 B\n2 D needs M", "", "M=manual B=success D=skipped", StatusSuccess},
		{"blocking manual", "1 M manual\n2 B\n2 D needs", "", "M=manual B=created D=success", StatusManual},
		{"need of a blocking manual waits", "1 M manual\n2 B needs M\n3 C needs", "", "M=manual B=created C=success", StatusManual},
		{"blocking manual beside a failure", "1 M manual\n1 A", "A", "M=manual A=failed", StatusManual},
		{"always with a failed and a skipped need", "1 A\n2 B needs A\n3 C always needs A B", "A", "A=failed B=skipped C=success", StatusFailed},
		{"on_failure with a failed and a skipped need", "1 A\n2 B needs A\n3 C on_failure needs A B", "A", "A=failed B=skipped C=skipped", StatusFailed},
		{"canceled runs not even always", "1 A\n2 C always", "A=canceled", "A=canceled C=skipped", StatusCanceled},
		{"canceled need", "1 A\n2 C always needs A", "A=canceled", "A=canceled C=skipped", StatusCanceled},
		{"canceled and failed is failed", "1 A\n1 B\n2 C always", "A=canceled B", "A=canceled B=failed C=success", StatusFailed},
		{"always after a failure", "1 A\n2 B\n3 C always", "A", "A=failed B=skipped C=success", StatusFailed},
		{"on_failure in the first stage", "1 A on_failure\n1 B\n2 C on_failure needs", "", "A=skipped B=success C=skipped", StatusSuccess},
		{"a wholly skipped stage is neutral", "1 A\n2 B on_failure\n3 C", "", "A=success B=skipped C=success", StatusSuccess},
		{"everything skipped", "1 A on_failure\n1 B on_failure", "", "A=skipped B=skipped", StatusSkipped},
		{"need of a skipped job", "1 A\n2 B on_failure needs A\n3 C needs B\n3 D always needs B", "", "A=success B=skipped C=skipped D=success", StatusSuccess},
		{"jobs with needs in earlier stages count", "1 A\n2 B needs\n3 C", "B", "A=success B=failed C=skipped", StatusFailed},
		{"later stage with needs runs in spite of a failure", "1 A\n1 B\n2 C needs B\n3 D needs C", "A", "A=failed B=success C=success D=success", StatusFailed},
		{"manual that is not reached is skipped", "1 A\n2 M manual", "A", "A=failed M=skipped", StatusFailed},
		{"delayed runs", "1 A delayed\n2 B", "", "A=success B=success", StatusSuccess},
		{"allowed cancel is a warning", "1 A allow\n2 B", "A=canceled", "A=canceled B=success", StatusSuccess},
		{"chain in one stage", "1 A\n1 B needs A\n1 C needs B\n2 D", "B", "A=success B=failed C=skipped D=skipped", StatusFailed},
		{"always does not wait for a person once a need is skipped", "1 M manual\n1 A on_failure\n2 B needs M\n2 C always needs A M\n2 D always needs A B", "", "M=manual A=skipped B=created C=success D=success", StatusManual},
		{"no jobs", "", "", "", StatusSuccess},
	} {
		t.Run(tt.name, func(t *testing.T) {
			outcomes := map[string]Status{}
			for _, b := range strings.Fields(tt.bad) {
				name, status, found := strings.Cut(b, "=")
				if !found {
					status = string(StatusFailed)
				}
				outcomes[name] = Status(status)
			}
			p := parsePlan(t, tt.plan)
			states, s := simulate(t, p, outcomes)
			var got []string
			for i := range p.Jobs {
				got = append(got, p.Jobs[i].Name+"="+string(states[p.Jobs[i].Name]))
			}
			if g := strings.Join(got, " "); g != tt.want {
				t.Errorf("got  %s\nwant %s", g, tt.want)
			}
			if s.Status() != tt.pipeline {
				t.Errorf("pipeline %s, want %s", s.Status(), tt.pipeline)
			}
		})
	}
}

func TestScheduleReasons(t *testing.T) {
	p := parsePlan(t, `
		1 A
		1 M manual allow
		2 B
		2 C on_failure needs
		2 D needs A
		3 E needs D
		3 F needs M`)
	_, s := simulate(t, p, map[string]Status{"A": StatusFailed})
	want := map[string]string{
		"M": "waits for a person",
		"B": `job "A" of an earlier stage failed`,
		"C": "runs only after a failure",
		"D": `needs "A", which failed`,
		"E": `needs "D", which was skipped`,
		"F": `needs "M", which is manual and was not started`,
	}
	for i := range p.Jobs {
		if _, _, reason := s.Job(i); reason != want[p.Jobs[i].Name] {
			t.Errorf("%s: %q, want %q", p.Jobs[i].Name, reason, want[p.Jobs[i].Name])
		}
	}
}

func TestSchedulePrefersLongChains(t *testing.T) {
	p := parsePlan(t, `
		1 short needs
		1 long needs
		1 bystander needs
		1 stage
		2 l1 needs long
		2 l2 needs l1
		2 last`)
	s, err := NewSchedule(p)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for {
		i, ok := s.Next()
		if !ok {
			break
		}
		order = append(order, p.Jobs[i].Name)
	}
	// "last" waits for all of stage 1, so all of it has one job behind it; "long" has two.
	if got := strings.Join(order, " "); got != "long short bystander stage" {
		t.Errorf("order: %s", got)
	}
}

func TestScheduleSoon(t *testing.T) {
	p := parsePlan(t, `
		1 A
		1 B
		2 C needs A
		2 D
		2 E manual needs A
		2 F on_failure needs A
		3 G needs C`)
	s, err := NewSchedule(p)
	if err != nil {
		t.Fatal(err)
	}
	soon := func() string {
		var names []string
		for {
			i, ok := s.Soon()
			if !ok {
				return strings.Join(names, " ")
			}
			names = append(names, p.Jobs[i].Name)
		}
	}
	if got := soon(); got != "" {
		t.Errorf("before anything runs: %s", got)
	}
	a, _ := s.Next()
	if got := soon(); p.Jobs[a].Name != "A" || got != "C G" {
		t.Errorf("with %s running: %s", p.Jobs[a].Name, got)
	}
	s.Next()
	if got := soon(); got != "D" {
		t.Errorf("with A and B running: %s", got)
	}
	s.Finish(a, StatusSuccess, false)
	if c, _ := s.Next(); p.Jobs[c].Name != "C" || soon() != "" {
		t.Errorf("something is offered twice")
	}
}

// The jobs next to those that run come before a longer chain's that are further off,
// and nothing behind a job that may never run is prepared.
func TestScheduleSoonOrder(t *testing.T) {
	p := parsePlan(t, `
		1 A
		1 X
		2 B needs A
		2 Y needs X
		2 M manual needs A
		2 R needs A
		3 C needs B
		3 D needs C
		3 N needs M
		3 S needs R
		4 E`)
	group := plan.Literal("one")
	p.Jobs[5].ResourceGroup = &group
	s, err := NewSchedule(p)
	if err != nil {
		t.Fatal(err)
	}
	s.Next()
	s.Next()
	var got []string
	for {
		i, ok := s.Soon()
		if !ok {
			break
		}
		got = append(got, p.Jobs[i].Name)
	}
	if want := "B Y C D"; strings.Join(got, " ") != want {
		t.Errorf("prepared %v, want %s", got, want)
	}
}

func TestScheduleCancel(t *testing.T) {
	p := parsePlan(t, "1 A\n1 B\n1 O manual allow\n1 M manual\n2 C\n2 D needs A")
	s, err := NewSchedule(p)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := s.Next()
	s.Settled()
	if n := s.Cancel("stop", nil); n != 4 {
		t.Errorf("%d jobs given up", n)
	}
	s.Finish(a, StatusSuccess, false)
	if i, ok := s.Next(); ok {
		t.Errorf("%s starts after Cancel", p.Jobs[i].Name)
	}
	var got []string
	for i := range p.Jobs {
		status, _, _ := s.Job(i)
		got = append(got, p.Jobs[i].Name+"="+string(status))
	}
	if g := strings.Join(got, " "); g != "A=success B=canceled O=manual M=canceled C=canceled D=canceled" {
		t.Error(g)
	}
	if len(s.Settled()) != 4 || s.Status() != StatusCanceled {
		t.Errorf("settled or status wrong: %s", s.Status())
	}
}

func BenchmarkScheduleTwoStages(b *testing.B) {
	for _, n := range []int{500, 5000, 50000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var text strings.Builder
			for i := range n {
				fmt.Fprintf(&text, "%d job%d\n", 2*i/n, i)
			}
			p := parsePlan(b, text.String())
			for b.Loop() {
				simulate(b, p, nil)
			}
		})
	}
}
