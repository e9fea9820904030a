package plan

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// Graph is the dependency graph of a plan, by index into Plan.Jobs. It is
// compact: a job that waits for all earlier stages costs one edge, to the
// barrier before its stage, and not one a job. It does not change after
// [NewGraph], [Graph.Producers] aside, which is not safe for concurrent use.
type Graph struct {
	jobs       []Job
	index      map[string]int
	needs      [][]int
	dependents [][]int
	stageOf    []int
	stageJobs  [][]int
	// order holds every node after all that it waits for. Nodes are the jobs,
	// then one barrier a stage: node len(jobs)+s is done when all stages before s are.
	order []int
	// level is 0-based by node; that of a barrier is the number of levels before it.
	level     []int
	producers *producerSets
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

// NewGraph builds the graph from p.Stages and of p.Jobs the fields Name, Stage,
// Needs, AfterStages and Artifacts; the rest of p may still be missing. The
// error names the first duplicate job, unknown stage or unknown need, or is a
// [*CycleError]. Time and memory grow with the jobs and their written needs.
func NewGraph(p *Plan) (*Graph, error) {
	g := &Graph{
		jobs:       p.Jobs,
		index:      make(map[string]int, len(p.Jobs)),
		needs:      make([][]int, len(p.Jobs)),
		dependents: make([][]int, len(p.Jobs)),
		stageOf:    make([]int, len(p.Jobs)),
		stageJobs:  make([][]int, len(p.Stages)),
	}
	stages := make(map[string]int, len(p.Stages))
	for s, name := range p.Stages {
		stages[name] = s
	}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if _, dup := g.index[j.Name]; dup {
			return nil, fmt.Errorf("two jobs are named %s", quote(j.Name))
		}
		g.index[j.Name] = i
		s, ok := stages[j.Stage]
		if !ok {
			return nil, fmt.Errorf("job %s: no stage is named %s", quote(j.Name), quote(j.Stage))
		}
		g.stageOf[i] = s
		g.stageJobs[s] = append(g.stageJobs[s], i)
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

// StageMode reports whether the job waits for every job of every earlier stage.
func (g *Graph) StageMode(job int) bool { return g.jobs[job].AfterStages }

// Stage returns the job's stage as an index into Plan.Stages.
func (g *Graph) Stage(job int) int { return g.stageOf[job] }

// StageJobs returns the jobs of a stage, ascending. The caller must not change it.
func (g *Graph) StageJobs(stage int) []int { return g.stageJobs[stage] }

// Levels returns the names of jobs by level, in plan order: a job's level is one
// more than the highest level of what it waits for.
func (g *Graph) Levels() [][]string {
	var levels [][]string
	for i := range g.jobs {
		for len(levels) <= g.level[i] {
			levels = append(levels, nil)
		}
		levels[g.level[i]] = append(levels[g.level[i]], g.jobs[i].Name)
	}
	return levels
}

// Levels returns what Plan.Batches must hold; see [Graph.Levels] and, for errors, [NewGraph].
func Levels(stages []string, jobs []Job) ([][]string, error) {
	g, err := NewGraph(&Plan{Stages: stages, Jobs: jobs})
	if err != nil {
		return nil, err
	}
	return g.Levels(), nil
}

// waitsFor calls yield for each node that the node waits for directly.
func (g *Graph) waitsFor(node int, yield func(int)) {
	if node < len(g.jobs) {
		for _, n := range g.needs[node] {
			yield(n)
		}
		if g.jobs[node].AfterStages {
			yield(g.barrier(g.stageOf[node]))
		}
		return
	}
	if s := node - len(g.jobs); s > 0 {
		for _, j := range g.stageJobs[s-1] {
			yield(j)
		}
		yield(node - 1)
	}
}

func (g *Graph) barrier(stage int) int { return len(g.jobs) + stage }

// sort fills order and level (Kahn's algorithm).
func (g *Graph) sort() error {
	nodes := len(g.jobs) + len(g.stageJobs)
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
		if node < len(g.jobs) {
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
	jobs := slices.DeleteFunc(path, func(n int) bool { return n >= len(g.jobs) })
	first := slices.Index(jobs, slices.Min(jobs))
	var names []string
	for i := range jobs {
		names = append(names, g.jobs[jobs[(first+i)%len(jobs)]].Name)
	}
	return &CycleError{Jobs: append(names, names[0])}
}

// producerSets holds, by node, the set of producers whose artifacts reach it, as
// bits numbered in plan order. Nodes share sets where they can.
type producerSets struct {
	producers []int
	bit       map[int]int
	sets      [][]uint64
}

// Producers returns the jobs that declare artifacts among everything upstream
// of the job, ascending. A need passes on the artifacts of its job and what
// that job sees itself, unless it says artifacts: false, which passes neither;
// a job in stage mode sees all earlier stages.
//
// The first call computes the answer for every job, in bitsets; n jobs of which
// m declare artifacts cost at most n*m/8 bytes.
func (g *Graph) Producers(job int) []int {
	if g.producers == nil {
		g.producers = g.newProducerSets()
	}
	var jobs []int
	for w, word := range g.producers.sets[job] {
		for ; word != 0; word &= word - 1 {
			jobs = append(jobs, g.producers.producers[w*64+bits.TrailingZeros64(word)])
		}
	}
	return jobs
}

func (g *Graph) newProducerSets() *producerSets {
	p := &producerSets{bit: make(map[int]int), sets: make([][]uint64, len(g.order))}
	for i := range g.jobs {
		if g.jobs[i].Artifacts.Archived() {
			p.bit[i] = len(p.producers)
			p.producers = append(p.producers, i)
		}
	}
	if len(p.producers) == 0 {
		return p
	}
	for _, node := range g.order {
		var u union
		switch {
		case node >= len(g.jobs):
			g.waitsFor(node, func(dep int) { p.addFrom(&u, dep, len(g.jobs)) })
		case g.jobs[node].AfterStages:
			u.add(p.sets[g.barrier(g.stageOf[node])])
		default:
			for i, n := range g.needs[node] {
				if g.jobs[node].Needs[i].Artifacts {
					p.addFrom(&u, n, len(g.jobs))
				}
			}
		}
		p.sets[node] = u.set
	}
	return p
}

// WholeStages returns, by job, the latest stage such that all jobs of all stages
// before it are upstream because a job waits for these stages whole: the job
// itself, or one that it reaches through needs. It is 0 where there is none. With
// artifacts, only needs that pass artifacts on are followed.
func (g *Graph) WholeStages(artifacts bool) []int {
	whole := make([]int, len(g.jobs))
	for _, node := range g.order {
		if node >= len(g.jobs) {
			continue
		}
		if g.jobs[node].AfterStages {
			whole[node] = g.stageOf[node]
		}
		for i, n := range g.needs[node] {
			if !artifacts || g.jobs[node].Needs[i].Artifacts {
				whole[node] = max(whole[node], whole[n])
			}
		}
	}
	return whole
}

// addFrom adds what node dep sees and, if it is a job that declares artifacts, itself.
func (p *producerSets) addFrom(u *union, dep, jobs int) {
	u.add(p.sets[dep])
	if b, ok := p.bit[dep]; ok && dep < jobs {
		u.addBit(b)
	}
}

// union is a set under construction that borrows the first set it is given
// until something new is added.
type union struct {
	set   []uint64
	owned bool
}

func (u *union) add(other []uint64) {
	if len(u.set) == 0 {
		u.set, u.owned = other, false
		return
	}
	for w, word := range other {
		if w >= len(u.set) || u.set[w]|word != u.set[w] {
			u.own(len(other))
			for ; w < len(other); w++ {
				u.set[w] |= other[w]
			}
			return
		}
	}
}

func (u *union) addBit(bit int) {
	w, mask := bit/64, uint64(1)<<(bit%64)
	if w < len(u.set) && u.set[w]&mask != 0 {
		return
	}
	u.own(w + 1)
	u.set[w] |= mask
}

// own makes the set the union's own, at least size words long.
func (u *union) own(size int) {
	if u.owned && size <= len(u.set) {
		return
	}
	grown := make([]uint64, max(size, len(u.set)))
	copy(grown, u.set)
	u.set, u.owned = grown, true
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
