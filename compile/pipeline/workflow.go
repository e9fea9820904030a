package pipeline

import (
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/syntax"
)

var (
	cancelOnCommit  = []string{"conservative", "interruptible", "none"}
	cancelOnFailure = []string{"none", "all"}
)

// workflow decodes workflow (specification 12).
func (d *decoder) workflow(key, n *syntax.Node) {
	w := &Workflow{Pos: key.Pos}
	d.pipeline.Workflow = w
	ok := d.fields(n, inWorkflow, "workflow", func(key, value *syntax.Node) {
		switch what := path("workflow", key.Value); key.Value {
		case "auto_cancel":
			d.pipeline.AutoCancel = d.autoCancel(value, what)
		case "name":
			w.Name, _ = d.text(value, what)
			if length := utf8.RuneCountInString(w.Name.Value); length > maxNameLen {
				d.fail(CodeLimit, value, "%q has at most %d characters, this one has %d", what, maxNameLen, length)
			}
		case "rules":
			w.Rules = d.workflowRules(value, what)
		}
	})
	if !ok {
		d.wrongType(n, "workflow", "a mapping")
	}
}

var workflowWhen = []string{"always", "never"}

// workflowRules decodes workflow:rules. The result is not nil.
func (d *decoder) workflowRules(n *syntax.Node, place string) []Rule {
	rules := make([]Rule, 0, len(n.Items))
	if n.Kind != syntax.Sequence {
		d.wrongType(n, place, "a list of mappings")
		return rules
	}
	d.nested(n, place, 1, func(item *syntax.Node) {
		r := Rule{Pos: item.Pos}
		ok := d.fields(item, inWorkflowRule, place, func(key, value *syntax.Node) {
			switch what := path(place, key.Value); key.Value {
			case "when":
				r.When, _ = d.word(value, what, workflowWhen)
			case "auto_cancel":
				r.AutoCancel = d.autoCancel(value, what)
			case "start_in":
				d.duration(value, what, maxStartIn)
				d.warn(CodeNoEffect, key, "%q has no effect", what)
			case "allow_failure", "interruptible":
				d.boolean(value, what)
				d.warn(CodeNoEffect, key, "%q has no effect", what)
			case "needs":
				d.needs(value)
				d.warn(CodeNoEffect, key, "%q has no effect", what)
			default:
				d.ruleClause(&r, key.Value, value, what)
			}
		})
		switch {
		case !ok:
			d.wrongType(item, place+"[]", "a mapping")
		case len(item.Pairs) == 0:
			d.fail(CodeMissing, item, "%s must not be empty", subject(place+"[]"))
		default:
			rules = append(rules, r)
		}
	})
	return rules
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
