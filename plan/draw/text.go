package draw

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// WriteText writes the batches with, for each job, what it waits for.
func (d *Drawing) WriteText(w io.Writer) error {
	from := make([][]string, len(d.Nodes))
	for _, e := range d.Edges {
		label := d.Nodes[e.From].Label()
		if d.Nodes[e.From].Gate() {
			label = "all jobs before stage " + d.stage(d.Nodes[e.From].Stage)
		}
		if e.Optional {
			label += " (optional)"
		}
		from[e.To] = append(from[e.To], label)
	}
	var b bytes.Buffer
	for level := range d.Levels {
		fmt.Fprintf(&b, "Batch %d\n", level+1)
		for i := range d.Nodes {
			n := &d.Nodes[i]
			if n.Level != level || n.Gate() {
				continue
			}
			fmt.Fprintf(&b, "  %s [%s]", n.Label(), d.stage(n.Stage))
			if len(from[i]) > 0 {
				b.WriteString(" <- " + strings.Join(from[i], ", "))
			}
			b.WriteByte('\n')
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}
