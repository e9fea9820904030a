package draw

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cic-ci/cic/plan"
)

// drawn draws jobs, given as "name stage" or "name stage needs...", where a job
// without needs waits for all stages before its own.
func drawn(t *testing.T, stages string, jobs ...string) *Drawing {
	t.Helper()
	p := &plan.Plan{Stages: strings.Fields(stages)}
	for _, text := range jobs {
		f := strings.Fields(text)
		j := plan.Job{Name: f[0], Stage: f[1], When: "on_success", AfterStages: len(f) == 2 && f[1] != p.Stages[0]}
		for _, need := range f[2:] {
			name, optional := strings.CutSuffix(need, "?")
			j.Needs = append(j.Needs, plan.Need{Job: name, Optional: optional})
		}
		p.Jobs = append(p.Jobs, j)
	}
	var err error
	if p.Batches, err = plan.Levels(p.Stages, p.Jobs); err != nil {
		t.Fatal(err)
	}
	d, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func written(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEdges(t *testing.T) {
	for _, test := range []struct {
		jobs string
		want string // from>to by name; a gate is *STAGE
	}{
		{"a s1; b s2", "a>b"},
		{"a s1; b s1; c s2", "a>c b>c"},
		{"a s1; b s2; c s2", "a>b a>c"},
		{"a s1; b s1; c s2; d s2", "*s2>c *s2>d a>*s2 b>*s2"},
		{"a s1; b s2 a?; c s2 a", "a>b? a>c"},
		// Of the stages before, only what the last does not wait for.
		{"a s1; b s2; c s3", "a>b b>c"},
		{"a s1; b s2 a; c s3", "a>b a>c b>c"},
	} {
		d := drawn(t, "s1 s2 s3", strings.Split(test.jobs, "; ")...)
		name := func(i int) string {
			if d.Nodes[i].Gate() {
				return "*" + d.Stages[d.Nodes[i].Stage]
			}
			return d.Nodes[i].Label()
		}
		var got []string
		for _, e := range d.Edges {
			text := name(e.From) + ">" + name(e.To)
			if e.Optional {
				text += "?"
			}
			got = append(got, text)
		}
		if missing := unlike(got, strings.Fields(test.want)); missing != "" {
			t.Errorf("%s: %v, want %s", test.jobs, got, test.want)
		}
	}
}

// unlike tells what only one of two lists has.
func unlike(a, b []string) string {
	n := map[string]int{}
	for _, s := range a {
		n[s]++
	}
	for _, s := range b {
		n[s]--
	}
	for s, k := range n {
		if k != 0 {
			return s
		}
	}
	return ""
}

// TestLarge: of 500 jobs in four stages, twins are drawn as one.
func TestLarge(t *testing.T) {
	var jobs []string
	for i := range 498 {
		jobs = append(jobs, fmt.Sprintf("j%d s%d", i, i/166+1))
	}
	d := drawn(t, "s1 s2 s3 s4", append(jobs, "x s4 j3", "y s4")...)
	if len(d.Nodes) != 6 || len(d.Edges) > 12 {
		t.Errorf("%d nodes, %d edges", len(d.Nodes), len(d.Edges))
	}
	if got := d.Nodes[0].Label(); got != "165 jobs: j0, j1, j2, ..." {
		t.Error(got)
	}
	if svg := written(t, d.WriteSVG); !strings.Contains(svg, "j497") {
		t.Error("a job is not in the picture")
	}
}

// TestHostileNames: no name can leave its place.
func TestHostileNames(t *testing.T) {
	const name = "\"];<script>`#\\&\u202e"
	d := drawn(t, "build", "a build")
	d.Nodes[0].Jobs, d.Stages = []string{name}, []string{name}
	svg := written(t, d.WriteSVG)
	for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "script" {
			t.Error("a name is an element")
		}
	}
	if got := written(t, d.WriteMermaid); !strings.Contains(got, `n0["#quot;];#lt;script#gt;#96;#35;#92;#amp;#92;u202e"]`) {
		t.Error(got)
	}
	if got := written(t, d.WriteDOT); !strings.Contains(got, `n0 [label="\"];<script>`+"`"+`#\\&\\u202e"];`) {
		t.Error(got)
	}
	if got := written(t, d.WriteText); strings.Contains(got, "\u202e") {
		t.Error(got)
	}
}

// TestLayout: what waits stands to the right, and no box covers another.
func TestLayout(t *testing.T) {
	d := drawn(t, "a b", "a1 a", "a2 a", "a3 a a1", "b1 b", "b2 b", "b3 b a2")
	places, width, height := d.layout()
	at := map[place]bool{}
	for i, p := range places {
		if at[p] || p.x < margin/2 || p.y < headHeight || p.y+boxHeight/2 > height || d.end(i, places).x > width {
			t.Errorf("node %d is at %v of %d x %d", i, p, width, height)
		}
		at[p] = true
	}
	for _, e := range d.Edges {
		if d.end(e.From, places).x >= places[e.To].x {
			t.Errorf("edge %v goes back", e)
		}
	}
}
