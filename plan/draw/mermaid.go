package draw

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// WriteMermaid writes a flowchart for Mermaid (mermaid.js.org, "Flowcharts"), a
// subgraph a stage.
func (d *Drawing) WriteMermaid(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString("flowchart LR\n")
	d.byStage(func(stage int, nodes []int) {
		fmt.Fprintf(&b, "  subgraph s%d[\"%s\"]\n", stage, mermaidEscapes.Replace(d.stage(stage)))
		for _, i := range nodes {
			open, end := "[", "]"
			if d.Nodes[i].Manual {
				open, end = "([", "])"
			}
			fmt.Fprintf(&b, "    n%d%s\"%s\"%s\n", i, open, mermaidEscapes.Replace(d.Nodes[i].Label()), end)
		}
		b.WriteString("  end\n")
	})
	for i := range d.Nodes {
		if d.Nodes[i].Gate() {
			fmt.Fprintf(&b, "  n%d(( ))\n", i)
		}
	}
	for _, e := range d.Edges {
		arrow := "-->"
		if e.Optional {
			arrow = "-.->"
		}
		fmt.Fprintf(&b, "  n%d %s n%d\n", e.From, arrow, e.To)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// mermaidEscapes are what a quoted label cannot hold as it is: entities of Mermaid
// begin with a number sign.
var mermaidEscapes = strings.NewReplacer("#", "#35;", `"`, "#quot;", "&", "#amp;", "<", "#lt;", ">", "#gt;", "`", "#96;", `\`, "#92;")
