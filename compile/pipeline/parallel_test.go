package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outline lists jobs by name, node index and total, and matrix.
func outline(jobs []*Job) string {
	var b strings.Builder
	for _, j := range jobs {
		fmt.Fprintf(&b, "%s %d/%d", j.Name, j.NodeIndex, j.NodeTotal)
		for _, v := range j.Matrix {
			fmt.Fprintf(&b, " %s=%s", v.Name, v.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestParallel(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"a: {script: [x]}", "a 0/1\n"},
		{"a: {script: [x], parallel: 1}", "a 1/1 1/1\n"},
		{"a: {script: [x], parallel: 3}\nb: {script: [x]}", "a 1/3 1/3\na 2/3 2/3\na 3/3 3/3\nb 0/1\n"},
		{ // specification 34.2
			"dep: {script: [x], parallel: {matrix: [{P: aws, S: [m, a]}, {P: [g, v], S: [d, e]}]}}",
			`dep: [aws, m] 1/6 P=aws S=m
dep: [aws, a] 2/6 P=aws S=a
dep: [g, d] 3/6 P=g S=d
dep: [g, e] 4/6 P=g S=e
dep: [v, d] 5/6 P=v S=d
dep: [v, e] 6/6 P=v S=e
`,
		},
		{
			"n: {script: [x], parallel: {matrix: [{V: [1, 2.0, '0x10', $A]}]}}",
			"n: [1] 1/4 V=1\nn: [2.0] 2/4 V=2.0\nn: [0x10] 3/4 V=0x10\nn: [$A] 4/4 V=$A\n",
		},
		{ // the article's form
			`test: {image: "python:${VERSION}", script: [x], matrix: {VERSION: ["3.9", "3.10", "3.11"]}}`,
			"test: [3.9] 1/3 VERSION=3.9\ntest: [3.10] 2/3 VERSION=3.10\ntest: [3.11] 3/3 VERSION=3.11\n",
		},
		{"m: {script: [x], matrix: {A: [1, 2], B: c}}", "m: [1, c] 1/2 A=1 B=c\nm: [2, c] 2/2 A=2 B=c\n"},
	} {
		p, errs := Decode(parse(t, c.source))
		if len(errs) > 0 {
			t.Errorf("%s\n%s", c.source, report(errs))
		}
		if diff := cmp.Diff(c.want, outline(p.Jobs)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.source, diff)
		}
	}
}

// TestSameCombination: the later of two combinations with one name takes the
// place of the earlier one.
func TestSameCombination(t *testing.T) {
	p, errs := Decode(parse(t, "m: {script: [x], parallel: {matrix: [{A: [1, 2]}, {B: [1, 3]}]}}"))
	if errs.HasErrors() || len(errs) != 1 {
		t.Errorf("want one warning, got\n%s", report(errs))
	}
	want := "m: [1] 3/4 B=1\nm: [2] 2/4 A=2\nm: [3] 4/4 B=3\n"
	if diff := cmp.Diff(want, outline(p.Jobs)); diff != "" {
		t.Error(diff)
	}
}

// TestNeedsOfParallel holds specification 14.4.
func TestNeedsOfParallel(t *testing.T) {
	p, errs := Decode(parse(t, `
c:
  script: [x]
  parallel: 2
  needs: [{job: p, artifacts: false, optional: true}, other, "m: [b]"]
  dependencies: [m, "p 1/2"]
p: {script: [x], parallel: 2}
m: {script: [x], matrix: {A: [a, b]}}
`))
	if len(errs) > 0 {
		t.Fatal(report(errs))
	}
	wantNeeds := []Need{
		{Job: text("p 1/2"), Optional: true}, {Job: text("p 2/2"), Optional: true},
		{Job: text("other"), Artifacts: true}, {Job: text("m: [b]"), Artifacts: true},
	}
	wantDeps := texts("m: [a]", "m: [b]", "p 1/2")
	for _, j := range p.Jobs[:2] {
		if diff := cmp.Diff(&wantNeeds, j.Needs, withoutPlaces); diff != "" {
			t.Errorf("%s (-want +got)\n%s", j.Name, diff)
		}
		if diff := cmp.Diff(&wantDeps, j.Dependencies, withoutPlaces); diff != "" {
			t.Errorf("%s (-want +got)\n%s", j.Name, diff)
		}
	}
	if p.Jobs[0].Needs != p.Jobs[1].Needs {
		t.Error("the jobs of one draft do not share their needs")
	}
	if at := (*p.Jobs[0].Needs)[1].Job.Pos; at.Line != 5 || at.Col != 17 {
		t.Errorf("an expanded need is at %v", at)
	}
}

// TestHostileNumbers: a small file must not make more jobs or needs than memory
// holds.
func TestHostileNumbers(t *testing.T) {
	var jobs, needs, dependencies strings.Builder
	for i := range maxJobs/maxParallel + 1 {
		fmt.Fprintf(&jobs, "j%d: {script: [x], parallel: %d}\n", i, maxParallel)
	}
	needs.WriteString("p: {script: [x], parallel: 200}\n")
	dependencies.WriteString("p: {script: [x], parallel: 200}\n")
	for i := range maxEdges/200/200 + 1 {
		fmt.Fprintf(&needs, "j%d: {script: [x], parallel: 200, needs: [p]}\n", i)
		fmt.Fprintf(&dependencies, "j%d: {script: [x], parallel: 200, dependencies: [p]}\n", i)
	}
	for source, want := range map[string]string{
		jobs.String():         "501:1+4 error CIC2107: the pipeline has more than 100000 jobs\n",
		needs.String():        "27:1+3 error CIC2107: the jobs of the pipeline have more than 1000000 needs and dependencies\n",
		dependencies.String(): "27:1+3 error CIC2107: the jobs of the pipeline have more than 1000000 needs and dependencies\n",
	} {
		if _, errs := Decode(parse(t, source)); report(errs) != want {
			t.Errorf("got  %swant %s", report(errs), want)
		}
	}
}
