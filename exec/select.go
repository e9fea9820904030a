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
	c := &chooser{g: g, chosen: make([]bool, len(p.Jobs)), whole: make([]bool, len(p.Jobs)), passed: make([]int, g.Pipelines())}
	for k := range c.passed {
		c.passed[k], _ = g.StagesOf(k)
	}
	for _, name := range names {
		i, ok := g.Index(name)
		if !ok {
			return nil, unknownJob(p, name)
		}
		c.choose(i, true)
	}
	c.follow()
	part := *p
	part.Jobs, part.Stages, part.Pipelines, part.Batches = nil, nil, nil, nil
	for i := range p.Jobs {
		if c.chosen[i] {
			part.Jobs = append(part.Jobs, p.Jobs[i])
		}
	}
	part.Stages = c.stages(0, p.Stages)
	for k := range p.Pipelines {
		if child := p.Pipelines[k]; c.chosen[g.TriggerOf(k+1)] {
			child.Stages = c.stages(k+1, child.Stages)
			part.Pipelines = append(part.Pipelines, child)
		}
	}
	part.Batches, err = plan.LevelsOf(&part)
	return &part, err
}

// chooser finds what jobs wait for.
type chooser struct {
	g       *plan.Graph
	chosen  []bool
	whole   []bool // with the pipeline that the job starts
	pending []int
	passed  []int // by pipeline: the stages before this one are chosen whole
}

// choose adds a job. One that only starts the pipeline of another that is chosen is
// not chosen whole.
func (c *chooser) choose(i int, whole bool) {
	if c.chosen[i] && (c.whole[i] || !whole) {
		return
	}
	c.chosen[i], c.whole[i] = true, whole
	c.pending = append(c.pending, i)
}

// follow adds everything that the chosen jobs wait for.
func (c *chooser) follow() {
	for len(c.pending) > 0 {
		i := c.pending[len(c.pending)-1]
		c.pending = c.pending[:len(c.pending)-1]
		for _, need := range c.g.Needs(i) {
			c.choose(need, true)
		}
		k := c.g.Pipeline(i)
		for ; c.g.StageMode(i) && c.passed[k] < c.g.Stage(i); c.passed[k]++ {
			c.chooseStage(c.passed[k])
		}
		if t := c.g.TriggerOf(k); t >= 0 {
			c.choose(t, false)
		}
		if child := c.g.Starts(i); child > 0 && c.whole[i] {
			first, end := c.g.StagesOf(child)
			for s := first; s < end; s++ {
				c.chooseStage(s)
			}
		}
	}
}

func (c *chooser) chooseStage(stage int) {
	for _, i := range c.g.StageJobs(stage) {
		c.choose(i, true)
	}
}

// stages are those of a pipeline that hold a chosen job.
func (c *chooser) stages(k int, names []string) (left []string) {
	first, _ := c.g.StagesOf(k)
	for s, name := range names {
		if slices.ContainsFunc(c.g.StageJobs(first+s), func(i int) bool { return c.chosen[i] }) {
			left = append(left, name)
		}
	}
	return left
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
