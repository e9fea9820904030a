package compile

import (
	"fmt"
	"strings"

	"github.com/cic-ci/cic/compile/expr"
	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
)

// explain returns notes that tell why a job is left out: the rule that decided,
// or each rule that did not match, and what its variables were.
func (s *selection) explain(i int, j *pipeline.Job) []syntax.Note {
	const most = 5
	d := s.decisions[i]
	if j.Rules == nil || d.elsewhere {
		return []syntax.Note{{Pos: d.pos, Msg: fmt.Sprintf("%q is left out here: %s", j.Name, d.reason)}}
	}
	var notes []syntax.Note
	for i := range j.Rules {
		r := &j.Rules[i]
		values := ""
		if e := s.selector.expression(r.If, "rules:if"); e != nil {
			values = s.selector.values(j, e)
		}
		if s.selector.try(j, r).Unmet == "" {
			return []syntax.Note{{Pos: r.Pos, Msg: fmt.Sprintf("this rule leaves %q out%s", j.Name, values)}}
		}
		pos := r.If.Pos
		if !pos.IsValid() {
			pos = r.Pos
		}
		notes = append(notes, syntax.Note{Pos: pos, Msg: "this rule does not match" + values})
	}
	if len(notes) == 0 {
		return []syntax.Note{{Pos: j.Pos, Msg: fmt.Sprintf("%q is left out: its list of rules is empty", j.Name)}}
	}
	return notes[:min(len(notes), most)]
}

// values tells what the variables of an expression were: `: $A is "x", $B is not defined`.
func (s *selector) values(j *pipeline.Job, e *expr.Expr) string {
	var parts []string
	for _, name := range e.Variables() {
		if v, ok := s.lookup(j, name); ok {
			parts = append(parts, fmt.Sprintf("$%s is %q", name, v))
		} else {
			parts = append(parts, "$"+name+" is not defined")
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}
