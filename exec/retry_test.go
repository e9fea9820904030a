package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

func TestRetries(t *testing.T) {
	script := JobResult{Status: StatusFailed, Class: ClassScript, ExitCode: 3}
	oom := JobResult{Status: StatusFailed, Class: ClassOOM, ExitCode: 137}
	of := func(c Class) JobResult { return JobResult{Status: StatusFailed, Class: c} }
	for _, tt := range []struct {
		name   string
		retry  *plan.Retry
		result JobResult
		made   int
		want   bool
	}{
		{"none", nil, script, 1, false},
		{"no attempts", &plan.Retry{}, script, 1, false},
		{"any failure", &plan.Retry{Max: 1}, of(ClassConfig), 1, true},
		{"used up", &plan.Retry{Max: 1}, script, 2, false},
		{"a second time", &plan.Retry{Max: 2}, script, 2, true},
		{"success", &plan.Retry{Max: 2}, JobResult{Status: StatusSuccess}, 1, false},
		{"canceled", &plan.Retry{Max: 2}, JobResult{Status: StatusCanceled, Class: ClassCanceled}, 1, false},
		{"exit code", &plan.Retry{Max: 1, ExitCodes: []int{2, 3}}, script, 1, true},
		{"another exit code", &plan.Retry{Max: 1, ExitCodes: []int{4}}, script, 1, false},
		{"exit code of a killed script", &plan.Retry{Max: 1, ExitCodes: []int{137}}, oom, 1, true},
		{"exit code 0 is no failure of the system", &plan.Retry{Max: 1, ExitCodes: []int{0}}, of(ClassSystem), 1, false},
		{"exit code or class", &plan.Retry{Max: 1, ExitCodes: []int{4}, When: []string{"script_failure"}}, script, 1, true},
		{"always", &plan.Retry{Max: 1, When: []string{"always"}}, of(ClassSystem), 1, true},
		{"script", &plan.Retry{Max: 1, When: []string{"script_failure"}}, script, 1, true},
		{"oom", &plan.Retry{Max: 1, When: []string{"script_failure"}}, oom, 1, true},
		{"script, not system", &plan.Retry{Max: 1, When: []string{"runner_system_failure"}}, script, 1, false},
		{"timeout", &plan.Retry{Max: 1, When: []string{"job_execution_timeout"}}, of(ClassTimeout), 1, true},
		{"stuck or timeout", &plan.Retry{Max: 1, When: []string{"stuck_or_timeout_failure"}}, of(ClassTimeout), 1, true},
		{"pull", &plan.Retry{Max: 1, When: []string{"runner_system_failure"}}, of(ClassImagePull), 1, true},
		{"system", &plan.Retry{Max: 1, When: []string{"runner_system_failure"}}, of(ClassSystem), 1, true},
		{"config", &plan.Retry{Max: 1, When: []string{"runner_configuration_error"}}, of(ClassConfig), 1, true},
		{"what only a server knows", &plan.Retry{Max: 1, When: []string{"api_failure", "stale_schedule"}}, script, 1, false},
	} {
		if got := retries(&plan.Job{Retry: tt.retry}, &tt.result, tt.made); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// codes is a program that ends with one code after the other.
func codes(list ...int) func(context.Context, Program, io.Writer) (int, error) {
	n := 0
	return func(_ context.Context, _ Program, out io.Writer) (int, error) {
		code := list[n]
		n++
		fmt.Fprintf(out, "attempt %d\n", n)
		return code, nil
	}
}

func TestRunRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := 0
		ids := map[string]bool{}
		w := &world{
			script:  programs{"a": codes(3, 4, 0)},
			closing: map[string]func() error{"a": func() error { time.Sleep(time.Second); return nil }},
			setup: map[string]func(context.Context, Spec) error{"a": func(_ context.Context, s Spec) error {
				for _, e := range s.Env {
					if id, ok := strings.CutPrefix(e, "CI_JOB_ID="); ok {
						ids[id] = true
					}
				}
				return nil
			}},
			collect: map[string]func() (*workspace.Manifest, error){},
		}
		h := newHarness(t, w)
		w.collect["a"] = func() (*workspace.Manifest, error) {
			files++
			if err := os.Mkdir(h.RunDir.ArtifactsDir("a"), 0o700); err != nil {
				return nil, err
			}
			return &workspace.Manifest{Files: make([]workspace.File, files), Size: int64(files)}, nil
		}
		p := withArtifacts(t, "1 a art\n2 b", "always")
		p.Jobs[0].Retry = &plan.Retry{Max: 2}
		res := h.run(t, t.Context(), p)
		if got := states(res); got != "a=success b=success" || res.Status != StatusSuccess {
			t.Error(got)
		}
		j := res.Jobs[0]
		if len(j.Attempts) != 3 || j.Attempts[0].ExitCode != 3 || j.Attempts[1].ExitCode != 4 || j.Attempts[2].Status != StatusSuccess {
			t.Errorf("attempts: %+v", j.Attempts)
		}
		if j.Started.Sub(j.Attempts[0].Started) != 2*time.Second || j.Started != j.Attempts[2].Started {
			t.Errorf("an attempt starts when nothing is left of the one before: %+v", j)
		}
		for i, a := range j.Attempts {
			log, err := os.ReadFile(a.Log)
			if err != nil || !strings.HasPrefix(string(log), fmt.Sprintf("attempt %d\n", i+1)) {
				t.Errorf("log of attempt %d: %q, %v", i+1, log, err)
			}
		}
		if len(ids) != 3 || files != 3 || w.layers["b"][0] != h.RunDir.ArtifactsDir("a") || len(w.layers["b"]) != 1 {
			t.Errorf("ids %v, %d collections, b sees %v", ids, files, w.layers["b"])
		}
		if w.happened("setup b") < w.happened("close a") {
			t.Log("b was prepared while a was tried again")
		}
	})
}

