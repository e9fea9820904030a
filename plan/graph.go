package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Graph is the dependency graph of a plan, by index into Plan.Jobs. It is
// compact: a job that waits for all earlier stages costs one edge, to the
// barrier before its stage, and not one a job. It does not change after
// [NewGraph], [Graph.Producers] aside, which is not safe for concurrent use.
//
// Stages are numbered through all pipelines, the plan's own first, then the child
// pipelines in their order: so those of one pipeline follow each other, and jobs
// are in the order of their stages. Pipeline 0 is the plan's own.
type Graph struct {
	jobs       []Job
	index      map[string]int
	needs      [][]int
	dependents [][]int
	stageOf    []int
	stageJobs  [][]int
	pipes      []pipe
	stagePipe  []int // the pipeline of each stage
	stageNames []string
	pipeOf     []int // by job
	starts     []int // by job: the pipeline that it starts, 0 for none
	// order holds every node after all that it waits for. Nodes are the jobs,
	// then one barrier a stage: node len(jobs)+s is done when all stages before s of
	// its pipeline are; then one a child pipeline, which is done when its trigger job
	// has started, while the trigger job's own node is done when that has ended.
	order []int
	// level is 0-based by node; that of a barrier is the number of levels before it.
	level     []int
	producers *producerSets
}

// pipe is a pipeline of the graph.
type pipe struct {
	trigger    int // -1 for the plan's own
	first, end int // its stages
}

// CycleError says that jobs wait for each other.
type CycleError struct {
	// Jobs is the closed cycle, each job waiting for the next; it starts and ends
	// with the job of the cycle that stands first in the plan.
	Jobs []string
}

// Error prints the cycle: a -> b -> a.
func (e *CycleError) Error() string {
	quoted := make([]string, len(e.Jobs))
	for i, name := range e.Jobs {
		quoted[i] = quote(name)
	}
	return "jobs wait for each other: " + strings.Join(quoted, " -> ")
}

// NewGraph builds the graph from p.Stages, of p.Pipelines the fields Trigger and
// Stages, and of p.Jobs the fields Name, Pipeline, Stage, Trigger, Needs, AfterStages
// and Artifacts; the rest of p may still be missing. The error names the first
// duplicate job, unknown stage or unknown need, or is a [*CycleError]. Time and
// memory grow with the jobs and their written needs.
func NewGraph(p *Plan) (*Graph, error) {
	g := &Graph{
		jobs:       p.Jobs,
		index:      make(map[string]int, len(p.Jobs)),
		needs:      make([][]int, len(p.Jobs)),
		dependents: make([][]int, len(p.Jobs)),
		stageOf:    make([]int, len(p.Jobs)),
		pipeOf:     make([]int, len(p.Jobs)),
		starts:     make([]int, len(p.Jobs)),
	}
	for i := range p.Jobs {
		if _, dup := g.index[p.Jobs[i].Name]; dup {
			return nil, fmt.Errorf("two jobs are named %s", quote(p.Jobs[i].Name))
		}
		g.index[p.Jobs[i].Name] = i
	}
	if err := g.place(p); err != nil {
		return nil, err
	}
	for i := range p.Jobs {
		for _, need := range p.Jobs[i].Needs {
			n, ok := g.index[need.Job]
			if !ok {
				return nil, fmt.Errorf("job %s: no job is named %s", quote(p.Jobs[i].Name), quote(need.Job))
			}
			g.needs[i] = append(g.needs[i], n)
			g.dependents[n] = append(g.dependents[n], i)
		}
	}
	if err := g.sort(); err != nil {
		return nil, err
	}
	return g, nil
}

// place numbers the pipelines and stages, and puts the jobs into them.
func (g *Graph) place(p *Plan) error {
	type stage struct{ trigger, name string }
	stages := map[stage]int{}
	pipes := map[string]int{}
	add := func(trigger string, at int, names []string) {
		first := len(g.stagePipe)
		for _, name := range names {
			stages[stage{trigger, name}] = len(g.stagePipe)
			g.stagePipe = append(g.stagePipe, len(g.pipes))
			g.stageNames = append(g.stageNames, name)
		}
		pipes[trigger] = len(g.pipes)
		g.pipes = append(g.pipes, pipe{at, first, len(g.stagePipe)})
	}
	add("", -1, p.Stages)
	for _, child := range p.Pipelines {
		at, ok := g.index[child.Trigger]
		switch {
		case !ok || p.Jobs[at].Trigger == nil:
			return fmt.Errorf("no trigger job is named %s", quote(child.Trigger))
		case g.starts[at] > 0:
			return fmt.Errorf("job %s starts two pipelines", quote(child.Trigger))
		case len(child.Stages) == 0:
			return fmt.Errorf("the child pipeline of job %s has no stages", quote(child.Trigger))
		}
		g.starts[at] = len(g.pipes)
		add(child.Trigger, at, child.Stages)
	}
	g.stageJobs = make([][]int, len(g.stagePipe))
	for i := range p.Jobs {
		j := &p.Jobs[i]
		s, ok := stages[stage{j.Pipeline, j.Stage}]
		if !ok {
			return fmt.Errorf("job %s: no stage is named %s", quote(j.Name), quote(j.Stage))
		}
		g.pipeOf[i], g.stageOf[i] = pipes[j.Pipeline], s
		g.stageJobs[s] = append(g.stageJobs[s], i)
	}
	return nil
}

