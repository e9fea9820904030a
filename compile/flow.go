package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// flow fills Inputs: whose artifacts each job sees. The jobs of p and the nodes
// of g are parallel.
//
// By default that is everything upstream of a job's needs, which pipelines that
// pass a file over two hops rely on; with the option "needs" it is GitLab's rule
// (specification section 14.5), which is only what the needs themselves leave.
// Each job for which the two differ gets a warning. dependencies restricts both.
func (l *lowering) flow(p *plan.Plan, g *graph, edges *plan.Graph) {
	index := make(map[*node]int, len(g.nodes))
	for i, n := range g.nodes {
		index[n] = i
	}
	whole, producing := edges.WholeStages(true), firstProducingStage(p, edges)
	for i, n := range g.nodes {
		if whole[i] <= producing {
			whole[i] = 0 // these stages leave nothing
		}
		switch {
		case n.job.Trigger != nil: // it downloads nothing (specification section 28)
		case n.stageMode && n.dependencies == nil:
			l.setInputs(p, edges, i, whole[i], nil)
		case n.stageMode:
			l.setInputs(p, edges, i, 0, n.directInputs(p, index, func(from *node) bool { return from.stage < n.stage }))
		default:
			l.needsInputs(p, i, n, index, edges, whole[i])
		}
		if l.tooLarge() {
			l.reportSize(n, "the lists of jobs whose artifacts each job gets",
				"compile with --artifacts=needs, which passes on the artifacts of the needs alone, or name them in dependencies")
			return
		}
	}
}

// needsInputs fills the inputs of a job with needs. All stages before whole are
// upstream of it.
func (l *lowering) needsInputs(p *plan.Plan, i int, n *node, index map[*node]int, edges *plan.Graph, whole int) {
	wanted := make(map[*node]bool, len(n.edges))
	for _, edge := range n.edges {
		wanted[edge.to] = edge.artifacts
	}
	direct := n.directInputs(p, index, func(from *node) bool { return wanted[from] })
	if l.env.options.Artifacts == "needs" || n.dependencies != nil {
		l.setInputs(p, edges, i, 0, direct)
		return
	}
	all := edges.Producers(i)
	l.setInputs(p, edges, i, whole, all)
	if len(all) > len(direct) {
		l.noteFlow(p, n, all, direct)
	}
}

// directInputs returns, in plan order, the jobs with artifacts among those that n
// names in dependencies or, without these, in needs, as far as they are allowed.
func (n *node) directInputs(p *plan.Plan, index map[*node]int, allowed func(*node) bool) []int {
	named := n.dependencies
	if named == nil {
		for _, edge := range n.edges {
			named = append(named, edge.to)
		}
	}
	var jobs []int
	for _, from := range named {
		if k := index[from]; p.Jobs[k].Artifacts.Archived() && allowed(from) {
			jobs = append(jobs, k)
		}
	}
	slices.Sort(jobs)
	return jobs
}

// setInputs lets job i see the artifacts of all stages before whole and of the
// jobs from, of which those of these stages need not be named.
func (l *lowering) setInputs(p *plan.Plan, edges *plan.Graph, i, whole int, from []int) {
	var in plan.Inputs
	if whole > 0 {
		in.BeforeStage = p.Stages[whole]
	}
	for _, f := range from {
		if edges.Stage(f) >= whole {
			in.Jobs = append(in.Jobs, p.Jobs[f].Name)
			l.size += len(p.Jobs[f].Name) + entryOverhead
		}
	}
	if in.BeforeStage != "" || in.Jobs != nil {
		p.Jobs[i].Inputs = &in
	}
}

// noteFlow warns that a job sees more than it would on GitLab.
func (l *lowering) noteFlow(p *plan.Plan, n *node, all, direct []int) {
	const most = 5
	var more []string
	for _, k := range all {
		if len(more) == most {
			break
		}
		if _, found := slices.BinarySearch(direct, k); !found {
			more = append(more, strconv.Quote(p.Jobs[k].Name))
		}
	}
	// What the needs give directly is part of all.
	if extra := len(all) - len(direct) - most; extra > 0 {
		more = append(more, fmt.Sprintf("%d more", extra))
	}
	l.diags.report(&syntax.Error{
		Severity: syntax.SeverityWarning, Code: codeArtifactFlow,
		Pos: n.job.Pos, Len: utf8.RuneCountInString(n.job.Base), Job: n.job.Name,
		Msg:  fmt.Sprintf("job %q also gets the artifacts of %s, through its needs; on GitLab it would not", n.job.Name, strings.Join(more, ", ")),
		Help: "list them in needs, or compile with --artifacts=needs for GitLab's rule",
	})
}

// firstProducingStage returns the first stage with a job that leaves artifacts,
// or the number of stages.
func firstProducingStage(p *plan.Plan, edges *plan.Graph) int {
	for i := range p.Jobs {
		if p.Jobs[i].Artifacts.Archived() {
			return edges.Stage(i) // jobs are in stage order
		}
	}
	return len(p.Stages)
}
