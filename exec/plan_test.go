package exec

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cic-ci/cic/plan"
)

func TestEnvironment(t *testing.T) {
	p := parsePlan(t, "1 a\n1 b")
	p.Variables = plan.Variables{
		{Name: "CI", Value: plan.Literal("true")},
		{Name: "CI_COMMIT_REF_NAME", Value: plan.Literal("main")},
		{Name: "CI_PIPELINE_NAME", Value: plan.Text{Value: "$$ of ${CI_COMMIT_SHA}${CI_COMMIT_TITLE}", Template: true}},
	}
	p.Jobs[1].Variables = plan.Variables{{Name: "MINE", Value: plan.Literal("by the script")}}
	r := &run{plan: p, started: time.Unix(0, 0), Executor: Executor{RunDir: &RunDir{Number: 7}, Variables: map[string]string{
		"CI_COMMIT_SHA": "abc", "CI_PROJECT_DIR": "/etc", "CI_PROJECT_URL": "https://x/y", "CI_COMMIT_MESSAGE": "a=b\nc",
	}}}
	vars := r.runtimeVariables(1, 1)
	env, err := Environment(p, &p.Jobs[1], vars)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(env) {
		t.Errorf("not sorted: %q", env)
	}
	for _, want := range []string{
		"CI=true", "CI_COMMIT_REF_NAME=main", "CI_PIPELINE_NAME=$ of abc", "CI_JOB_NAME=b", "CI_JOB_STAGE=stage1",
		"CI_COMMIT_SHA=abc", "CI_COMMIT_MESSAGE=a=b\nc", "CI_PROJECT_DIR=/builds/project", "CI_BUILDS_DIR=/builds",
		"CI_JOB_ID=7000002", "CI_JOB_URL=https://x/y/-/jobs/7000002", "CI_PIPELINE_URL=https://x/y/-/pipelines/7", "CI_PIPELINE_ID=7", "CI_PIPELINE_IID=7", "CI_PIPELINE_CREATED_AT=1970-01-01T00:00:00Z",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("%q is missing in %q", want, env)
		}
	}
	if slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "MINE=") }) {
		t.Error("the script exports the job's own variables, not the environment")
	}
	p.Name = "nightly"
	if name := r.runtimeVariables(1, 1)["CI_PIPELINE_NAME"]; name != "nightly" {
		t.Errorf("the pipeline's name is %q", name)
	}
	p.Variables[0].Value = plan.Text{Value: "$x", Template: true}
	if _, err := Environment(p, &p.Jobs[0], nil); err == nil || !strings.Contains(err.Error(), "variable CI") {
		t.Errorf("a malformed template: %v", err)
	}
}

func TestSelect(t *testing.T) {
	p := parsePlan(t, `
		1 a
		1 b
		2 c needs a
		2 d
		3 e needs c
		3 f
		3 g needs`)
	for _, tt := range []struct{ names, jobs, stages, batches string }{
		{"a", "a", "stage1", "a"},
		{"e", "a c e", "stage1 stage2 stage3", "a|c|e"},
		{"d", "a b d", "stage1 stage2", "a b|d"},
		{"f", "a b c d f", "stage1 stage2 stage3", "a b|c d|f"},
		{"g", "g", "stage3", "g"},
		{"e g a e", "a c e g", "stage1 stage2 stage3", "a g|c|e"},
	} {
		part, err := Select(p, strings.Fields(tt.names))
		if err != nil {
			t.Fatal(err)
		}
		var jobs, batches []string
		for i := range part.Jobs {
			jobs = append(jobs, part.Jobs[i].Name)
		}
		for _, b := range part.Batches {
			batches = append(batches, strings.Join(b, " "))
		}
		if got := strings.Join(jobs, " "); got != tt.jobs {
			t.Errorf("%s: jobs %s", tt.names, got)
		}
		if got := strings.Join(part.Stages, " "); got != tt.stages {
			t.Errorf("%s: stages %s", tt.names, got)
		}
		if got := strings.Join(batches, "|"); got != tt.batches {
			t.Errorf("%s: batches %s", tt.names, got)
		}
	}
	if len(p.Jobs) != 7 {
		t.Error("the plan was changed")
	}
	for name, want := range map[string]string{
		"bb":    `the plan has no job "bb"; did you mean "b"?`,
		"hello": `the plan has no job "hello"`,
	} {
		if _, err := Select(p, []string{"a", name}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"build", "build", 0}, {"biuld", "build", 2}, {"buld", "build", 1}, {"", "ab", 2}, {"é", "e", 1}, {"abc", "xyz", 3}, {"a", "abcdefgh", 3}} {
		if got := editDistance(tt.a, tt.b, 3); got != tt.want {
			t.Errorf("%s, %s: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestExitCodePriority(t *testing.T) {
	job := func(c Class) JobResult { return JobResult{Status: StatusFailed, Class: c} }
	allowed := job(ClassSystem)
	allowed.Allowed = true
	for _, tt := range []struct {
		result Result
		want   int
	}{
		{Result{Status: StatusFailed, Jobs: []JobResult{job(ClassScript), job(ClassTimeout), job(ClassSystem)}}, 4},
		{Result{Status: StatusFailed, Jobs: []JobResult{job(ClassScript), job(ClassTimeout)}}, 5},
		{Result{Status: StatusManual, Jobs: []JobResult{job(ClassConfig)}}, 1},
		{Result{Status: StatusManual}, 8},
		{Result{Status: StatusSuccess, Jobs: []JobResult{allowed}}, 0},
		{Result{Status: StatusSkipped}, 0},
		{Result{Status: StatusCanceled, Interrupted: true, Jobs: []JobResult{job(ClassSystem)}}, 130},
	} {
		if got := tt.result.ExitCode(); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.result, got, tt.want)
		}
	}
}
