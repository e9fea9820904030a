package plan

import (
	"maps"
	"slices"
)

// structure checks names, stages and written edges: all that [NewGraph] relies on.
func (v *validator) structure(s scope, p *Plan) {
	s.field("stages").unique(p.Stages)
	stages := make(map[string]int, len(p.Stages))
	used := make([]bool, len(p.Stages))
	for i, name := range p.Stages {
		s.element("stages", i).named(name)
		stages[name] = i
	}
	jobs := make(map[string]int, len(p.Jobs))
	last := 0
	for i := range p.Jobs {
		j := &p.Jobs[i]
		at := s.job(i, j.Name)
		at.field("name").named(j.Name)
		if first, dup := jobs[j.Name]; dup {
			at.field("name").fail("jobs[%d] has the same name", first)
		}
		jobs[j.Name] = i
		stage, ok := stages[j.Stage]
		switch {
		case !ok:
			at.field("stage").fail("no stage is named %s", quote(j.Stage))
			continue
		case stage < last:
			at.field("stage").fail("jobs must be ordered by stage; %s comes before the stage of the job above", quote(j.Stage))
		}
		used[stage], last = true, stage
	}
	for i := range p.Stages {
		if !used[i] {
			s.element("stages", i).fail("%s holds no job", quote(p.Stages[i]))
		}
	}
	for i := range p.Jobs {
		v.needs(s.job(i, p.Jobs[i].Name), p, i, jobs, stages)
	}
}

func (v *validator) needs(s scope, p *Plan, job int, jobs, stages map[string]int) {
	j := &p.Jobs[job]
	if j.AfterStages && len(j.Needs) > 0 {
		s.field("after_stages").fail("a job has either needs or after_stages")
	}
	seen := make(map[string]bool, len(j.Needs))
	for i, need := range j.Needs {
		at := s.element("needs", i)
		n, ok := jobs[need.Job]
		switch {
		case !ok:
			at.fail("no job is named %s", quote(need.Job))
		case n == job:
			at.fail("the job needs itself")
		case seen[need.Job]:
			at.fail("%s is there twice", quote(need.Job))
		case stages[p.Jobs[n].Stage] > stages[j.Stage]:
			at.fail("%s is in a later stage", quote(need.Job))
		}
		seen[need.Job] = true
	}
}

// graph checks what follows from the edges. The structure is sound.
func (v *validator) graph(s scope, p *Plan) {
	g, err := NewGraph(p)
	if err != nil {
		s.field("jobs").fail("%v", err)
		return
	}
	v.batches(s, p.Batches, g.Levels())
	var upstream []reach
	whole := g.WholeStages(false)
	for i := range p.Jobs {
		at := s.job(i, p.Jobs[i].Name)
		upstream = append(upstream, v.inputs(at, p, g, i, whole[i])...)
		upstream = append(upstream, v.dotenv(at, g, i)...)
	}
	v.upstream(g, upstream)
}

func (v *validator) batches(s scope, got, want [][]string) {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			s.field("batches").fail("batch %d is missing: it would hold %s", i, quote(want[i][0]))
		case i >= len(want):
			s.element("batches", i).fail("there are only %d levels of jobs", len(want))
		case !slices.Equal(got[i], want[i]):
			s.element("batches", i).fail("does not hold the jobs of its level, in plan order")
		default:
			continue
		}
		return // all that follow would be wrong too
	}
}

// reach is a claim to be checked: that job waits for source.
type reach struct {
	at          scope
	job, source int
}

// inputs checks a job's inputs; whole is what [Graph.WholeStages] says of it.
func (v *validator) inputs(s scope, p *Plan, g *Graph, job, whole int) (claims []reach) {
	in := g.jobs[job].Inputs
	if in == nil {
		return nil
	}
	at := s.field("inputs")
	if in.BeforeStage == "" && len(in.Jobs) == 0 {
		at.fail("want before_stage or jobs")
	}
	before := 0
	if in.BeforeStage != "" {
		before = slices.Index(p.Stages, in.BeforeStage)
		switch {
		case before < 0:
			at.field("before_stage").fail("no stage is named %s", quote(in.BeforeStage))
		case before == 0:
			at.field("before_stage").fail("no stage is before %s", quote(in.BeforeStage))
		case before > whole:
			at.field("before_stage").fail("the job does not wait for all stages before %s", quote(in.BeforeStage))
		}
	}
	last := -1
	for i, name := range in.Jobs {
		at := at.element("jobs", i)
		n, ok := g.Index(name)
		switch {
		case !ok:
			at.fail("no job is named %s", quote(name))
			continue
		case n <= last:
			at.fail("%s: jobs must be distinct and in plan order", quote(name))
		case !g.jobs[n].Artifacts.Archived():
			at.fail("%s declares no artifacts", quote(name))
		case g.Stage(n) < before:
			at.fail("%s is among the jobs before stage %s", quote(name), quote(in.BeforeStage))
		}
		last = n
		claims = append(claims, reach{at, job, n})
	}
	return claims
}

func (v *validator) dotenv(s scope, g *Graph, job int) (claims []reach) {
	from := g.jobs[job].DotenvFrom
	s.field("dotenv_from").unique(from)
	for i, name := range from {
		at := s.element("dotenv_from", i)
		n, ok := g.Index(name)
		if !ok {
			at.fail("no job is named %s", quote(name))
			continue
		}
		if a := g.jobs[n].Artifacts; a == nil || len(a.Reports["dotenv"]) == 0 {
			at.fail("%s has no dotenv report", quote(name))
		}
		claims = append(claims, reach{at, job, n})
	}
	return claims
}

// upstream checks claims, for 64 sources at a time. Those of a job that waits
// for all earlier stages are settled at a look.
func (v *validator) upstream(g *Graph, claims []reach) {
	bySource := make(map[int][]reach)
	for _, c := range claims {
		if !g.StageMode(c.job) || g.Stage(c.source) >= g.Stage(c.job) {
			bySource[c.source] = append(bySource[c.source], c)
		}
	}
	up := make([]uint64, len(g.order))
	for block := range slices.Chunk(slices.Sorted(maps.Keys(bySource)), 64) {
		g.upstreamOf(block, up)
		for k, source := range block {
			for _, c := range bySource[source] {
				if up[c.job]&(1<<k) == 0 {
					c.at.fail("the job does not wait for %s", quote(g.jobs[source].Name))
				}
			}
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
