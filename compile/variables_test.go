package compile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// vars makes variables from "NAME=value"; "NAME!=value" is a raw one.
func vars(base int, list ...string) []pipeline.Variable {
	var vs []pipeline.Variable
	for i, s := range list {
		name, value, _ := strings.Cut(s, "=")
		name, raw := strings.CutSuffix(name, "!")
		vs = append(vs, pipeline.Variable{
			Name: name, Value: value, Raw: raw, Pos: syntax.Pos{File: "ci.yml", Line: base + i, Col: 3},
		})
	}
	return vs
}

// TestVariables is section 34.5 of the specification and the precedence of 18.2.
func TestVariables(t *testing.T) {
	const runtime = "\x00" // marks a template in want
	for _, test := range []struct {
		name             string
		top, job, matrix []string
		given            map[string]string
		want             []string
		errors           []string
	}{
		{name: "chain", top: []string{"A=x", "B=$A-$A", "C=${B}y"}, want: []string{"A=x", "B=x-x", "C=x-xy"}},
		{name: "order of definition does not matter", top: []string{"C=${B}y", "B=$A-$A", "A=x"}, want: []string{"A=x", "B=x-x", "C=x-xy"}},
		{name: "undefined is empty", top: []string{"A=$UNDEF/x"}, want: []string{"A=/x"}},
		{name: "escaped", top: []string{"A=$$HOME", "B=$A"}, want: []string{"A=$HOME", "B=$HOME"}},
		{name: "raw", top: []string{"A!=v$B", "B=z", "C=c$A"}, want: []string{"A=v$B", "B=z", "C=cv$B"}},
		{name: "percent", top: []string{"A=%B%", "B=z"}, want: []string{"A=z", "B=z"}},
		{name: "no default values", top: []string{"A=${B:-d}", "B=z"}, want: []string{"A=", "B=z"}},
		{name: "longest name", top: []string{"APP=shop", "APP_VERSION=1", "X=$APP_VERSION"}, want: []string{"APP=shop", "APP_VERSION=1", "X=1"}},
		{name: "job beats top", top: []string{"A=1"}, job: []string{"A=2"}, want: []string{"A=2"}},
		{name: "matrix beats job", top: []string{"A=1"}, job: []string{"A=2"}, matrix: []string{"A=3"}, want: []string{"A=3"}},
		{
			name: "the command line beats all", top: []string{"A=1"}, job: []string{"A=2"}, matrix: []string{"A=3"},
			given: map[string]string{"A": "4", "B": "b$A"}, want: []string{"A=4", "B=b4"},
		},
		{name: "a job's value reaches what mentions it at the top", top: []string{"A=1", "B=b$A", "C=c$B"}, job: []string{"A=2"}, want: []string{"A=2", "B=b2", "C=cb2"}},
		{name: "a name that only the job defines", top: []string{"B=b$A"}, job: []string{"A=2"}, want: []string{"A=2", "B=b2"}},
		{name: "predefined", top: []string{"A=$CI_COMMIT_REF_NAME/$CI_JOB_NAME"}, want: []string{"A=main/j"}},
		{name: "the file beats predefined", top: []string{"CI_COMMIT_REF_NAME=x", "A=$CI_COMMIT_REF_NAME"}, want: []string{"A=x", "CI_COMMIT_REF_NAME=x"}},
		{name: "known at run time", top: []string{"A=$CI_COMMIT_SHA-$$", "B=b$A"}, want: []string{"A=" + runtime + "${CI_COMMIT_SHA}-$$", "B=" + runtime + "b${CI_COMMIT_SHA}-$$"}},
		{name: "a runtime name that the file defines", job: []string{"CI_COMMIT_SHA=1", "A=$CI_COMMIT_SHA"}, want: []string{"A=1", "CI_COMMIT_SHA=1"}},
		{name: "own name, predefined", top: []string{"CI_COMMIT_REF_NAME=x-$CI_COMMIT_REF_NAME"}, want: []string{"CI_COMMIT_REF_NAME=x-main"}},
		{name: "own name, given over file", top: []string{"A=file"}, given: map[string]string{"A": "$A+"}, want: []string{"A=file+"}},
		{
			name: "own name, no other source", top: []string{"A=top"}, job: []string{"P=$P:/x"}, want: []string{"A=top", "P=$P:/x:/x"},
			errors: []string{`ci.yml:100:3: variable "P" refers to itself, which has no other value here`},
		},
		{
			name: "circle", top: []string{"A=$B", "B=$A"}, want: []string{"A=", "B="},
			errors: []string{`ci.yml:1:3: variables refer to each other in a circle: A -> B -> A`},
		},
		{
			name: "a job makes a circle", top: []string{"A=$B", "B=1"}, job: []string{"B=${C}", "C=$A"}, want: []string{"A=", "B=", "C="},
			errors: []string{`ci.yml:1:3: variables refer to each other in a circle: A -> B -> C -> A`},
		},
		{name: "a job mends a circle", top: []string{"A=$B", "B=$A"}, job: []string{"B=1"}, want: []string{"A=1", "B=1"}},
		{
			name: "a circle on the command line", given: map[string]string{"A": "$B"}, top: []string{"B=$A"}, want: []string{"A=", "B="},
			errors: []string{`ci.yml:1:3: variables refer to each other in a circle: A -> B -> A`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var diags diagnostics
			p := &pipeline.Pipeline{Variables: vars(1, test.top...)}
			j := &pipeline.Job{Name: "j", Variables: vars(100, test.job...), Matrix: vars(200, test.matrix...)}
			predefined := plan.ContextVariables(plan.Context{Ref: "main", RefType: "branch", Event: "push"})
			v := newVariables(p.Variables, test.given, nil, predefined, &diags)
			got, _ := v.forJob(j, false, func(_ *expander, name string) (plan.Text, bool) {
				return plan.Literal("j"), name == "CI_JOB_NAME"
			})
			var lines []string
			for _, x := range got {
				mark := ""
				if x.Value.Template {
					mark = runtime
				}
				lines = append(lines, x.Name+"="+mark+x.Value.Value)
			}
			if diff := cmp.Diff(test.want, lines); diff != "" && len(test.errors) == 0 || diff != "" && !diags.list.HasErrors() {
				t.Errorf("variables (-want +got):\n%s", diff)
			}
			var messages []string
			for _, e := range diags.list {
				messages = append(messages, e.Error())
			}
			if diff := cmp.Diff(test.errors, messages); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
		})
	}
}

