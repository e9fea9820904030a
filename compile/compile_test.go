package compile

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// mustCompile compiles a pipeline that must be good.
func mustCompile(t testing.TB, text string, o Options) *Result {
	t.Helper()
	o.Source, o.Data = "ci.yml", []byte(text)
	if o.Ref == "" {
		o.Ref = "main"
	}
	r, found, _ := Compile(o)
	if r == nil {
		for _, e := range found {
			t.Log(e)
		}
		t.Fatal("does not compile")
	}
	return r
}

// job returns a job of the plan, nil if it is left out.
func job(p *plan.Plan, name string) *plan.Job {
	i := slices.IndexFunc(p.Jobs, func(j plan.Job) bool { return j.Name == name })
	if i < 0 {
		return nil
	}
	return &p.Jobs[i]
}

// TestRuleOutcomes is section 34.6 of the specification.
func TestRuleOutcomes(t *testing.T) {
	for _, test := range []struct {
		job, want string // want is when, then whether failure is allowed; or "left out"
	}{
		{`when: manual, rules: [{if: $CI}]`, "manual true"},
		{`rules: [{if: $CI, when: manual}]`, "manual false"},
		{`allow_failure: true, rules: [{when: manual}]`, "manual true"},
		{`allow_failure: false, when: manual`, "manual false"},
		{`when: manual`, "manual true"},
		{`when: manual, allow_failure: {exit_codes: 3}`, "manual false"},
		{`when: always, rules: [{if: $CI}]`, "always false"},
		{`rules: [{if: $CI, when: on_failure}, {when: always}]`, "on_failure false"},
		{`rules: [{when: never}, {when: always}]`, "left out"},
		{`rules: [{if: $CI_COMMIT_TAG}]`, "left out"},
		{`rules: []`, "left out"},
		{`rules: null`, "on_success false"},
		{`allow_failure: true`, "on_success true"},
		{`variables: {V: "1"}, rules: [{if: $V == "1"}]`, "on_success false"},
		{`rules: [{if: $CI_JOB_NAME == "j" && $CI_JOB_STAGE == "test" && $CI_NODE_TOTAL == "1"}]`, "on_success false"},
		{`rules: [{if: $CI_NODE_INDEX}]`, "left out"},
		{`rules: [{if: $CI_COMMIT_SHA == "abc"}]`, "on_success false"}, // from git
		{`rules: [{if: $RAW == "$CI"}]`, "on_success false"},           // not expanded
	} {
		text := "variables: {RAW: $CI}\nj: {image: a, script: [x], " + test.job + "}\nother: {image: a, script: [x]}\n"
		r := mustCompile(t, text, Options{Predefined: map[string]string{"CI_COMMIT_SHA": "abc"}})
		got := "left out"
		if j := job(r.Plan, "j"); j != nil {
			got = fmt.Sprint(j.When, " ", j.AllowFailure)
		}
		if got != test.want {
			t.Errorf("{%s}: %s, want %s", test.job, got, test.want)
		}
	}
}

