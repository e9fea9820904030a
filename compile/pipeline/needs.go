package pipeline

import (
	"regexp"
	"slices"

	"github.com/cic-ci/cic/compile/syntax"
)

// need is an entry of needs as written, before it is expanded over parallel jobs.
type need struct {
	Need
	// external, if not nil, is what is needed in place of a job of this pipeline.
	external *ExternalNeed
	// matrix holds the axes of each entry of needs:parallel:matrix.
	matrix [][]axis
}

// needs decodes needs: names and mappings, or a single mapping
// (specification 14.1). Lists within it, from references, are flattened. Names
// are not looked up.
func (d *decoder) needs(n *syntax.Node) []need {
	needs := make([]need, 0, len(n.Items))
	add := func(item *syntax.Node) {
		if item.Kind == syntax.Null {
			d.warn(CodeNoEffect, item, `an empty entry of "needs" has no effect`)
		} else if need, ok := d.need(item); ok {
			needs = append(needs, need)
		}
	}
	switch n.Kind {
	case syntax.Mapping:
		add(n)
	case syntax.Sequence:
		d.nested(n, "needs", 1, add)
	default:
		d.wrongType(n, "needs", wantList)
	}
	return needs
}

func (d *decoder) need(n *syntax.Node) (need, bool) {
	need := need{Need: Need{Artifacts: true}}
	var elsewhere ExternalNeed
	var ok bool
	switch n.Kind {
	case syntax.String:
		need.Job, ok = d.filledText(n, "needs[]")
		return need, ok
	case syntax.Mapping:
	default:
		d.wrongType(n, "needs[]", "a string or a mapping")
		return need, false
	}
	d.fields(n, inNeed, "needs", func(key, value *syntax.Node) {
		switch what := path("needs", key.Value); key.Value {
		case "job":
			need.Job, ok = d.filledText(value, what)
		case "artifacts":
			need.Artifacts = d.boolean(value, what)
		case "optional":
			need.Optional = d.boolean(value, what)
		case "parallel":
			need.matrix = d.needMatrix(value, what)
		case "project":
			elsewhere.Project, _ = d.filledText(value, what)
		case "ref":
			elsewhere.Ref, _ = d.filledText(value, what)
		case "pipeline":
			elsewhere.Pipeline, _ = d.filledText(value, what)
		}
	})
	d.require(n, inNeed, "needs[]", "job")
	if d.needsElsewhere(n) {
		elsewhere.Job, elsewhere.Artifacts = need.Job, need.Artifacts
		need.external = &elsewhere
	}
	return need, ok
}

// needsElsewhere reports whether a need is of a job of another project, or of
// another pipeline, and checks which keywords stand together.
func (d *decoder) needsElsewhere(n *syntax.Node) bool {
	switch {
	case specified(n.Get("project")):
		d.exclude(n, "project", "pipeline", "parallel", "optional")
		d.require(n, inNeed, "needs[]", "ref")
	case specified(n.Get("pipeline")):
		d.exclude(n, "pipeline", "ref", "parallel")
	default:
		if specified(n.Get("ref")) {
			d.require(n, inNeed, "needs[]", "project")
		}
		return false
	}
	return true
}

// maxProjectNeeds bounds the needs of other projects of a job (specification 0).
const maxProjectNeeds = 5

// externals are the needs among others that are of other pipelines and projects.
func (d *decoder) externals(n *syntax.Node, needs []need) (all []ExternalNeed) {
	projects := 0
	for _, need := range needs {
		if need.external == nil {
			continue
		}
		all = append(all, *need.external)
		if need.external.Project.Value != "" {
			projects++
		}
	}
	if projects > maxProjectNeeds {
		d.fail(CodeLimit, n, "a job has at most %d needs of other projects, this one has %d", maxProjectNeeds, projects)
	}
	return all
}

// needMatrix decodes needs:parallel, which chooses among the jobs of a matrix.
func (d *decoder) needMatrix(n *syntax.Node, what string) (entries [][]axis) {
	ok := d.fields(n, inNeedParallel, what, func(key, value *syntax.Node) {
		where := path(what, key.Value)
		switch {
		case value.Kind != syntax.Sequence:
			d.wrongType(value, where, "a list of mappings")
			return
		case len(value.Items) == 0:
			d.fail(CodeMissing, value, "%q must not be empty", where)
			return
		}
		total := 0
		for _, entry := range value.Items {
			if axes, ok := d.axes(entry, where); ok {
				entries = append(entries, axes)
				total = min(total+combinations(axes), maxParallel+1)
			}
		}
		if total > maxParallel {
			d.fail(CodeLimit, value, "%q names more than %d jobs", where, maxParallel)
			entries = nil
		}
	})
	if !ok {
		d.wrongType(n, what, "a mapping")
	} else {
		d.require(n, inNeedParallel, what, "matrix")
	}
	return entries
}