// Index returns the index of the named job.
func (g *Graph) Index(name string) (int, bool) {
	i, ok := g.index[name]
	return i, ok
}

// Needs returns the jobs named in the job's Needs, in their order. The caller
// must not change it.
func (g *Graph) Needs(job int) []int { return g.needs[job] }

// Dependents returns the jobs that name the job in their Needs, ascending; jobs
// that wait for a whole stage are not among them. The caller must not change it.
func (g *Graph) Dependents(job int) []int { return g.dependents[job] }

// Pipelines is the number of pipelines, the plan's own counted.
func (g *Graph) Pipelines() int { return len(g.pipes) }

// Pipeline returns the pipeline that a job is of.
func (g *Graph) Pipeline(job int) int { return g.pipeOf[job] }

// PipelineOf returns the pipeline that a stage is of.
func (g *Graph) PipelineOf(stage int) int { return g.stagePipe[stage] }

// Starts returns the child pipeline that a job starts, 0 for none.
func (g *Graph) Starts(job int) int { return g.starts[job] }

// TriggerOf returns the job that starts a pipeline, -1 of the plan's own.
func (g *Graph) TriggerOf(pipeline int) int { return g.pipes[pipeline].trigger }

// StagesOf returns the first stage of a pipeline, and the one after its last.
func (g *Graph) StagesOf(pipeline int) (first, end int) {
	return g.pipes[pipeline].first, g.pipes[pipeline].end
}

// StageNamed returns the stage with a name of the pipeline that a job is of.
func (g *Graph) StageNamed(job int, name string) (stage int, ok bool) {
	at := g.pipes[g.pipeOf[job]]
	i := slices.Index(g.stageNames[at.first:at.end], name)
	return at.first + i, i >= 0
}

// StageMode reports whether the job waits for every job of every earlier stage of
// its pipeline.
func (g *Graph) StageMode(job int) bool { return g.jobs[job].AfterStages }

// Stage returns the job's stage, which for the plan's own pipeline is an index into
// Plan.Stages.
func (g *Graph) Stage(job int) int { return g.stageOf[job] }

// StageJobs returns the jobs of a stage, ascending. The caller must not change it.
func (g *Graph) StageJobs(stage int) []int { return g.stageJobs[stage] }

// Levels returns the names of jobs by level, in plan order: a job's level is one
// more than the highest level of what it waits for. A trigger job stands where it
// starts; what waits for it may be levels after that.
func (g *Graph) Levels() [][]string {
	var levels [][]string
	for i := range g.jobs {
		level := g.level[g.startNode(i)]
		for len(levels) <= level {
			levels = append(levels, nil)
		}
		levels[level] = append(levels[level], g.jobs[i].Name)
	}
	return levels
}

// Heights returns, by job, the number of jobs on the longest chain that begins
// with it.
func (g *Graph) Heights() []int {
	behind := make([]int, len(g.order)) // the longest chain after each node
	for _, node := range slices.Backward(g.order) {
		h := behind[node]
		if g.counts(node) {
			h++
		}
		g.waitsFor(node, func(dep int) { behind[dep] = max(behind[dep], h) })
	}
	heights := make([]int, len(g.jobs))
	for i := range heights {
		heights[i] = behind[g.startNode(i)] + 1
	}
	return heights
}

// Levels returns what Plan.Batches must hold for a plan without child pipelines; see
// [Graph.Levels] and, for errors, [NewGraph].
func Levels(stages []string, jobs []Job) ([][]string, error) {
	return LevelsOf(&Plan{Stages: stages, Jobs: jobs})
}

// LevelsOf returns what Plan.Batches must hold; see [Graph.Levels] and, for errors, [NewGraph].
func LevelsOf(p *Plan) ([][]string, error) {
	g, err := NewGraph(p)
	if err != nil {
		return nil, err
	}
	return g.Levels(), nil
}

