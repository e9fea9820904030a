package exec

import (
	"fmt"
	"slices"

	"github.com/cic-ci/cic/plan"
)

// Select returns the part of a plan that holds the named jobs and everything
// they wait for. The rest is absent, as if no job had it; p is not changed. The
// error names the first unknown job, with a suggestion where one is near.
func Select(p *plan.Plan, names []string) (*plan.Plan, error) {
	g, err := plan.NewGraph(p)
	if err != nil {
		return nil, err
	}
	chosen := make([]bool, len(p.Jobs))
	var pending []int
	choose := func(i int) {
		if !chosen[i] {
			chosen[i] = true
			pending = append(pending, i)
		}
	}
	for _, name := range names {
		i, ok := g.Index(name)
		if !ok {
			return nil, unknownJob(p, name)
		}
		choose(i)
	}
	passed := 0 // the stages before this one are chosen whole
	for len(pending) > 0 {
		i := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		for _, need := range g.Needs(i) {
			choose(need)
		}
		for ; g.StageMode(i) && passed < g.Stage(i); passed++ {
			for _, earlier := range g.StageJobs(passed) {
				choose(earlier)
			}
		}
	}
	part := *p
	part.Jobs, part.Stages, part.Batches = nil, nil, nil
	for i := range p.Jobs {
		if chosen[i] {
			part.Jobs = append(part.Jobs, p.Jobs[i])
		}
	}
	for s, name := range p.Stages {
		if slices.ContainsFunc(g.StageJobs(s), func(i int) bool { return chosen[i] }) {
			part.Stages = append(part.Stages, name)
		}
	}
	part.Batches, err = plan.Levels(part.Stages, part.Jobs)
	return &part, err
}

func unknownJob(p *plan.Plan, name string) error {
	known := make([]string, len(p.Jobs))
	for i := range p.Jobs {
		known[i] = p.Jobs[i].Name
	}
	return unknownName(known, name)
}

// unknownName says that no job goes by a name, and which of those known may be meant.
func unknownName(known []string, name string) error {
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(name, k, distance); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Errorf("the plan has no job %q; did you mean %q?", name, best)
	}
	return fmt.Errorf("the plan has no job %q", name)
}

// editDistance is the Levenshtein distance of a and b in runes, or limit where
// it is not below that.
func editDistance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) >= limit || len(y)-len(x) >= limit {
		return limit
	}
	row := make([]int, len(y)+1)
	for k := range row {
		row[k] = k
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for k := range y {
			cost := diagonal
			if x[i] != y[k] {
				cost = 1 + min(diagonal, row[k], row[k+1])
			}
			diagonal, row[k+1] = row[k+1], cost
		}
	}
	return min(row[len(y)], limit)
}
