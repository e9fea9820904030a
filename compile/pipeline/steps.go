package pipeline

import (
	"regexp"

	"github.com/cic-ci/cic/compile/syntax"
)

// stepName is what a step of run may be called (specification 20.4).
var stepName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// steps decodes run: a list of steps, of which only those with a script are
// carried out (specification 20.4).
func (d *decoder) steps(n *syntax.Node) []Step {
	steps := make([]Step, 0, len(n.Items))
	ok := d.list(n, "run", "a list of mappings", func(item *syntax.Node) {
		if s, ok := d.step(item); ok {
			steps = append(steps, s)
		}
	})
	if ok && len(n.Items) == 0 {
		d.fail(CodeMissing, n, `"run" must not be empty`)
	}
	return steps
}

func (d *decoder) step(n *syntax.Node) (s Step, ok bool) {
	ok = d.fields(n, inStep, "run", func(key, value *syntax.Node) {
		switch what := path("run", key.Value); key.Value {
		case "name":
			if t, ok := d.filledText(value, what); ok {
				s.Name = t
				if !stepName.MatchString(t.Value) {
					d.fail(CodeValue, value, "%q is no name of a step: %q", what, t.Value).Help =
						"use letters, digits and underscores, and begin with no digit"
				}
			}
		case "script":
			if t, ok := d.filledText(value, what); ok {
				s.Script = Command{Text: t.Value, Node: value}
			}
		case "env":
			s.Env = d.stepEnv(value, what)
		}
	})
	if !ok {
		d.wrongType(n, "run[]", "a mapping")
		return s, false
	}
	d.require(n, inStep, "run[]", "name")
	d.stepWork(n)
	return s, s.Script.Node != nil
}

// stepWork checks that a step has exactly one thing to do.
func (d *decoder) stepWork(n *syntax.Node) {
	var first *syntax.Node
	for _, name := range []string{"script", "step", "func", "action"} {
		key := n.GetKey(name)
		switch {
		case key == nil || !specified(n.Get(name)):
		case first == nil:
			first = key
		default:
			e := d.fail(CodeConflict, key, "%q cannot be used together with %q", path("run", name), first.Value)
			e.Notes = append(e.Notes, syntax.Note{Pos: first.Pos, Msg: "which is here"})
		}
	}
	if first == nil {
		d.require(n, inStep, "run[]", "script")
	}
}

// stepEnv decodes the environment of a step, whose values are strings.
func (d *decoder) stepEnv(n *syntax.Node, what string) []Variable {
	if n.Kind != syntax.Mapping {
		d.wrongType(n, what, "a mapping")
		return nil
	}
	var env []Variable
	for _, p := range n.Pairs {
		named := d.shellName(p.Key)
		if t, ok := d.text(p.Value, path(what, p.Key.Value)); ok && named {
			env = append(env, Variable{Name: p.Key.Value, Value: t.Value, Raw: true, Pos: p.Key.Pos})
		}
	}
	return env
}