// waitsFor calls yield for each node that the node waits for directly.
func (g *Graph) waitsFor(node int, yield func(int)) {
	switch s := node - len(g.jobs); {
	case s >= len(g.stageJobs):
		g.waitsToStart(g.pipes[s-len(g.stageJobs)+1].trigger, yield)
	case s >= 0 && g.pipes[g.stagePipe[s]].first == s:
		if k := g.stagePipe[s]; k > 0 {
			yield(g.opening(k))
		}
	case s >= 0:
		g.waitsForStage(s-1, yield)
	case g.starts[node] == 0:
		g.waitsToStart(node, yield)
	default:
		k := g.starts[node]
		yield(g.opening(k))
		if g.jobs[node].Trigger.Strategy != "" {
			g.waitsForStage(g.pipes[k].end-1, yield)
		}
	}
}

// waitsToStart is waitsFor for the beginning of a job.
func (g *Graph) waitsToStart(job int, yield func(int)) {
	for _, n := range g.needs[job] {
		yield(n)
	}
	switch k := g.pipeOf[job]; {
	case g.jobs[job].AfterStages:
		yield(g.barrier(g.stageOf[job]))
	case k > 0:
		yield(g.opening(k))
	}
}

// waitsForStage waits for a stage and all before it.
func (g *Graph) waitsForStage(stage int, yield func(int)) {
	for _, j := range g.stageJobs[stage] {
		yield(j)
	}
	yield(g.barrier(stage))
}

func (g *Graph) barrier(stage int) int { return len(g.jobs) + stage }

// opening is the node of the start of a child pipeline.
func (g *Graph) opening(pipeline int) int { return len(g.jobs) + len(g.stageJobs) + pipeline - 1 }

// startNode is the node that is done once the job, if it starts a pipeline, has
// started.
func (g *Graph) startNode(job int) int {
	if k := g.starts[job]; k > 0 {
		return g.opening(k)
	}
	return job
}

// counts reports whether a node stands for a job on a level of its own.
func (g *Graph) counts(node int) bool {
	return node < len(g.jobs) && g.starts[node] == 0 || node >= len(g.jobs)+len(g.stageJobs)
}

// sort fills order and level (Kahn's algorithm).
func (g *Graph) sort() error {
	nodes := len(g.jobs) + len(g.stageJobs) + len(g.pipes) - 1
	waiting := make([]int, nodes)
	unlocks := make([][]int, nodes)
	for node := range nodes {
		g.waitsFor(node, func(dep int) {
			waiting[node]++
			unlocks[dep] = append(unlocks[dep], node)
		})
	}
	g.level = make([]int, nodes)
	g.order = make([]int, 0, nodes)
	for node, n := range waiting {
		if n == 0 {
			g.order = append(g.order, node)
		}
	}
	for i := 0; i < len(g.order); i++ {
		node := g.order[i]
		after := g.level[node]
		if g.counts(node) {
			after++
		}
		for _, next := range unlocks[node] {
			g.level[next] = max(g.level[next], after)
			if waiting[next]--; waiting[next] == 0 {
				g.order = append(g.order, next)
			}
		}
	}
	if len(g.order) < nodes {
		return g.cycle(waiting)
	}
	return nil
}

// cycle finds a cycle among the nodes that still wait. Each of these waits for
// another of them, so following any such edge must come back.
func (g *Graph) cycle(waiting []int) error {
	node := slices.IndexFunc(waiting, func(n int) bool { return n > 0 })
	var path []int
	seen := make(map[int]int)
	for {
		if start, ok := seen[node]; ok {
			path = path[start:]
			break
		}
		seen[node] = len(path)
		path = append(path, node)
		next := -1
		g.waitsFor(node, func(dep int) {
			if next < 0 && waiting[dep] > 0 {
				next = dep
			}
		})
		node = next
	}
	var jobs []int
	for _, n := range path {
		if opened := n - len(g.jobs) - len(g.stageJobs); opened >= 0 {
			n = g.pipes[opened+1].trigger
		}
		if n < len(g.jobs) {
			jobs = append(jobs, n)
		}
	}
	jobs = slices.Compact(jobs)
	first := slices.Index(jobs, slices.Min(jobs))
	var names []string
	for i := range jobs {
		names = append(names, g.jobs[jobs[(first+i)%len(jobs)]].Name)
	}
	return &CycleError{Jobs: append(names, names[0])}
}

// upstreamOf sets, for each node, up[node] to those of at most 64 given jobs
// that it waits for, directly or not: bit k stands for jobs[k]. Blocks of 64
// keep the memory small for a hostile plan in which every job names every other.
func (g *Graph) upstreamOf(jobs []int, up []uint64) {
	own := make(map[int]uint64, len(jobs))
	for k, j := range jobs {
		own[j] = 1 << k
	}
	for _, node := range g.order {
		var mask uint64
		g.waitsFor(node, func(dep int) { mask |= up[dep] })
		// While the pass runs a source counts as upstream of itself.
		up[node] = mask | own[node]
	}
	for j, bit := range own {
		up[j] &^= bit
	}
}
