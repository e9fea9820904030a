package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cic-ci/cic/compile/syntax"
)

// withoutPlaces leaves out positions, which the diagnostics' tests hold.
var withoutPlaces = cmp.Options{
	cmpopts.IgnoreTypes(syntax.Pos{}),
	cmpopts.IgnoreFields(Command{}, "Node"),
	cmpopts.EquateEmpty(),
}

func text(value string) Text { return Text{Value: value} }

func texts(values ...string) []Text {
	var all []Text
	for _, v := range values {
		all = append(all, text(v))
	}
	return all
}

// cache is one with the defaults.
func cache(key string, paths ...string) Cache {
	return Cache{Key: text(key), Paths: texts(paths...), When: "on_success", Policy: text("pull-push")}
}

func commands(lines ...string) []Command {
	var all []Command
	for _, line := range lines {
		all = append(all, Command{Text: line})
	}
	return all
}

// TestJob decodes lines of one job and compares what differs from a job with
// nothing but a script.
func TestJob(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		lines string
		want  func(j *Job)
	}{
		{"stage: build", func(j *Job) { j.Stage = text("build") }},
		{"image: alpine", func(j *Job) { j.Image = &Image{Name: text("alpine")} }},
		{"image: {name: '$I', entrypoint: ['', -c], pull_policy: [always, never, always], docker: {user: '0:app'}}", func(j *Job) {
			j.Image = &Image{Name: text("$I"), Entrypoint: []string{"", "-c"}, PullPolicy: []string{"always", "never"}, User: Text{Value: "0:app"}}
		}},
		{"image: {name: a, entrypoint: [], pull_policy: never, docker: }", func(j *Job) {
			j.Image = &Image{Name: text("a"), PullPolicy: []string{"never"}}
		}},
		{"services: [postgres:13, {name: redis:6, alias: 'a b,c', command: [x], entrypoint: [y], variables: {A: 1}}]", func(j *Job) {
			j.Services = []Service{
				{Image: Image{Name: text("postgres:13")}},
				{
					Image:     Image{Name: text("redis:6"), Entrypoint: []string{"y"}},
					Alias:     []string{"a", "b", "c"},
					Command:   []string{"x"},
					Variables: []Variable{{Name: "A", Value: "1"}},
				},
			}
		}},
		{"variables: {B: 1.20x, A: true, C: {value: $A, expand: false}, D: {expand: true}}", func(j *Job) {
			j.Variables = []Variable{
				{Name: "B", Value: "1.20x"}, {Name: "A", Value: "true"}, {Name: "C", Value: "$A", Raw: true}, {Name: "D"},
			}
		}},
		{"before_script: a\nafter_script: [b, [c, [[d]], e]]", func(j *Job) {
			j.BeforeScript, j.AfterScript = commands("a"), commands("b", "c", "d", "e")
		}},
		{"before_script: ''\nafter_script: []", func(*Job) {}},
		{"before_script:\n  - '  a '\n  - |\n    b\n    c", func(j *Job) { j.BeforeScript = commands("  a ", "b\nc\n") }},
		{"rules: []", func(j *Job) { j.Rules = []Rule{} }},
		{"rules:\n  - if: $A\n    when: manual\n  - [{when: never}]\n  - if: $B", func(j *Job) {
			j.Rules = []Rule{{If: text("$A"), When: text("manual")}, {When: text("never")}, {If: text("$B")}}
		}},
		{"only: main", func(j *Job) { j.Only = &Filter{Refs: texts("main")} }},
		{"only: [main, /^v.*$/i]\nexcept: {refs: [tags]}", func(j *Job) {
			j.Only, j.Except = &Filter{Refs: texts("main", "/^v.*$/i")}, &Filter{Refs: texts("tags")}
		}},
		{"needs: []\ndependencies: []", func(j *Job) { j.Needs, j.Dependencies = &[]Need{}, &[]Text{} }},
		{"needs: [a, {job: b, artifacts: false, optional: true}, {job: c, artifacts: }]\ndependencies: [a]", func(j *Job) {
			deps := texts("a")
			j.Needs = &[]Need{
				{Job: text("a"), Artifacts: true}, {Job: text("b"), Optional: true}, {Job: text("c"), Artifacts: true},
			}
			j.Dependencies = &deps
		}},
		{"needs: {job: a}", func(j *Job) { j.Needs = &[]Need{{Job: text("a"), Artifacts: true}} }},
		{"artifacts: {name: n, paths: [dist/], exclude: [a/**], untracked: true, when: always, expire_in: 1 week}", func(j *Job) {
			name := text("n")
			j.Artifacts = &Artifacts{
				Name: &name, Paths: texts("dist/"), Exclude: texts("a/**"), Untracked: true, When: "always", ExpireIn: 604800,
			}
		}},
		{"artifacts: {untracked: true, expire_in: never}", func(j *Job) {
			j.Artifacts = &Artifacts{Untracked: true, When: "on_success"}
		}},
		{"artifacts: {when: always}", func(*Job) {}},
		{"cache:\n  key: ${CI_COMMIT_REF}\n  paths: [node_modules/]", func(j *Job) {
			j.Caches = []Cache{cache("${CI_COMMIT_REF}", "node_modules/")}
		}},
		{"cache: [{paths: [a]}, {key: 5}]", func(j *Job) {
			j.Caches = []Cache{cache("default", "a"), cache("5")}
		}},
		{"cache: {}", func(*Job) {}},
		{"retry: 2", func(j *Job) { j.Retry = &Retry{Max: 2} }},
		{"retry: {max: 1, when: script_failure, exit_codes: 3}", func(j *Job) {
			j.Retry = &Retry{Max: 1, When: []string{"script_failure"}, ExitCodes: []int{3}}
		}},
		{"retry: {when: [always, api_failure], exit_codes: [1, 2]}", func(j *Job) {
			j.Retry = &Retry{When: []string{"always", "api_failure"}, ExitCodes: []int{1, 2}}
		}},
		{"timeout: 90", func(j *Job) { j.Timeout = 90 }},
		{"timeout: '1:30'", func(j *Job) { j.Timeout = 90 }},
		{"timeout: 3h 30m", func(j *Job) { j.Timeout = 12600 }},
		{"timeout: '10'", func(j *Job) { j.Timeout = 10 }},
		{"timeout: 1 month", func(j *Job) { j.Timeout = 2592000 }},
		{"when: manual", func(j *Job) { j.When = text("manual") }},
		{"when: delayed\nstart_in: 1 week", func(j *Job) { j.When, j.StartIn = text("delayed"), 604800 }},
		{"allow_failure: true", func(j *Job) { j.AllowFailure = &yes }},
		{"allow_failure: {exit_codes: 137}", func(j *Job) { j.AllowFailure, j.AllowFailureExitCodes = &no, []int{137} }},
		{"allow_failure: {exit_codes: [1, 2]}", func(j *Job) { j.AllowFailure, j.AllowFailureExitCodes = &no, []int{1, 2} }},
		{"interruptible: true", func(j *Job) { j.Interruptible = true }},
		{`coverage: '/(\d+)%/'`, func(j *Job) { j.Coverage = `(\d+)%` }},
		{"stage:\nimage:\nservices:\nrules:\nonly:\nneeds:\nartifacts:\ncache:\nretry:\ntimeout:\nwhen:\nparallel:\nmatrix:\ntags:", func(*Job) {}},
	} {
		want := &Job{Name: "j", Base: "j", NodeTotal: 1, Stage: text("test"), Script: commands("x")}
		c.want(want)
		if diff := cmp.Diff(want, job(t, c.lines), withoutPlaces); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.lines, diff)
		}
	}
}

