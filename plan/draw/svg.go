package draw

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cic-ci/cic/plan"
)

// The layout of an SVG drawing, in user units: a column a batch, in it the jobs one
// below the other, by stage.
const (
	boxWidth    = 200
	boxHeight   = 28
	columnWidth = boxWidth + 90
	rowHeight   = boxHeight + 10
	margin      = 20
	headHeight  = 30
	labelLength = 28 // in characters, what fits into a box
)

// place is where a node is drawn: the left end of its middle line.
type place struct{ x, y int }

// WriteSVG writes a picture of its own, which needs no font or style from elsewhere.
// The whole names of jobs are shown when one points at a box.
func (d *Drawing) WriteSVG(w io.Writer) error {
	places, width, height := d.layout()
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	for level := range d.Levels {
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#57606a" font-weight="bold">Batch %d</text>`+"\n", margin+level*columnWidth, margin+4, level+1)
	}
	b.WriteString(`<g fill="none" stroke="#8c959f">` + "\n")
	for _, e := range d.Edges {
		a, z := d.end(e.From, places), places[e.To]
		dash := ""
		if e.Optional {
			dash = ` stroke-dasharray="4 3"`
		}
		bend := max((z.x-a.x)/2, 20)
		fmt.Fprintf(&b, `<path d="M%d %dC%d %d %d %d %d %d"%s/>`+"\n", a.x, a.y, a.x+bend, a.y, z.x-bend, z.y, z.x, z.y, dash)
	}
	b.WriteString("</g>\n")
	for i := range d.Nodes {
		d.box(&b, &d.Nodes[i], places[i])
	}
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

// end is where edges leave a node.
func (d *Drawing) end(i int, places []place) place {
	p := places[i]
	if !d.Nodes[i].Gate() {
		p.x += boxWidth
	}
	return p
}

// stageColors tell stages apart; a stage further on begins again.
var stageColors = []string{"#0969da", "#1a7f37", "#9a6700", "#8250df", "#bc4c00", "#bf3989", "#0e7490", "#57606a"}

func (d *Drawing) box(b *bytes.Buffer, n *Node, p place) {
	color := stageColors[n.Stage%len(stageColors)]
	if n.Gate() {
		fmt.Fprintf(b, `<circle cx="%d" cy="%d" r="4" fill="%s"><title>stage %s</title></circle>`+"\n", p.x, p.y, color, escaped(d.stage(n.Stage)))
		return
	}
	names := make([]string, len(n.Jobs))
	for i, name := range n.Jobs {
		names[i] = plan.Display(name)
	}
	radius := 3
	if n.Manual {
		radius = boxHeight / 2
	}
	top := p.y - boxHeight/2
	fmt.Fprintf(b, `<g><title>%s, stage %s</title><rect x="%d" y="%d" width="%d" height="%d" rx="%d" fill="#f6f8fa" stroke="%s"/>`,
		escaped(strings.Join(names, "\n")), escaped(d.stage(n.Stage)), p.x, top, boxWidth, boxHeight, radius, color)
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text></g>`+"\n", p.x+10, p.y+4, escaped(cut(n.Label(), labelLength)))
}

// layout places the nodes. Within a column and a stage they are ordered by the
// average height of what they wait for, which keeps edges from crossing.
func (d *Drawing) layout() (places []place, width, height int) {
	places = make([]place, len(d.Nodes))
	from := make([][]int, len(d.Nodes))
	for _, e := range d.Edges {
		from[e.To] = append(from[e.To], e.From)
	}
	average := func(i int) int {
		sum := 0
		for _, f := range from[i] {
			sum += places[f].y
		}
		return sum / max(len(from[i]), 1)
	}
	for level := range d.Levels {
		var column []int
		for i := range d.Nodes {
			switch n := &d.Nodes[i]; {
			case n.Level != level:
			case n.Gate():
				places[i] = place{margin + level*columnWidth - (columnWidth-boxWidth)/2, max(average(i), headHeight+margin)}
			default:
				column = append(column, i)
			}
		}
		slices.SortStableFunc(column, func(a, b int) int {
			return cmp.Or(cmp.Compare(d.Nodes[a].Stage, d.Nodes[b].Stage), cmp.Compare(average(a), average(b)))
		})
		for row, i := range column {
			places[i] = place{margin + level*columnWidth, headHeight + margin + row*rowHeight + boxHeight/2}
			height = max(height, places[i].y)
		}
	}
	return places, 2*margin + max(d.Levels, 1)*columnWidth - (columnWidth - boxWidth), height + boxHeight/2 + margin
}

// escaped is a text in XML, and in an attribute.
func escaped(text string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		panic("draw: " + err.Error()) // a buffer takes all
	}
	return b.String()
}

// cut shortens a text to a number of characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