// maxEdges bounds the needs and dependencies of all jobs together after expansion over parallel
// jobs: far beyond any real pipeline, and what keeps a small hostile file from
// filling the memory.
const maxEdges = 1_000_000

// linker expands the names of parallel jobs in needs and dependencies
// (specification 14.4).
type linker struct {
	d *decoder
	// members maps the name of each parallel job to its concrete jobs.
	members map[string][]instance
	edges   int
}

// link expands j's names. It reports false if there are too many needs.
func (l *linker) link(dr *draft) bool {
	copies := max(1, len(dr.instances))
	ok := true
	dr.Needs = l.needs(dr.needs, nil, copies, &ok)
	for i := range dr.Rules {
		dr.Rules[i].Needs = l.needs(dr.ruleNeeds[i], nil, copies, &ok)
	}
	if dr.Dependencies != nil {
		names := make([]Text, 0, len(*dr.Dependencies))
		for _, name := range *dr.Dependencies {
			if l.edges += copies * max(1, len(l.members[name.Value])); l.edges > maxEdges {
				return false
			}
			names = append(names, l.expand(name)...)
		}
		dr.Dependencies = &names
	}
	return ok
}

// needs expands a list of needs, nil for nil. own are the matrix values of the job
// that has them. It sets ok to false if there are too many.
func (l *linker) needs(needs []need, own []Variable, copies int, ok *bool) *[]Need {
	if needs == nil {
		return nil
	}
	expanded := make([]Need, 0, len(needs))
	for _, n := range needs {
		if n.external != nil {
			continue
		}
		names := l.expand(n.Job)
		if n.matrix != nil {
			names = l.chosen(n, own)
		}
		if l.edges += copies * max(1, len(names)); l.edges > maxEdges {
			*ok = false
			return &expanded
		}
		for _, name := range names {
			n.Job = name
			expanded = append(expanded, n.Need)
		}
	}
	return &expanded
}

// chosen are the names that a need's own matrix makes.
func (l *linker) chosen(n need, own []Variable) (names []Text) {
	for _, axes := range n.matrix {
		for i := range combinations(axes) {
			values := combination(axes, i)
			for k := range values {
				values[k].Value = l.matrixValue(n, values[k].Value, own)
			}
			names = append(names, Text{Value: matrixName(n.Job.Value, values), Pos: n.Job.Pos})
		}
	}
	return names
}

// matrixExpression is $[[ matrix.NAME ]] (specification 8.3).
var matrixExpression = regexp.MustCompile(`\$\[\[\s*matrix\.([A-Za-z0-9_-]+)\s*\]\]`)

// matrixValue fills the values of the job's own matrix into a value of a need's.
func (l *linker) matrixValue(n need, value string, own []Variable) string {
	return matrixExpression.ReplaceAllStringFunc(value, func(ref string) string {
		name := matrixExpression.FindStringSubmatch(ref)[1]
		for _, v := range own {
			if v.Name == name {
				return v.Value
			}
		}
		if own != nil {
			l.d.fail(CodeValue, syntax.NewScalar(syntax.String, n.Job.Value, n.Job.Pos), "the job's matrix has no %q, which %s names", name, ref)
		}
		return ref
	})
}

// byInstance reports whether a job's needs differ from instance to instance.
func (dr *draft) byInstance() bool {
	return slices.ContainsFunc(dr.needs, func(n need) bool {
		return slices.ContainsFunc(n.matrix, func(axes []axis) bool {
			return slices.ContainsFunc(axes, func(a axis) bool {
				return slices.ContainsFunc(a.values, func(v *syntax.Node) bool { return matrixExpression.MatchString(v.Value) })
			})
		})
	})
}

// expand returns the names of the concrete jobs that a name stands for, the
// name itself if it is not that of a parallel job.
func (l *linker) expand(name Text) []Text {
	members := l.members[name.Value]
	if members == nil {
		return []Text{name}
	}
	names := make([]Text, len(members))
	for i, m := range members {
		names[i] = Text{Value: m.name, Pos: name.Pos}
	}
	return names
}
