package exec

import (
	"fmt"

	"github.com/cic-ci/cic/plan"
)

// Tree is what jobs have of the project that they are of.
type Tree struct {
	// Dir is the project's directory.
	Dir string
	// Workspaces, Mapped, Caches and Variables are what their namesakes of [Executor] are.
	Workspaces, Mapped Workspaces
	Caches             *Caches
	Variables          map[string]string
}

// checkProjects reports another project whose pipeline is in the plan and of which
// nobody has told where it is.
func (e *Executor) checkProjects(p *plan.Plan) error {
	for i := range p.Pipelines {
		of := p.Pipelines[i].Project
		if of == nil {
			continue
		}
		if _, ok := e.Others[of.Path]; !ok {
			return &Error{Class: ClassConfig, Err: fmt.Errorf("job %q starts the pipeline of project %q, and it is not known where that project is", p.Pipelines[i].Trigger, of.Path),
				Help: fmt.Sprintf("name its directory: --external %s=DIR", of.Path)}
		}
	}
	return nil
}

// tree is that of the project that a job is of.
func (r *run) tree(j *plan.Job) Tree {
	if of := r.plan.ProjectOf(j); of != nil {
		if t, ok := r.Others[of.Path]; ok {
			return t
		}
		return Tree{Workspaces: r.Workspaces} // in a dry run alone, which asks for none
	}
	return Tree{Dir: r.Project, Workspaces: r.Workspaces, Mapped: r.Mapped, Caches: r.Caches, Variables: r.Variables}
}
