package draw

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/cic-ci/cic/plan"
)

// WriteDOT writes the graph for Graphviz ("DOT Language"), a cluster a stage.
func (d *Drawing) WriteDOT(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString("digraph plan {\n  rankdir=LR;\n  node [shape=box];\n")
	d.byStage(func(stage int, nodes []int) {
		fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%s;\n", stage, dotString(d.stage(stage)))
		for _, i := range nodes {
			style := ""
			if d.Nodes[i].Manual {
				style = ", style=rounded"
			}
			fmt.Fprintf(&b, "    n%d [label=%s%s];\n", i, dotString(d.Nodes[i].Label()), style)
		}
		b.WriteString("  }\n")
	})
	for i := range d.Nodes {
		if d.Nodes[i].Gate() {
			fmt.Fprintf(&b, "  n%d [shape=point];\n", i)
		}
	}
	for _, e := range d.Edges {
		style := ""
		if e.Optional {
			style = " [style=dashed]"
		}
		fmt.Fprintf(&b, "  n%d -> n%d%s;\n", e.From, e.To, style)
	}
	b.WriteString("}\n")
	_, err := w.Write(b.Bytes())
	return err
}

// dotString is a quoted text. A backslash, which begins an escape in labels, stands
// for itself when it is doubled.
func dotString(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

func (d *Drawing) stage(i int) string { return plan.Display(d.Stages[i]) }

// byStage calls do for each stage with its nodes, gates aside.
func (d *Drawing) byStage(do func(stage int, nodes []int)) {
	nodes := make([][]int, len(d.Stages))
	for i := range d.Nodes {
		if n := &d.Nodes[i]; !n.Gate() {
			nodes[n.Stage] = append(nodes[n.Stage], i)
		}
	}
	for stage := range nodes {
		do(stage, nodes[stage])
	}
}
