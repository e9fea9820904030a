package compile

import (
	"slices"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/plan"
)

// reportsDotenv reports whether a job leaves variables for others.
func reportsDotenv(j *pipeline.Job) bool {
	return j.Artifacts != nil && slices.ContainsFunc(j.Artifacts.Reports, func(r pipeline.Report) bool { return r.Kind == "dotenv" })
}

// dotenvSources returns, in plan order, the jobs whose dotenv reports set
// variables of n: those with such a report among the jobs whose artifacts n would
// get on GitLab (specification 18.5 and 14.5).
func (l *lowering) dotenvSources(n *node) []string {
	var names []string
	for _, from := range l.reporting {
		if n.downloads(from) {
			names = append(names, from.job.Name)
			l.size += len(from.job.Name) + entryOverhead
		}
	}
	return names
}

// dropDotenvSources removes the sources whose report has turned out to be outside
// of the project, or empty, once its variables were expanded.
func dropDotenvSources(jobs []plan.Job) {
	reports := make(map[string]bool)
	for i := range jobs {
		if a := jobs[i].Artifacts; a != nil && len(a.Reports["dotenv"]) > 0 {
			reports[jobs[i].Name] = true
		}
	}
	for i := range jobs {
		jobs[i].DotenvFrom = slices.DeleteFunc(jobs[i].DotenvFrom, func(name string) bool { return !reports[name] })
	}
}

// downloads reports whether a job gets the artifacts of another by GitLab's rule.
func (n *node) downloads(from *node) bool {
	if n.dependencies != nil && !slices.Contains(n.dependencies, from) {
		return false
	}
	if n.stageMode {
		return from.stage < n.stage
	}
	return slices.ContainsFunc(n.edges, func(e edge) bool { return e.to == from && e.artifacts })
}

// byMention orders variables such that each comes after those that its value
// mentions, and otherwise as they are. Values mention each other in no circle.
func byMention(vs plan.Variables) plan.Variables {
	ordered := make(plan.Variables, 0, len(vs))
	placed := make(map[string]bool, len(vs))
	var place func(v plan.Variable)
	place = func(v plan.Variable) {
		if placed[v.Name] {
			return
		}
		placed[v.Name] = true
		for _, part := range parts(v.Value) {
			if !part.Var {
				continue
			}
			if value, ok := vs.Get(part.Text); ok {
				place(plan.Variable{Name: part.Text, Value: value})
			}
		}
		ordered = append(ordered, v)
	}
	for _, v := range vs {
		place(v)
	}
	return ordered
}
