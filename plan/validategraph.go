package plan

import (
	"maps"
	"slices"
	"strings"
)

// stageKey is a stage of a pipeline, which goes by its trigger job.
type stageKey struct{ trigger, name string }

// structure checks names, stages, pipelines and written edges: all that [NewGraph]
// relies on.
func (v *validator) structure(s scope, p *Plan) {
	jobs := make(map[string]int, len(p.Jobs))
	for i := range p.Jobs {
		j := &p.Jobs[i]
		at := s.job(i, j.Name)
		v.jobName(at, p, j)
		if first, dup := jobs[j.Name]; dup {
			at.field("name").fail("jobs[%d] has the same name", first)
		}
		jobs[j.Name] = i
	}
	stages := map[stageKey]int{}
	v.stages(s, "", p.Stages, stages)
	v.pipelines(s, p, jobs, stages)
	used := make([]bool, len(stages))
	last := 0
	for i := range p.Jobs {
		j := &p.Jobs[i]
		at := s.job(i, j.Name)
		stage, ok := stages[stageKey{j.Pipeline, j.Stage}]
		switch {
		case !ok:
			at.field("stage").fail("no stage is named %s", quote(j.Stage))
			continue
		case stage < last:
			at.field("stage").fail("jobs must be ordered by stage; %s comes before the stage of the job above", quote(j.Stage))
		}
		used[stage], last = true, stage
	}
	unused := func(s scope, trigger string, names []string) {
		for i, name := range names {
			if n, ok := stages[stageKey{trigger, name}]; ok && !used[n] {
				s.element("stages", i).fail("%s holds no job", quote(name))
			}
		}
	}
	unused(s, "", p.Stages)
	for i := range p.Pipelines {
		unused(s.element("pipelines", i), p.Pipelines[i].Trigger, p.Pipelines[i].Stages)
	}
	for i := range p.Jobs {
		v.needs(s.job(i, p.Jobs[i].Name), p, i, jobs, stages)
	}
}

// jobName checks that the name of a job of a child pipeline says so, and of each
// job its own part.
func (v *validator) jobName(s scope, p *Plan, j *Job) {
	at := s.field("name")
	if j.Pipeline != "" && !strings.HasPrefix(j.Name, j.Pipeline+"/") {
		at.fail("%s does not begin with the name of its trigger job %s and a slash", quote(j.Name), quote(j.Pipeline))
		return
	}
	at.named(j.LocalName())
}

// stages checks the stages of one pipeline and numbers them behind the others.
func (v *validator) stages(s scope, trigger string, names []string, stages map[stageKey]int) {
	s.field("stages").unique(names)
	for i, name := range names {
		s.element("stages", i).named(name)
		if key := (stageKey{trigger, name}); !has(stages, key) {
			stages[key] = len(stages)
		}
	}
}

func has[K comparable, V any](m map[K]V, key K) bool {
	_, ok := m[key]
	return ok
}

// pipelines checks the child pipelines, apart from their jobs.
func (v *validator) pipelines(s scope, p *Plan, jobs map[string]int, stages map[stageKey]int) {
	if len(p.Pipelines) > MaxPipelines {
		s.field("pipelines").fail("%d child pipelines are more than %d", len(p.Pipelines), MaxPipelines)
		return
	}
	depth := map[string]int{"": 0}
	for i := range p.Pipelines {
		c := &p.Pipelines[i]
		at := s.element("pipelines", i)
		j, ok := jobs[c.Trigger]
		if !ok || p.Jobs[j].Trigger == nil || p.Jobs[j].Trigger.Kind != TriggerChild {
			at.field("trigger").fail("no job named %s starts a child pipeline", quote(c.Trigger))
			continue
		}
		if _, twice := depth[c.Trigger]; twice {
			at.field("trigger").fail("job %s starts another one already", quote(c.Trigger))
			continue
		}
		above, ok := depth[p.Jobs[j].Pipeline]
		other := p.Jobs[j].Trigger.Project != nil
		switch {
		case !ok:
			at.field("trigger").fail("the pipeline of job %s does not come before", quote(c.Trigger))
		case other:
			above = -1 // only those of one project count
		case above == MaxDepth:
			at.field("trigger").fail("child pipelines stand more than %d deep in each other", MaxDepth)
		}
		depth[c.Trigger] = above + 1
		at.field("project").project(c.Project, p.ProjectOf(&p.Jobs[j]), other)
		v.pipeline(at, c, stages)
	}
	for i := range p.Jobs {
		t := p.Jobs[i].Trigger
		if _, started := depth[p.Jobs[i].Name]; t != nil && t.Kind == TriggerChild && !started {
			s.job(i, p.Jobs[i].Name).field("trigger").fail("there is no child pipeline for it")
		}
	}
}