// TestNil holds the differences between nothing and an empty list that later
// passes act upon.
func TestNil(t *testing.T) {
	if j := job(t, "rules: []\nneeds: []"); j.Rules == nil || j.Needs == nil || j.Dependencies != nil || j.Only != nil {
		t.Errorf("empty lists: %+v", j)
	}
	if j := job(t, "rules:\nneeds:"); j.Rules != nil || j.Needs != nil {
		t.Errorf("null: %+v", j)
	}
}

func TestStages(t *testing.T) {
	for source, want := range map[string][]string{
		"j: {script: [x]}": {".pre", "build", "test", "deploy", ".post"},
		"stages: [b, [a, [.post]], b, .pre]\nj: {script: [x]}":        {".pre", "b", "a", ".post"},
		"stages: []\nj: {script: [x]}":                                {".pre", ".post"},
		"stages:\nj: {script: [x]}":                                   {".pre", "build", "test", "deploy", ".post"},
		"default:\nstages: [only]\nj: {script: [x]}\n.h: {stages: x}": {".pre", "only", ".post"},
	} {
		p, errs := Decode(parse(t, source))
		if len(errs) > 0 {
			t.Errorf("%s\n%s", source, report(errs))
		}
		if diff := cmp.Diff(texts(want...), p.Stages, withoutPlaces); diff != "" {
			t.Errorf("%s (-want +got)\n%s", source, diff)
		}
	}
}