// TestVariablesShared checks that a job without own variables shares the base,
// and that one with them gets the same values as if all were expanded for it.
func TestVariablesShared(t *testing.T) {
	var diags diagnostics
	p := &pipeline.Pipeline{Variables: vars(1, "A=1", "B=$A", "C=$CI_JOB_NAME", "D=d")}
	v := newVariables(p.Variables, nil, nil, nil, &diags)
	none := func(*expander, string) (plan.Text, bool) { return plan.Text{}, false }
	plain := &pipeline.Pipeline{Variables: p.Variables[:2]}
	w := newVariables(plain.Variables, nil, nil, nil, &diags)
	first, _ := w.forJob(&pipeline.Job{Name: "a"}, false, none)
	second, _ := w.forJob(&pipeline.Job{Name: "b"}, false, none)
	if &first[0] != &second[0] {
		t.Error("two jobs without variables do not share their list")
	}
	named := func(_ *expander, name string) (plan.Text, bool) { return plan.Literal("x"), name == "CI_JOB_NAME" }
	got, _ := v.forJob(&pipeline.Job{Name: "x", Variables: vars(9, "D=e")}, false, named)
	want := plan.Variables{
		{Name: "A", Value: plan.Literal("1")}, {Name: "B", Value: plan.Literal("1")},
		{Name: "C", Value: plan.Literal("x")}, {Name: "D", Value: plan.Literal("e")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestVariableBomb checks that values that double fifty times end in an error.
func TestVariableBomb(t *testing.T) {
	var list []string
	for i := range 50 {
		list = append(list, fmt.Sprintf("V%d=$V%d$V%d", i, i+1, i+1))
	}
	list = append(list, "V50=ab")
	var diags diagnostics
	v := newVariables(vars(1, list...), nil, nil, nil, &diags)
	v.forJob(&pipeline.Job{Name: "j"}, false, func(*expander, string) (plan.Text, bool) { return plan.Text{}, false })
	if !diags.list.HasErrors() || diags.list[0].Code != codeVariableSize {
		t.Errorf("got %v", diags.list)
	}
}

// TestVariableChain: to expand a chain of variables costs as much as it is long,
// wherever a job breaks into it.
func TestVariableChain(t *testing.T) {
	const length = 20000
	var text strings.Builder
	text.WriteString("variables:\n  V0: top\n")
	for i := 1; i < length; i++ {
		fmt.Fprintf(&text, "  V%d: $V%d\n", i, i-1)
	}
	text.WriteString("a: {image: x, script: [x]}\nb: {image: x, script: [x], variables: {V5: own}}\n")
	r := mustCompile(t, text.String(), Options{})
	for name, want := range map[string]string{"a": "top", "b": "own"} {
		if got, _ := job(r.Plan, name).Variables.Get(fmt.Sprintf("V%d", length-1)); got.Value != want {
			t.Errorf("job %s: %q, want %q", name, got.Value, want)
		}
	}
}
