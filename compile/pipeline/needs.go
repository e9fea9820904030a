package pipeline

import "github.com/cic-ci/cic/compile/syntax"

// needs decodes needs: names and mappings, or a single mapping
// (specification 14.1). Names are not looked up.
func (d *decoder) needs(n *syntax.Node) *[]Need {
	needs := make([]Need, 0, len(n.Items))
	add := func(item *syntax.Node) {
		if need, ok := d.need(item); ok {
			needs = append(needs, need)
		}
	}
	if n.Kind == syntax.Mapping {
		add(n)
	} else {
		d.list(n, "needs", wantList, add)
	}
	return &needs
}

func (d *decoder) need(n *syntax.Node) (Need, bool) {
	need := Need{Artifacts: true}
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
		}
	})
	if !foreign(n) {
		d.require(n, inNeed, "needs[]", "job")
	}
	return need, ok
}

// foreign reports whether a need has a refused form, which needs no job.
func foreign(n *syntax.Node) bool {
	return specified(n.Get("pipeline")) || specified(n.Get("project"))
}

// maxEdges bounds the needs and dependencies of all jobs together after expansion over parallel
// jobs: far beyond any real pipeline, and what keeps a small hostile file from
// filling the memory.
const maxEdges = 1_000_000

// linker expands the names of parallel jobs in needs and dependencies
// (specification 14.4).
type linker struct {
	// members maps the name of each parallel job to its concrete jobs.
	members map[string][]instance
	edges   int
}

// link expands j's names. It reports false if there are too many needs.
func (l *linker) link(dr *draft) bool {
	copies := max(1, len(dr.instances))
	if dr.Needs != nil {
		needs := make([]Need, 0, len(*dr.Needs))
		for _, need := range *dr.Needs {
			if l.edges += copies * max(1, len(l.members[need.Job.Value])); l.edges > maxEdges {
				return false
			}
			for _, name := range l.expand(need.Job) {
				need.Job = name
				needs = append(needs, need)
			}
		}
		dr.Needs = &needs
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
	return true
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