// TestRunRetriesEveryFailure: also where it is allowed, and where the job could
// not even begin; but not what was interrupted.
func TestRunRetriesEveryFailure(t *testing.T) {
	broken := func(times int) func(context.Context, Spec) error {
		return func(context.Context, Spec) error {
			if times--; times >= 0 {
				return &Error{Class: ClassImagePull, Err: errors.New("no route")}
			}
			return nil
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			script: programs{"a": codes(1, 1), "c": codes(1, 0), "d": codes(1, 1)},
			setup:  map[string]func(context.Context, Spec) error{"b": broken(1)},
		}
		p := parsePlan(t, "1 a allow\n1 b\n1 c\n2 d on_success")
		for i := range p.Jobs {
			p.Jobs[i].Retry = &plan.Retry{Max: 1}
		}
		res := newHarness(t, w).run(t, t.Context(), p)
		if got := states(res); got != "a=failed/script b=success c=success d=failed/script" {
			t.Error(got)
		}
		for i, want := range []int{2, 2, 2, 2} {
			if got := len(res.Jobs[i].Attempts); got != want {
				t.Errorf("%s: %d attempts", res.Jobs[i].Name, got)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			script:  programs{"a": codes(1, 0), "b": sleeps(time.Hour)},
			closing: map[string]func() error{"a": func() error { time.Sleep(time.Minute); return nil }},
		}
		p := parsePlan(t, "1 a\n1 b")
		p.Jobs[0].Retry, p.Jobs[1].Retry = &plan.Retry{Max: 1}, &plan.Retry{Max: 1}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel) // between two attempts of a
		res := newHarness(t, w).run(t, ctx, p)
		if got := states(res); got != "a=failed/script b=canceled/canceled" || len(res.Jobs[0].Attempts) != 0 {
			t.Errorf("%s, %+v", got, res.Jobs[0].Attempts)
		}
	})
}

func TestRunOutOfMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{script: programs{"a": exits(137)}, hits: map[string]Hits{"a": {OOM: true, PIDs: true}}}
		p := parsePlan(t, "1 a")
		p.Jobs[0].Resources = &plan.Resources{Memory: 512 << 20, PIDs: 100}
		p.Jobs[0].AllowFailureExitCodes = []int{137}
		h := newHarness(t, w)
		res := h.run(t, t.Context(), p)
		j := res.Jobs[0]
		if j.Class != ClassOOM || !j.Allowed || j.ExitCode != 137 || !strings.Contains(j.Error, "out of memory") || !strings.Contains(j.Error, "512 MiB") {
			t.Errorf("%+v", j)
		}
		if log := readLog(t, h, "a"); !strings.Contains(log, "the limit of 100 processes was hit") {
			t.Errorf("log: %q", log)
		}
	})
}
