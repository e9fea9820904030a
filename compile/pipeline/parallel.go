package pipeline

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/syntax"
)

const (
	// maxParallel bounds the jobs that one job becomes (specification 0).
	maxParallel = 200
	// maxJobs bounds the concrete jobs of a pipeline; a plan holds no more.
	maxJobs = 100_000
	// maxMatrixValues bounds the variables that all matrices of a pipeline give their
	// jobs. Each has a part in the name of its job, of 255 characters.
	maxMatrixValues = 250_000
)

// parallel decodes parallel: a number or a matrix (specification 15).
func (d *decoder) parallel(j *draft, n *syntax.Node) {
	switch n.Kind {
	case syntax.Int:
		total, _ := d.integer(n, "parallel", 1, maxParallel)
		for i := range int(total) {
			name := j.Base + " " + strconv.Itoa(i+1) + "/" + strconv.Itoa(int(total))
			j.instances = append(j.instances, instance{name: name, index: i + 1, total: int(total)})
		}
	case syntax.Mapping:
		d.fields(n, inParallel, "parallel", func(_, value *syntax.Node) { d.parallelMatrix(j, value) })
		d.require(n, inParallel, "parallel", "matrix")
	default:
		d.wrongInteger(n, "parallel", "an integer or a mapping")
	}
}

func (d *decoder) parallelMatrix(j *draft, n *syntax.Node) {
	const what = "parallel:matrix"
	switch {
	case n.Kind != syntax.Sequence:
		d.wrongType(n, what, "a list of mappings")
	case len(n.Items) == 0:
		d.fail(CodeMissing, n, "%q must not be empty", what)
	default:
		d.matrix(j, n, n.Items, what)
	}
}

// jobMatrix decodes matrix in a job, an addition to the language:
// parallel:matrix of one entry.
func (d *decoder) jobMatrix(j *draft, n *syntax.Node) {
	if n.Kind != syntax.Mapping {
		d.wrongType(n, "matrix", "a mapping")
		return
	}
	d.matrix(j, n, []*syntax.Node{n}, "matrix")
}

// axis is one variable of a matrix and its values.
type axis struct {
	key    *syntax.Node
	values []*syntax.Node
}

// matrix makes a job of each combination of each entry (specification 15.2).
func (d *decoder) matrix(j *draft, n *syntax.Node, entries []*syntax.Node, what string) {
	total, valid := 0, true
	entryAxes := make([][]axis, 0, len(entries))
	for _, entry := range entries {
		axes, ok := d.axes(entry, what)
		entryAxes, valid = append(entryAxes, axes), valid && ok
		total = min(total+combinations(axes), maxParallel+1)
		d.matrixValues += combinations(axes) * len(axes)
	}
	if total > maxParallel {
		d.fail(CodeLimit, n, "%q makes more than %d jobs", what, maxParallel)
		return
	}
	if d.matrixValues > maxMatrixValues {
		d.fail(CodeLimit, n, "%q: with it, the matrices of the pipeline have more than %d values", what, maxMatrixValues)
		return
	}
	if !valid {
		return
	}
	made := make(map[string]int, total)
	index := 0
	for _, axes := range entryAxes {
		for i := range combinations(axes) {
			index++
			d.addCombination(j, n, made, instance{index: index, total: total, matrix: combination(axes, i)})
		}
	}
}

// axes decodes one entry of a matrix.
func (d *decoder) axes(n *syntax.Node, what string) ([]axis, bool) {
	if n.Kind != syntax.Mapping {
		d.wrongType(n, what+"[]", "a mapping")
		return nil, false
	}
	if len(n.Pairs) == 0 {
		d.fail(CodeMissing, n, "%s must not be empty", subject(what+"[]"))
		return nil, false
	}
	axes := make([]axis, 0, len(n.Pairs))
	valid := true
	for _, p := range n.Pairs {
		a := axis{key: p.Key, values: []*syntax.Node{p.Value}}
		if p.Value.Kind == syntax.Sequence {
			a.values = p.Value.Items
		}
		// Letters, digits and underscores, in any order (specification 15.2): one that
		// begins with a digit makes jobs, which do not see it.
		if isIdentifier("_" + p.Key.Value) {
			d.variableName(p.Key)
		} else {
			valid = d.shellName(p.Key) && valid
		}
		d.shellVariable(p.Key)
		if len(a.values) == 0 {
			d.fail(CodeMissing, p.Value, "%q must not be empty", path(what, p.Key.Value))
			valid = false
		}
		for _, v := range a.values {
			valid = d.axisValue(v, path(what, p.Key.Value), p.Key.Value) && valid
		}
		axes = append(axes, a)
	}
	return axes, valid
}

