package plan

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

const testScript = "#!/bin/sh\ntrue\n"

func testScriptFor(path string) Script {
	return Script{Path: path, SHA256: digest([]byte(testScript)), Shell: "sh"}
}

// simple returns a job that is valid by itself.
func simple(name, stage string) Job {
	return Job{
		Name: name, Stage: stage,
		Image:   Image{Name: Literal("docker.io/library/alpine:3.20")},
		Script:  testScriptFor(ScriptPath(name)),
		When:    "on_success",
		Timeout: 3600,
	}
}

// assemble makes a plan of jobs, which must be ordered by stage.
func assemble(t testing.TB, jobs ...Job) *Plan {
	t.Helper()
	p := &Plan{
		FormatVersion: FormatVersion,
		Source:        ".gitlab-ci.yml",
		Context:       Context{Ref: "main", RefType: "branch", Event: "push"},
		Jobs:          jobs,
	}
	for i := range jobs {
		if n := len(p.Stages); n == 0 || p.Stages[n-1] != jobs[i].Stage {
			p.Stages = append(p.Stages, jobs[i].Stage)
		}
	}
	var err error
	if p.Batches, err = Levels(p.Stages, p.Jobs); err != nil {
		t.Fatal(err)
	}
	return p
}

// full returns a valid plan in which every field of the language is used.
func full(t testing.TB) *Plan {
	t.Helper()
	p := plain(t)
	downstream := triggerJob("downstream", "deploy", Trigger{
		Kind: TriggerExternal, Strategy: "mirror", Project: &Text{Value: "a/b"}, Branch: &Text{Value: "main"}, Reason: "it is another project's",
	})
	generated := triggerJob("generated", "deploy", Trigger{Kind: TriggerDynamic, ForwardReports: true, Variables: Variables{{"A", Literal("x")}}, Include: []ChildFile{
		{Artifact: "ci.yml", Job: "build", Inputs: map[string]string{"n": "1"}}, {Local: "a.yml"}, {Template: "x.gitlab-ci.yml"},
		{Remote: "https://x.example/a.yml"}, {Component: "x.example/a/b@1"}, {Project: "a/b", File: "c.yml", Ref: "v1"},
	}})
	generated.AfterStages = true
	child := triggerJob("child", "deploy", Trigger{Kind: TriggerChild, Strategy: "depend", Include: []ChildFile{{Local: "child.yml"}}})
	started := triggerJob("started", "deploy", Trigger{Kind: TriggerChild, Project: &Text{Value: "a/b"}, Branch: &Text{Value: "main"}})
	p.Jobs = append(p.Jobs, downstream, generated, child, started)
	other := fullChild(t)
	other.Variables = ContextVariables(Context{Ref: "main", RefType: "branch", Event: OtherEvent})
	whole, _, err := adopt(t, p, "child", fullChild(t)).Adopt(Child{Trigger: "started", Plan: other,
		Project: &Project{Path: "a/b", Source: ".gitlab-ci.yml", Ref: "main", Variables: other.Variables}})
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// plain is full without anything of child pipelines.
func plain(t testing.TB) *Plan {
	t.Helper()
	build := simple("build", "build")
	build.Artifacts = &Artifacts{
		Name:      &Text{Value: "app-${CI_COMMIT_SHA}", Template: true},
		Paths:     []Text{Literal("dist/"), Literal("*.log")},
		Exclude:   []Text{Literal("dist/tmp/**/*")},
		Untracked: true,
		When:      "always",
		ExpireIn:  86400,
		Reports:   map[string][]Text{"junit": {Literal("junit.xml")}, "dotenv": {Literal("build.env")}},
	}
	lint := simple("lint", "build")
	after := testScriptFor(AfterScriptPath("test: [3.11, sqlite]"))
	test := Job{
		Name: "test: [3.11, sqlite]", Stage: "test",
		Image: Image{
			Name: Literal("docker.io/library/python:3.11"), Entrypoint: []Text{Literal("env")},
			User: "1000:1000", PullPolicy: []string{"always", "if-not-present"},
		},
		Services: []Service{{
			Image: Image{Name: Literal("docker.io/library/postgres:15"), Entrypoint: []Text{{"/${CI_JOB_ID}", true}}},
			Alias: []string{"db"}, Command: []Text{Literal("postgres"), Literal("-c"), {"port=${CI_JOB_ID}", true}},
			Variables: Variables{{"POSTGRES_PASSWORD", Literal("x")}}, Privileged: true,
		}},
		Variables:   Variables{{"APP", Literal("a <b> & 'c'\n")}, {"WHO", Text{"${GITLAB_USER_NAME} $$", true}}},
		Secrets:     []Secret{{Name: "KEY", File: true}, {Name: "TOKEN"}},
		Reads:       []string{"EDITOR", "HOME"},
		Script:      testScriptFor(ScriptPath("test: [3.11, sqlite]")),
		AfterScript: &after,
		Needs:       []Need{{Job: "build", Artifacts: true}, {Job: "lint", Optional: true}},
		ExternalNeeds: []ExternalNeed{
			{Project: &Text{Value: "group/lib"}, Ref: &Text{Value: "main"}, Job: Literal("build")},
			{Pipeline: &Text{Value: "7"}, Job: Literal("build")},
		},
		Release: &Release{
			TagName: Literal("v1"), Name: &Text{Value: "One"}, Description: Literal("The\nfirst."), Ref: &Text{Value: "main"},
			TagMessage: &Text{Value: "v1"}, Milestones: []Text{Literal("m1")}, ReleasedAt: "2026-03-15",
			Links: []ReleaseLink{{Name: Literal("app"), URL: Literal("https://x.example/app"), Filepath: &Text{Value: "/app"}, Type: "package"}},
		},
		Inputs:                &Inputs{Jobs: []string{"build"}},
		Artifacts:             &Artifacts{Untracked: true, When: "on_success"},
		Caches:                []Cache{{Key: Literal("pip"), KeyFiles: []string{"*.lock"}, KeyCommits: true, FallbackKeys: []Text{Literal("default")}, Paths: []Text{Literal(".cache/")}, Untracked: true, Policy: Literal("pull-push"), When: "on_success"}},
		DotenvFrom:            []string{"build"},
		When:                  "delayed",
		StartIn:               60,
		AllowFailureExitCodes: []int{3, 137},
		Retry:                 &Retry{Max: 2, When: []string{"script_failure"}, ExitCodes: []int{1}},
		Timeout:               600,
		ScriptTimeout:         500,
		AfterScriptTimeout:    60,
		ResourceGroup:         &Text{Value: "db"},
		Environment:           &Environment{Name: Literal("review/x"), URL: &Text{Value: "https://x.example"}, Action: "start", Tier: "testing"},
		Resources:             &Resources{CPUs: 1.5, Memory: 1 << 30, Disk: 1 << 31, PIDs: 100},
		Privileged:            true,
		Devices:               []string{"/dev/kvm"},
		HostNetwork:           true,
		Matrix:                Variables{{"DB", Literal("sqlite")}, {"PY", Literal("3.11")}},
		Coverage:              `TOTAL.*?(\d+)%`,
		Interruptible:         true,
	}
	deploy := simple("deploy", "deploy")
	deploy.AfterStages = true
	deploy.Inputs = &Inputs{BeforeStage: "deploy"}
	deploy.AllowFailure = true
	deploy.When, deploy.ManualConfirmation = "manual", "Really?"
	p := assemble(t, build, lint, test, deploy)
	p.Name = "demo"
	p.AutoCancel = &AutoCancel{OnJobFailure: "all", OnNewCommit: "interruptible"}
	p.Context.Event, p.Context.TargetBranch = EventMergeRequest, "trunk"
	value := "web"
	p.Context.Options = map[string]string{"artifacts": "needs"}
	p.Context.Given = []string{"APP"}
	p.Context.Read = map[string]*string{"KIND": &value, "NONE": nil}
	p.Variables = ContextVariables(p.Context)
	own := "slow"
	left := []TriedRule{
		{Rule: `if: $CI_PIPELINE_SOURCE == "schedule" && $MODE`, Unmet: "if", Values: map[string]*string{"MODE": &own, "NODE": nil}},
		{Rule: "if: $KIND || $NONE; changes: src/**", Unmet: "changes"},
	}
	in := []TriedRule{{Rule: "changes: a; exists: b", Assumed: "changes"}}
	p.Workflow = []TriedRule{
		{Rule: "if: $NONE", Unmet: "if"},
		{Rule: "if: $KIND; changes: $DIR", Assumed: "changes", Values: map[string]*string{"DIR": &own}},
	}
	p.Rules = map[string][]TriedRule{RulesKey(left): left, RulesKey(in): in}
	p.Jobs[2].Rules = RulesKey(in)
	p.Excluded = []Excluded{{Name: "nightly", Stage: "test", Reason: "rules: no rule matched", Rules: RulesKey(left)}}
	p.Warnings = []Warning{{Code: "CIC2107", Job: "deploy", Message: "tags have no effect", Ignored: "comment"}}
	return p
}

// triggerJob returns a trigger job that is valid by itself.
func triggerJob(name, stage string, t Trigger) Job {
	return Job{Name: name, Stage: stage, When: "on_success", Trigger: &t}
}

// fullChild returns a plan that becomes the child pipeline of full.
func fullChild(t testing.TB) *Plan {
	unit := simple("unit", "test")
	unit.Artifacts = &Artifacts{Paths: []Text{Literal("out")}, When: "always"}
	ship := simple("ship", "ship")
	ship.AfterStages = true
	ship.Inputs = &Inputs{BeforeStage: "ship"}
	c := assemble(t, unit, ship)
	c.Name = "a child"
	c.AutoCancel = &AutoCancel{OnJobFailure: "all", OnNewCommit: "none"}
	c.Context.Event = ChildEvent
	c.Context.Given = []string{"APP"}
	c.Workflow = []TriedRule{
		{Rule: "if: $NONE", Unmet: "if", Values: map[string]*string{"NONE": nil}}, {Rule: "changes: [a]", Assumed: "changes"},
	}
	c.Variables = ContextVariables(c.Context)
	return c
}

// adopt adds a child pipeline to a plan.
func adopt(t testing.TB, p *Plan, trigger string, child *Plan) *Plan {
	t.Helper()
	whole, _, err := p.Adopt(Child{Trigger: trigger, Plan: child})
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

func TestFullIsValidAndFull(t *testing.T) {
	p := full(t)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	eachField(reflect.ValueOf(p).Elem(), "", func(path string, v reflect.Value) {
		if !v.IsZero() {
			used[generic(path)] = true
		} else if _, ok := used[generic(path)]; !ok {
			used[generic(path)] = false
		}
	})
	for path, ok := range used {
		if !ok && !strings.HasSuffix(path, ".Template") && !strings.HasPrefix(path, ".Jobs.Services.Image.") {
			t.Errorf("no value for %s: the tests that go over all fields would miss it", path)
		}
	}
}

// eachField calls visit for every settable field and element below v.
func eachField(v reflect.Value, path string, visit func(path string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachField(v.Elem(), path, visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := path + "." + v.Type().Field(i).Name
			visit(field, v.Field(i))
			eachField(v.Field(i), field, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			element := fmt.Sprintf("%s[%d]", path, i)
			visit(element, v.Index(i))
			eachField(v.Index(i), element, visit)
		}
	}
}

// generic drops indices from a path.
func generic(path string) string {
	var out []rune
	depth := 0
	for _, r := range path {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case depth == 0:
			out = append(out, r)
		}
	}
	return string(out)
}

// randomPlan returns a valid plan of some jobs in some stages.
func randomPlan(t testing.TB, r *rand.Rand) *Plan {
	t.Helper()
	stages := 1 + r.IntN(5)
	var jobs []Job
	for s := range stages {
		for range 1 + r.IntN(6) {
			j := simple(fmt.Sprintf("j%d", len(jobs)), fmt.Sprintf("s%d", s))
			if r.IntN(2) == 0 {
				j.Artifacts = &Artifacts{Paths: []Text{Literal("out/" + j.Name)}, When: "on_success"}
			}
			switch r.IntN(3) {
			case 0:
				j.AfterStages = true
			case 1:
				for k := range jobs {
					if r.IntN(4) == 0 {
						j.Needs = append(j.Needs, Need{Job: jobs[k].Name, Artifacts: r.IntN(4) > 0})
					}
				}
				r.Shuffle(len(j.Needs), func(a, b int) { j.Needs[a], j.Needs[b] = j.Needs[b], j.Needs[a] })
			}
			jobs = append(jobs, j)
		}
	}
	p := assemble(t, jobs...)
	g, err := NewGraph(p)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Jobs {
		for _, k := range g.Producers(i) {
			if p.Jobs[i].Inputs == nil {
				p.Jobs[i].Inputs = &Inputs{}
			}
			p.Jobs[i].Inputs.Jobs = append(p.Jobs[i].Inputs.Jobs, p.Jobs[k].Name)
		}
	}
	return p
}
