package pipeline

import "github.com/cic-ci/cic/compile/syntax"

var (
	cancelOnCommit  = []string{"conservative", "interruptible", "none"}
	cancelOnFailure = []string{"none", "all"}
)

// workflow decodes workflow (specification 12).
func (d *decoder) workflow(n *syntax.Node) {
	ok := d.fields(n, inWorkflow, "workflow", func(key, value *syntax.Node) {
		if key.Value == "auto_cancel" {
			d.pipeline.AutoCancel = d.autoCancel(value, path("workflow", key.Value))
		}
	})
	if !ok {
		d.wrongType(n, "workflow", "a mapping")
	}
}

func (d *decoder) autoCancel(n *syntax.Node, place string) *AutoCancel {
	a := &AutoCancel{}
	ok := d.fields(n, inAutoCancel, place, func(key, value *syntax.Node) {
		switch what := path(place, key.Value); key.Value {
		case "on_new_commit":
			a.OnNewCommit, _ = d.word(value, what, cancelOnCommit)
		case "on_job_failure":
			a.OnJobFailure, _ = d.word(value, what, cancelOnFailure)
		}
	})
	if !ok {
		d.wrongType(n, place, "a mapping")
	}
	return a
}