// TestOnlyExcept is section 11 of the specification.
func TestOnlyExcept(t *testing.T) {
	branch, tag := Options{Ref: "feat-1"}, Options{Ref: "v1", Tag: true}
	schedule := Options{Ref: "feat-1", Event: "schedule"}
	merge := Options{Ref: "feat-1", Event: "merge_request_event"}
	path := map[string]string{"CI_PROJECT_PATH": "group/project"}
	inProject := Options{Ref: "feat-1", Predefined: path}
	for _, test := range []struct {
		job  string
		in   Options
		want bool
	}{
		{``, branch, true},
		{``, tag, true},
		{``, schedule, true},
		{``, merge, false},
		{`only: [branches]`, branch, true},
		{`only: [branches]`, tag, false},
		{`only: [tags]`, tag, true},
		{`only: [tags]`, branch, false},
		{`only: feat-1`, branch, true},
		{`only: [FEAT-1]`, branch, false},
		{`only: [feat]`, branch, false},
		{`only: [/feat/]`, branch, true},
		{`only: [/^FEAT/]`, branch, false},
		{`only: [/^FEAT/i]`, branch, true},
		{`only: [/feat/]`, merge, false},
		{`only: [merge_requests]`, merge, true},
		{`only: [merge_request]`, merge, true},
		{`only: [schedules]`, schedule, true},
		{`only: [schedule]`, schedule, true},
		{`only: [schedules]`, branch, false},
		{`only: [pushes]`, branch, true},
		{`only: [push]`, branch, true},
		{`only: []`, branch, false},
		{`only: {refs: [feat-1]}`, branch, true},
		{`except: [feat-1]`, branch, false},
		{`except: [schedules]`, schedule, false},
		{`except: [schedules]`, branch, true},
		{`except: [tags]`, merge, false},
		{`only: [branches], except: [/^feat/]`, branch, false},
		{`only: ["branches@group/project"]`, inProject, true},
		{`only: ["branches@group/other"]`, inProject, false},
		{`only: ["branches@group/project"]`, branch, false},
		{`only: ["/^feat/i@group/project"]`, inProject, true},
		{`only: ["/^feat@/"]`, inProject, false},
	} {
		text := "j: {image: a, script: [x], " + test.job + "}\nother: {image: a, script: [x], rules: [{when: always}]}\n"
		r := mustCompile(t, text, test.in)
		if got := job(r.Plan, "j") != nil; got != test.want {
			t.Errorf("{%s} for %s %s: %v, want %v", test.job, test.in.Ref, test.in.Event, got, test.want)
		}
	}
}

// TestRead checks what the plan records of what rules read: values from outside
// the file, as they were.
func TestRead(t *testing.T) {
	r := mustCompile(t, `
variables: {IN_FILE: x}
a: {image: a, script: [x], rules: [{if: $GIVEN == "1" && $IN_FILE && $CI_JOB_NAME && $CI_COMMIT_SHA}, {if: $NOT_REACHED}]}
b: {image: a, script: [x], rules: [{if: $UNDEFINED}, {when: always}]}
c: {image: a, script: [x], only: ["branches@g/p"]}
`, Options{Given: map[string]string{"GIVEN": "1", "OTHER": "2"}, Predefined: map[string]string{"CI_COMMIT_SHA": "abc", "CI_COMMIT_TITLE": "t"}})
	given, sha := "1", "abc"
	want := map[string]*string{"GIVEN": &given, "CI_COMMIT_SHA": &sha, "UNDEFINED": nil, "CI_PROJECT_PATH": nil}
	if diff := cmp.Diff(want, r.Plan.Context.Read); diff != "" {
		t.Error(diff)
	}
}