func TestPipelineVariables(t *testing.T) {
	p, errs := Decode(parse(t, `
variables:
  B: b
  A: {value: $B, description: what it is, options: [$B, c], expand: false}
j: {script: [x]}`))
	if len(errs) > 0 {
		t.Fatal(report(errs))
	}
	want := []Variable{{Name: "B", Value: "b"}, {Name: "A", Value: "$B", Raw: true}}
	if diff := cmp.Diff(want, p.Variables, withoutPlaces); diff != "" {
		t.Error(diff)
	}
	if at := p.Variables[1].Pos; at.Line != 4 || at.Col != 3 {
		t.Errorf("A is at %v", at)
	}
}

// TestDefaults holds specification 5.1: whole values, null means absent, empty
// means given; each keyword of default and each deprecated global.
func TestDefaults(t *testing.T) {
	const defaults = `
default:
  image: {name: d, entrypoint: [e]}
  services: [s]
  cache: {paths: [c]}
  before_script: [b]
  after_script: [a]
  artifacts: {paths: [p]}
  retry: 1
  timeout: 1h
  interruptible: true
`
	all := Job{
		Image: &Image{Name: text("d"), Entrypoint: []string{"e"}}, Services: []Service{{Image: Image{Name: text("s")}}},
		Caches:       []Cache{cache("default", "c")},
		BeforeScript: commands("b"), AfterScript: commands("a"),
		Artifacts: &Artifacts{Paths: texts("p"), When: "on_success"},
		Retry:     &Retry{Max: 1}, Timeout: 3600, Interruptible: true,
	}
	for _, c := range []struct {
		source string
		want   Job
	}{
		{defaults + "j: {script: [x]}", all},
		{defaults + "j: {script: [x], image: , services: , cache: , before_script: , after_script: , artifacts: , retry: , timeout: , interruptible: }", all},
		{defaults + "j: {script: [x], image: {name: i}, services: [], cache: [], before_script: [], after_script: '', artifacts: {}, retry: 0, timeout: 5, interruptible: false}", Job{
			Image: &Image{Name: text("i")}, Retry: &Retry{}, Timeout: 5,
		}},
		{"image: i\nservices: [s]\ncache: {key: k}\nbefore_script: b\nafter_script: a\nj: {script: [x]}", Job{
			Image: &Image{Name: text("i")}, Services: []Service{{Image: Image{Name: text("s")}}}, Caches: []Cache{cache("k")},
			BeforeScript: commands("b"), AfterScript: commands("a"),
		}},
		{"image: i\ndefault: {image: , timeout: 1h}\nj: {script: [x]}", Job{Image: &Image{Name: text("i")}, Timeout: 3600}},
	} {
		p, errs := Decode(parse(t, c.source))
		if len(errs) > 0 {
			t.Errorf("%s\n%s", c.source, report(errs))
			continue
		}
		want := c.want
		want.Name, want.Base, want.NodeTotal, want.Stage, want.Script = "j", "j", 1, text("test"), commands("x")
		if diff := cmp.Diff(&want, p.Jobs[0], withoutPlaces); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.source, diff)
		}
	}
}

// TestPlaces holds the positions that later passes report.
func TestPlaces(t *testing.T) {
	p, errs := Decode(parse(t, `j:
  stage: s
  image: {name: i}
  script:
    - a
    - |
      b
      c
  rules:
    - if: $A
      when: never
  needs:
    - n
    - job: m
k:
  script: x
`))
	if len(errs) > 0 {
		t.Fatal(report(errs))
	}
	j := p.Jobs[0]
	for what, c := range map[string]struct {
		got       syntax.Pos
		line, col int
	}{
		"job":           {j.Pos, 1, 1},
		"stage":         {j.Stage.Pos, 2, 10},
		"image":         {j.Image.Name.Pos, 3, 17},
		"first command": {j.Script[0].Node.LinePos(0), 5, 7},
		"block, line 2": {j.Script[1].Node.LinePos(1), 8, 1},
		"rule":          {j.Rules[0].Pos, 10, 7},
		"if":            {j.Rules[0].If.Pos, 10, 11},
		"when":          {j.Rules[0].When.Pos, 11, 13},
		"need":          {(*j.Needs)[0].Job.Pos, 13, 7},
		"long need":     {(*j.Needs)[1].Job.Pos, 14, 12},
		"default stage": {p.Jobs[1].Stage.Pos, 15, 1},
	} {
		if c.got.Line != c.line || c.got.Col != c.col || c.got.File != "ci.yml" {
			t.Errorf("%s is at %v, want line %d, column %d", what, c.got, c.line, c.col)
		}
	}
}