func (d *decoder) axisValue(n *syntax.Node, what, name string) bool {
	switch n.Kind {
	case syntax.String, syntax.Int, syntax.Float:
		d.readAs(n, name)
		if i := strings.IndexFunc(n.Value, unicode.IsControl); i >= 0 {
			r, _ := utf8.DecodeRuneInString(n.Value[i:])
			d.fail(CodeValue, n, "%q becomes part of a job's name and must not contain the control character %U", what, r)
			return false
		}
		return true
	}
	d.wrongType(n, what, "a string, a number or a list of those")
	return false
}

// combinations returns the size of the product of axes, at most maxParallel+1.
func combinations(axes []axis) int {
	if len(axes) == 0 {
		return 0
	}
	n := 1
	for _, a := range axes {
		n = min(n*len(a.values), maxParallel+1)
	}
	return n
}

// combination returns the i-th member of the product; the first axis varies
// slowest.
func combination(axes []axis, i int) []Variable {
	values := make([]Variable, len(axes))
	for k := len(axes) - 1; k >= 0; k-- {
		a := axes[k]
		values[k] = Variable{Name: a.key.Value, Value: a.values[i%len(a.values)].Value, Pos: a.key.Pos}
		i /= len(a.values)
	}
	return values
}

// addCombination names a combination by its values and adds it. Of two with one
// name the later takes the earlier one's place, as the language has it; made
// maps the names to their places.
func (d *decoder) addCombination(j *draft, n *syntax.Node, made map[string]int, in instance) {
	in.name = matrixName(j.Base, in.matrix)
	if at, ok := made[in.name]; ok {
		d.warn(CodeSameMatrix, n, "the matrix makes job %q more than once; the last combination is used", in.name)
		j.instances[at] = in
		return
	}
	made[in.name] = len(j.instances)
	j.instances = append(j.instances, in)
}

// matrixName is the name of the job that has these values of a matrix.
func matrixName(base string, values []Variable) string {
	var b strings.Builder
	b.WriteString(base + ": [")
	for i, v := range values {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(v.Value)
	}
	b.WriteString("]")
	return b.String()
}

// multiply makes the concrete jobs of all drafts, in source order.
func (d *decoder) multiply(drafts []*draft) {
	l := linker{d: d, members: make(map[string][]instance)}
	for _, dr := range drafts {
		if len(dr.instances) > 0 {
			l.members[dr.Base] = dr.instances
		}
	}
	made := make(map[string]*draft, len(drafts))
	for _, dr := range drafts {
		d.job = dr.Base
		if !l.link(dr) {
			d.fail(CodeLimit, dr.key, "the jobs of the pipeline have more than %d needs and dependencies", maxEdges)
			return
		}
		d.concrete(&l, dr, made)
	}
	d.job = ""
}

// concrete appends the jobs of one draft. They share all slices but needs that
// their matrix values choose.
func (d *decoder) concrete(l *linker, dr *draft, made map[string]*draft) {
	if len(dr.instances) == 0 {
		d.appendJob(dr, dr.Job, made)
		return
	}
	jobs := make([]Job, len(dr.instances))
	byInstance, ok := dr.byInstance(), true
	for i, in := range dr.instances {
		j := &jobs[i]
		*j = *dr.Job
		j.Name, j.NodeIndex, j.NodeTotal = in.name, in.index, in.total
		j.Matrix = slices.DeleteFunc(slices.Clone(in.matrix), func(v Variable) bool { return !isIdentifier(v.Name) })
		if byInstance {
			// Counted by link already.
			j.Needs = l.needs(dr.needs, in.matrix, 0, &ok)
		}
		if d.nameFits(dr.key, "job", j.Name) {
			d.appendJob(dr, j, made)
		}
	}
}

// appendJob adds a job unless there is one of its name: one that parallel made
// of another.
func (d *decoder) appendJob(dr *draft, j *Job, made map[string]*draft) {
	if first := made[j.Name]; first != nil {
		e := d.fail(CodeSameName, dr.key, "there are two jobs named %q", j.Name)
		e.Notes = append(e.Notes, syntax.Note{Pos: first.key.Pos, Msg: "the other one is here"})
		return
	}
	made[j.Name] = dr
	d.pipeline.Jobs = append(d.pipeline.Jobs, j)
}