// project checks which project the pipeline is of, above that of its trigger job; other:
// the trigger job starts the pipeline of another.
func (s scope) project(of, above *Project, other bool) {
	switch {
	case of == nil && above == nil && !other:
		return
	case of == nil:
		s.fail("must say which project the pipeline is of")
		return
	case !other && (above == nil || of.Path != above.Path || of.Ref != above.Ref || of.Source != above.Source):
		s.fail("its trigger job starts no pipeline of another project")
	}
	for _, f := range []struct{ name, value string }{{"path", of.Path}, {"source", of.Source}, {"ref", of.Ref}} {
		s.field(f.name).named(f.value)
	}
	s.field("variables").variables(of.Variables)
}

func (v *validator) pipeline(s scope, c *Pipeline, stages map[stageKey]int) {
	s.field("name").line(c.Name)
	s.autoCancel(c.AutoCancel)
	s.field("given").identifiers(c.Given)
	s.field("workflow").tried(c.Workflow)
	if len(c.Stages) == 0 {
		s.field("stages").fail("must not be empty")
	}
	v.stages(s, c.Trigger, c.Stages, stages)
}

func (v *validator) needs(s scope, p *Plan, job int, jobs map[string]int, stages map[stageKey]int) {
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
		case p.Jobs[n].Pipeline != j.Pipeline && !above(p, jobs, p.Jobs[n].Pipeline, j.Pipeline):
			at.fail("%s is neither of the same pipeline nor of one above it", quote(need.Job))
		case p.Jobs[n].Pipeline == j.Pipeline && stages[stageKey{j.Pipeline, p.Jobs[n].Stage}] > stages[stageKey{j.Pipeline, j.Stage}]:
			at.fail("%s is in a later stage", quote(need.Job))
		}
		seen[need.Job] = true
	}
}

// above reports whether pipeline of starts the other one, also through others of its
// project; these go by their trigger jobs.
func above(p *Plan, jobs map[string]int, of, other string) bool {
	for range MaxDepth {
		i, ok := jobs[other]
		if !ok || p.Jobs[i].Trigger == nil || p.Jobs[i].Trigger.Project != nil {
			return false
		}
		if other = p.Jobs[i].Pipeline; other == of {
			return true
		}
	}
	return false
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
		upstream = append(upstream, v.generated(at, g, i)...)
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
	before, first := 0, g.pipes[g.pipeOf[job]].first
	if in.BeforeStage != "" {
		var ok bool
		before, ok = g.StageNamed(job, in.BeforeStage)
		switch {
		case !ok:
			at.field("before_stage").fail("no stage is named %s", quote(in.BeforeStage))
		case before == first:
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
		case g.Stage(n) < before && g.Stage(n) >= first:
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

// generated checks the jobs that make the files of a dynamic child pipeline.
func (v *validator) generated(s scope, g *Graph, job int) (claims []reach) {
	t := g.jobs[job].Trigger
	if t == nil || t.Kind != TriggerDynamic {
		return nil
	}
	for i, f := range t.Include {
		if f.Job == "" {
			continue
		}
		at := s.field("trigger").element("include", i).field("job")
		n, ok := g.Index(f.Job)
		switch {
		case !ok:
			at.fail("no job is named %s", quote(f.Job))
			continue
		case !g.jobs[n].Artifacts.Archived():
			at.fail("%s declares no artifacts", quote(f.Job))
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
		if !g.StageMode(c.job) || g.Stage(c.source) >= g.Stage(c.job) || g.Pipeline(c.source) != g.Pipeline(c.job) {
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