// TestArtifactFlow checks whose artifacts jobs get, for both options.
func TestArtifactFlow(t *testing.T) {
	const text = `
stages: [one, two, three, four]
default: {image: a}
a: {stage: one, script: [x], artifacts: {paths: [a]}}
b: {stage: one, script: [x], artifacts: {paths: [b]}}
none: {stage: one, script: [x]}
c: {stage: two, needs: [b, a], script: [x], artifacts: {paths: [c]}}
staged: {stage: two, script: [x]}
chosen: {stage: two, dependencies: [b, none], script: [x]}
d: {stage: three, needs: [c], script: [x]}
hidden: {stage: three, needs: [{job: c, artifacts: false}, a], script: [x]}
limited: {stage: three, needs: [c, a], dependencies: [a], script: [x]}
nothing: {stage: three, needs: [c], dependencies: [], script: [x]}
at-once: {stage: three, needs: [], script: [x]}
far: {stage: four, needs: [d, staged], script: [x]}
last: {stage: four, script: [x]}
`
	upstream := map[string]string{
		"c": "a b", "staged": "before two", "chosen": "b", "d": "a b c", "hidden": "a", "limited": "a",
		"far": "before two c", "last": "before four",
	}
	needs := map[string]string{
		"c": "a b", "staged": "before two", "chosen": "b", "d": "c", "hidden": "a", "limited": "a", "last": "before four",
	}
	for option, want := range map[string]map[string]string{"": upstream, "upstream": upstream, "needs": needs} {
		r := mustCompile(t, text, Options{Artifacts: option})
		got := map[string]string{}
		for _, j := range r.Plan.Jobs {
			if j.Inputs != nil {
				got[j.Name] = strings.Join(j.Inputs.Jobs, " ")
			}
			if j.Inputs != nil && j.Inputs.BeforeStage != "" {
				got[j.Name] = strings.TrimSpace("before " + j.Inputs.BeforeStage + " " + got[j.Name])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("artifacts %q (-want +got):\n%s", option, diff)
		}
		var warned []string
		for _, w := range r.Plan.Warnings {
			if w.Code == codeArtifactFlow {
				warned = append(warned, w.Job)
			}
		}
		if option != "needs" && !slices.Equal(warned, []string{"d", "far"}) || option == "needs" && warned != nil {
			t.Errorf("artifacts %q: warnings for %v", option, warned)
		}
	}
}

// TestSameBytes checks that a plan does not depend on the number of processors,
// on map order, or on where in the file things stand.
func TestSameBytes(t *testing.T) {
	text := string(largePipeline(200))
	encode := func(text string) (string, map[string][]byte) {
		r := mustCompile(t, text, Options{Given: map[string]string{"A": "1", "B": "2", "C": "3"}})
		data, err := plan.Encode(r.Plan)
		if err != nil {
			t.Fatal(err)
		}
		return string(data), r.Scripts
	}
	first, scripts := encode(text)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 3 {
		again, scriptsAgain := encode("# a comment moves every line\n\n" + text)
		if again != first {
			t.Fatal(cmp.Diff(first, again))
		}
		for path, script := range scripts {
			if !bytes.Equal(script, scriptsAgain[path]) {
				t.Fatalf("%s differs", path)
			}
		}
	}
}

// TestStageEdges checks that two stages of many jobs do not make their product
// in edges.
func TestStageEdges(t *testing.T) {
	var b strings.Builder
	b.WriteString("default: {image: a, artifacts: {paths: [x]}}\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "build-%d: {stage: build, script: [x]}\ntest-%d: {stage: test, script: [x]}\n", i, i)
	}
	r := mustCompile(t, b.String(), Options{})
	for _, j := range r.Plan.Jobs {
		if len(j.Needs) > 0 || j.Inputs != nil && len(j.Inputs.Jobs) > 0 {
			t.Fatalf("%s has edges of its own", j.Name)
		}
	}
}

// TestCommandLineOptions checks options that no pipeline can be compiled with.
func TestCommandLineOptions(t *testing.T) {
	for want, o := range map[string]Options{
		`artifacts: "all" is neither upstream nor needs`:              {Artifacts: "all"},
		`event: "shedule" is none of ` + strings.Join(Events, ", "):   {Event: "shedule"},
		`"A-B", given on the command line, is no name for a variable`: {Given: map[string]string{"A-B": "1"}},
		`image "Bad Image" is no image reference: it holds a space`:   {DefaultImage: "Bad Image"},
		`variables refer to each other in a circle: A -> B -> A`:      {Given: map[string]string{"A": "$B", "B": "$A"}},
	} {
		o.Source, o.Data, o.Ref = "ci.yml", []byte("j: {script: [x]}"), "main"
		r, found, _ := Compile(o)
		if r != nil || len(found) == 0 || found[0].Msg != want {
			t.Errorf("want %s, got %v", want, found)
		}
	}
}

// TestSourceWithin checks places inside scalars however they are written.
func TestSourceWithin(t *testing.T) {
	for _, test := range []struct {
		yaml       string
		line, col  int
		wantLength int
	}{
		{"j: {image: a, script: [x], rules: [{if: $A == b}]}", 1, 47, 1},
		{`j: {image: a, script: [x], rules: [{if: '$A == b'}]}`, 1, 48, 1},
		{`j: {image: a, script: [x], rules: [{if: "$A == b"}]}`, 1, 48, 1},
		{`"é": {image: a, script: [x], rules: [{if: $A == b}]}`, 1, 49, 1},
		{`j: {image: a, script: [x], rules: [{if: "\x24A == b"}]}`, 1, 41, 1}, // escaped: the scalar itself
	} {
		_, found, _ := Compile(Options{Source: "ci.yml", Data: []byte(test.yaml), Ref: "main"})
		want := syntax.Pos{File: "ci.yml", Line: test.line, Col: test.col}
		if len(found) != 1 || found[0].Pos != want || found[0].Len != test.wantLength {
			t.Errorf("%s: %+v, want %v", test.yaml, found, want)
		}
	}
}

// FuzzCompile checks that no file makes the compiler panic, that what it makes is
// a valid plan, and that it makes the same one twice.
func FuzzCompile(f *testing.F) {
	f.Add([]byte("j: {script: [x]}"))
	f.Add(largePipeline(5))
	f.Add([]byte("variables: {A: $B, B: $A$CI_COMMIT_SHA}\nj: {image: $A, script: ['echo $A'], cache: {key: $B, paths: [$A]}}"))
	f.Add([]byte("  0b_0:  ?  00II"))
	f.Add([]byte("a: {needs: [b], script: x}\nb: {needs: [a], script: x, parallel: 3}"))
	f.Add([]byte("a: {stage: .pre, script: x, rules: [{if: $A =~ $B, when: never}]}\nb: {only: [/x/i@y], script: x}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := Options{Source: "ci.yml", Data: data, Ref: "main", Given: map[string]string{"G": "$A"}}
		r, found, _ := Compile(o)
		if (r == nil) != found.HasErrors() {
			t.Fatalf("result %v with %v", r, found)
		}
		if r == nil {
			return
		}
		first, err := plan.Encode(r.Plan)
		if err != nil {
			t.Fatal(err)
		}
		again, _, _ := Compile(o)
		second, err := plan.Encode(again.Plan)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("the second plan differs: %v\n%s", err, cmp.Diff(string(first), string(second)))
		}
		for path := range r.Scripts {
			if !bytes.Equal(r.Scripts[path], again.Scripts[path]) {
				t.Fatalf("%s differs", path)
			}
		}
	})
}

