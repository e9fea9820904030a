package report

import (
	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// The bounds of the drawings: what is larger cannot be read, and is left out.
const (
	maxBars  = 300
	maxNodes = 300
	maxEdges = 3000
)

// timeline is a chart of when jobs ran.
type timeline struct {
	Width, Height int
	Bars          []bar
	// More is how many jobs are left out.
	More int
}

// bar is a job in the timeline, in user units.
type bar struct {
	Name, Status, Title string
	X, Y, Width, TextY  int
}

const (
	chartWidth = 960
	nameWidth  = 260
	barHeight  = 20
)

// newTimeline draws the jobs that ran, in the order in which they started.
func newTimeline(r *Run) *timeline {
	t := &timeline{Width: chartWidth}
	total := max(r.Result.Duration.Seconds(), 0.001)
	for _, j := range byStart(r.Result.Jobs) {
		if len(t.Bars) == maxBars {
			t.More++
			continue
		}
		scale := func(seconds float64) int {
			return int(min(max(seconds/total, 0), 1) * float64(chartWidth-nameWidth-10))
		}
		x := scale(j.Started.Sub(r.Started).Seconds())
		y := len(t.Bars) * barHeight
		t.Bars = append(t.Bars, bar{
			Name: cut(j.Name, 36), Status: class(j), Title: j.Name + ": " + seconds(j.Duration) + " s",
			X: nameWidth + x, Y: y + 3, TextY: y + 14, Width: max(2, min(scale(j.Duration.Seconds()), chartWidth-nameWidth-x)),
		})
	}
	t.Height = len(t.Bars)*barHeight + 4
	return t
}

// drawing is the graph of jobs by levels.
type drawing struct {
	Width, Height int
	Nodes         []node
	Edges         []line
	// Why says why there is nothing to see, if so.
	Why string
}

type node struct {
	Name, Status, Title, Anchor string
	X, Y, TextX, TextY          int
}

type line struct{ X1, Y1, X2, Y2, Bend1, Bend2 int }

const (
	nodeWidth   = 180
	nodeHeight  = 26
	columnWidth = 250
	rowHeight   = 36
)

// newDrawing draws the plan: a column a level, an edge a need. A job that waits
// for whole stages has edges from the level before it.
func newDrawing(r *Run, anchors map[string]string) *drawing {
	d := &drawing{}
	if len(r.Plan.Jobs) > maxNodes {
		d.Why = "The graph has too many jobs to be drawn."
		return d
	}
	results := map[string]*exec.JobResult{}
	for i := range r.Result.Jobs {
		results[r.Result.Jobs[i].Name] = &r.Result.Jobs[i]
	}
	places := map[string]node{}
	for column, level := range r.Plan.Batches {
		for row, name := range level {
			n := node{Name: cut(name, 24), Title: name, Anchor: anchors[name], X: 10 + column*columnWidth, Y: 10 + row*rowHeight}
			n.TextX, n.TextY = n.X+8, n.Y+17
			if j := results[name]; j != nil {
				n.Status = class(j)
			}
			places[name] = n
			d.Nodes = append(d.Nodes, n)
			d.Width, d.Height = max(d.Width, n.X+nodeWidth+10), max(d.Height, n.Y+nodeHeight+10)
		}
	}
	for i := range r.Plan.Jobs {
		j := &r.Plan.Jobs[i]
		for _, from := range waitsFor(r.Plan, j) {
			if len(d.Edges) == maxEdges {
				return d
			}
			a, b := places[from], places[j.Name]
			e := line{X1: a.X + nodeWidth, Y1: a.Y + nodeHeight/2, X2: b.X, Y2: b.Y + nodeHeight/2}
			e.Bend1, e.Bend2 = e.X1+30, e.X2-30
			d.Edges = append(d.Edges, e)
		}
	}
	return d
}

// waitsFor are the jobs from which edges to j are drawn.
func waitsFor(p *plan.Plan, j *plan.Job) []string {
	var from []string
	if !j.AfterStages {
		for _, n := range j.Needs {
			from = append(from, n.Job)
		}
		return from
	}
	for level, names := range p.Batches {
		for _, name := range names {
			if name == j.Name && level > 0 {
				return p.Batches[level-1]
			}
		}
	}
	return nil
}

// cut shortens a name to a number of characters.
func cut(name string, most int) string {
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}
