package compile

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
)

// checkCycles reports needs that go in a circle, over all jobs, selected or not.
// Each job is named in at most one report. Needs that are faulty by themselves
// (unknown, of a later stage, of the job itself) are not followed.
func (b *graphBuilder) checkCycles() {
	c := &cycleSearch{b: b, state: make([]searchState, len(b.p.Jobs)), reported: make([]bool, len(b.p.Jobs))}
	for i := range b.p.Jobs {
		c.visit(i)
	}
}

type searchState uint8

const (
	unseen searchState = iota
	open               // on the path
	done
)

// cycleSearch is a depth-first search for edges back to the current path.
type cycleSearch struct {
	b        *graphBuilder
	state    []searchState
	reported []bool
	path     []int
}

func (c *cycleSearch) visit(i int) {
	if c.state[i] != unseen {
		return
	}
	c.state[i] = open
	c.path = append(c.path, i)
	c.b.followNeeds(i, func(t int, _ pipeline.Text) {
		if c.state[t] == open {
			c.report(c.path[slices.Index(c.path, t):])
		} else {
			c.visit(t)
		}
	})
	c.path = c.path[:len(c.path)-1]
	c.state[i] = done
}

// followNeeds calls yield for each need of job i that can be part of a cycle.
func (b *graphBuilder) followNeeds(i int, yield func(t int, ref pipeline.Text)) {
	j := b.p.Jobs[i]
	if j.Needs == nil {
		return
	}
	for _, n := range *j.Needs {
		if t, ok := b.jobs[n.Job.Value]; ok && t != i && b.p.Jobs[t].Stage.Value == j.Stage.Value {
			yield(t, n.Job)
		}
	}
}

// report tells a cycle from the job that stands first in the file, with a note
// for each of its edges.
func (c *cycleSearch) report(cycle []int) {
	const most = 20
	if slices.ContainsFunc(cycle, func(i int) bool { return c.reported[i] }) {
		return
	}
	first := slices.Index(cycle, slices.Min(cycle))
	cycle = append(slices.Clone(cycle[first:]), cycle[:first]...)
	names := make([]string, 0, len(cycle)+1)
	diag := &syntax.Error{Code: codeCycle, Job: c.b.p.Jobs[cycle[0]].Name}
	for k, i := range cycle {
		c.reported[i] = true
		next := cycle[(k+1)%len(cycle)]
		names = append(names, c.b.p.Jobs[i].Name)
		ref := c.b.reference(i, next)
		edge := fmt.Sprintf("%q needs %q", c.b.p.Jobs[i].Name, c.b.p.Jobs[next].Name)
		switch {
		case k == 0:
			diag.Pos, diag.Len, diag.Label = ref.Pos, utf8.RuneCountInString(ref.Value), edge
		case k < most:
			diag.Notes = append(diag.Notes, syntax.Note{Pos: ref.Pos, Msg: edge + " here"})
		}
	}
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("... (%d more)", len(names)-most))
	}
	names = append(names, names[0])
	diag.Msg = "jobs need each other in a circle: " + strings.Join(names, " -> ")
	c.b.diags.report(diag)
}

// reference returns the text by which job i needs job t.
func (b *graphBuilder) reference(i, t int) pipeline.Text {
	var found pipeline.Text
	b.followNeeds(i, func(to int, ref pipeline.Text) {
		if to == t && !found.Pos.IsValid() {
			found = ref
		}
	})
	return found
}
