// Package draw draws the graph of a plan: as a Mermaid flowchart, for Graphviz, as
// SVG and as text. It uses the standard library alone.
//
// [New] makes of a plan the nodes and edges that all formats draw. A job that waits
// for whole stages has an edge from a gate, which stands for all jobs before, so
// that the number of edges does not grow with the square of the jobs.
package draw

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cic-ci/cic/plan"
)

// maxSingle is the number of jobs up to which each is drawn by itself; of more, those
// that wait for the same and for which the same wait are drawn as one.
const maxSingle = 60

// Drawing is a graph to draw.
type Drawing struct {
	// Stages are those of the plan, then those of child pipelines, each behind the name
	// of the trigger job and a slash. Levels is the number of batches.
	Stages []string
	Levels int
	Nodes  []Node
	// Edges are ordered by target, then by source.
	Edges []Edge
}

// Node is a job, several jobs, or a gate, which has no job.
type Node struct {
	Jobs []string
	// Stage is an index into Stages; that of a gate is the stage that it opens.
	Stage int
	// Level is the batch, from 0; that of a gate is the first batch behind it.
	Level int
	// Manual: somebody must start the job.
	Manual bool
}

// Gate reports whether the node is a gate.
func (n *Node) Gate() bool { return len(n.Jobs) == 0 }

// Label is what is written in the node: the job, or some of the jobs.
func (n *Node) Label() string {
	const most = 3
	if len(n.Jobs) <= 1 {
		return plan.Display(strings.Join(n.Jobs, ""))
	}
	text := fmt.Sprintf("%d jobs: %s", len(n.Jobs), strings.Join(n.Jobs[:min(len(n.Jobs), most)], ", "))
	if len(n.Jobs) > most {
		text += ", ..."
	}
	return plan.Display(text)
}

// Edge says that node To waits for node From; both are indices into Nodes.
type Edge struct {
	From, To int
	// Optional: the need was allowed to be absent.
	Optional bool
}

// New makes the drawing of a valid plan.
func New(p *plan.Plan) (*Drawing, error) {
	g, err := plan.NewGraph(p)
	if err != nil {
		return nil, err
	}
	b := &builder{p: p, g: g, d: &Drawing{Stages: slices.Clone(p.Stages), Levels: len(p.Batches)}, nodeOf: make([]int, len(p.Jobs))}
	b.jobs()
	b.needs()
	for k := range g.Pipelines() {
		first, end := g.StagesOf(k)
		for stage := first + 1; stage < end; stage++ {
			b.gate(stage)
		}
	}
	b.children()
	slices.SortFunc(b.d.Edges, func(a, b Edge) int {
		if a.To != b.To {
			return a.To - b.To
		}
		return a.From - b.From
	})
	b.d.Edges = slices.CompactFunc(b.d.Edges, func(a, b Edge) bool { return a.From == b.From && a.To == b.To })
	return b.d, nil
}

// children draws what starts the child pipelines: an edge from the trigger job to
// each job that waits for nothing else.
func (b *builder) children() {
	for i := range b.p.Pipelines {
		child := &b.p.Pipelines[i]
		for _, stage := range child.Stages {
			b.d.Stages = append(b.d.Stages, child.Trigger+"/"+stage)
		}
		first, end := b.g.StagesOf(i + 1)
		for stage := first; stage < end; stage++ {
			for _, job := range b.g.StageJobs(stage) {
				if !b.g.StageMode(job) && len(b.g.Needs(job)) == 0 {
					b.d.Edges = append(b.d.Edges, Edge{From: b.nodeOf[b.g.TriggerOf(i+1)], To: b.nodeOf[job]})
				}
			}
		}
	}
}

type builder struct {
	p *plan.Plan
	g *plan.Graph
	d *Drawing
	// nodeOf is the node of each job.
	nodeOf []int
}

// jobs makes the nodes of jobs, in plan order.
func (b *builder) jobs() {
	levels := make(map[string]int, len(b.p.Jobs))
	for level, names := range b.p.Batches {
		for _, name := range names {
			levels[name] = level
		}
	}
	twins := map[string]int{}
	for i := range b.p.Jobs {
		j := &b.p.Jobs[i]
		key := fmt.Sprint(i)
		if len(b.p.Jobs) > maxSingle {
			key = b.neighbours(i)
		}
		n, ok := twins[key]
		if !ok {
			n = len(b.d.Nodes)
			twins[key] = n
			b.d.Nodes = append(b.d.Nodes, Node{Stage: b.g.Stage(i), Level: levels[j.Name], Manual: j.When == "manual"})
		}
		b.d.Nodes[n].Jobs = append(b.d.Nodes[n].Jobs, j.Name)
		b.nodeOf[i] = n
	}
}

// neighbours tells a job's place in the graph: jobs of which it is the same can be
// drawn as one.
func (b *builder) neighbours(i int) string {
	needs := slices.Clone(b.g.Needs(i))
	slices.Sort(needs)
	return fmt.Sprint(b.g.Stage(i), b.g.StageMode(i), b.p.Jobs[i].When, needs, b.g.Dependents(i))
}

func (b *builder) needs() {
	for i := range b.p.Jobs {
		for k, from := range b.g.Needs(i) {
			b.d.Edges = append(b.d.Edges, Edge{From: b.nodeOf[from], To: b.nodeOf[i], Optional: b.p.Jobs[i].Needs[k].Optional})
		}
	}
}

// gate draws what the jobs of a stage that wait for all stages before wait for. Where
// there is one on either side, plain edges are as few.
func (b *builder) gate(stage int) {
	var from, to []int
	for _, i := range b.g.StageJobs(stage) {
		if b.g.StageMode(i) && !slices.Contains(to, b.nodeOf[i]) {
			to = append(to, b.nodeOf[i])
		}
	}
	if len(to) == 0 {
		return
	}
	for _, i := range b.before(stage) {
		if !slices.Contains(from, b.nodeOf[i]) {
			from = append(from, b.nodeOf[i])
		}
	}
	if len(from) == 1 || len(to) == 1 {
		for _, f := range from {
			for _, t := range to {
				b.d.Edges = append(b.d.Edges, Edge{From: f, To: t})
			}
		}
		return
	}
	gate := len(b.d.Nodes)
	b.d.Nodes = append(b.d.Nodes, Node{Stage: stage, Level: b.d.Nodes[to[0]].Level})
	for _, f := range from {
		b.d.Edges = append(b.d.Edges, Edge{From: f, To: gate})
	}
	for _, t := range to {
		b.d.Edges = append(b.d.Edges, Edge{From: gate, To: t})
	}
}

// before are jobs such that whatever waits for them waits for all stages before: the
// stage before this one, and those before it too unless a job there waits for them.
func (b *builder) before(stage int) []int {
	var jobs []int
	first, _ := b.g.StagesOf(b.g.PipelineOf(stage))
	for s := stage - 1; s >= first; s-- {
		jobs = append(jobs, b.g.StageJobs(s)...)
		if slices.ContainsFunc(b.g.StageJobs(s), b.g.StageMode) {
			break
		}
	}
	return jobs
}