// TestPlanSize: what grows with the square of a pipeline ends in an error, not in
// all memory.
func TestPlanSize(t *testing.T) {
	long := strings.Repeat("n", 200)
	const count = 1000
	var chain, variables strings.Builder
	variables.WriteString("variables:\n")
	for i := range count {
		fmt.Fprintf(&chain, "%s-%d: {image: a, script: [x], artifacts: {paths: [o]}, needs: [", long, i)
		if i > 0 {
			fmt.Fprintf(&chain, "%s-%d", long, i-1)
		}
		chain.WriteString("]}\n")
		fmt.Fprintf(&variables, "  V%d: %s\n", i, long)
	}
	for i := range count {
		fmt.Fprintf(&variables, "j%d: {image: a, script: [x]}\n", i)
	}
	for text, want := range map[string]string{
		chain.String():     "whose artifacts each job gets",
		variables.String(): "the variables of all jobs",
	} {
		r, found, _ := Compile(Options{Source: "ci.yml", Data: []byte(text), Ref: "main"})
		if r != nil || !slices.ContainsFunc(found, func(e *syntax.Error) bool {
			return e.Code == codePlanSize && strings.Contains(e.Msg, want)
		}) {
			t.Errorf("%s: compiled: %t", want, r != nil)
		}
	}
	if r, _, _ := Compile(Options{Source: "ci.yml", Data: []byte(chain.String()), Ref: "main", Artifacts: "needs"}); r == nil {
		t.Error("the chain does not compile with GitLab's rule for artifacts")
	}
}
