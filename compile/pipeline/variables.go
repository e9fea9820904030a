package pipeline

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cic-ci/cic/compile/shellvar"
	"github.com/cic-ci/cic/compile/syntax"
)

// variables decodes a variables mapping (specification 18.1). form is inVariable
// or inJobVariable where a value may be a mapping, inService or inRule where it may not.
func (d *decoder) variables(n *syntax.Node, what string, form scope) []Variable {
	if n.Kind != syntax.Mapping {
		d.wrongType(n, what, "a mapping")
		return nil
	}
	variables := make([]Variable, 0, len(n.Pairs))
	for _, p := range n.Pairs {
		v := Variable{Name: p.Key.Value, Pos: p.Key.Pos}
		named := d.variableName(p.Key)
		if form != inService {
			d.shellVariable(p.Key)
		}
		if d.variableValue(&v, p, path(what, v.Name), form) && named {
			variables = append(variables, v)
		}
	}
	return variables
}

// variableName checks the name of a variable and reports whether a shell can hold
// it. One that none can is accepted, as on GitLab, and reaches no script: it is
// left out (specification 18.1).
func (d *decoder) variableName(key *syntax.Node) bool {
	if isIdentifier(key.Value) || key.Kind != syntax.String && key.Kind != syntax.Int || key.Value == "" {
		return d.shellName(key)
	}
	d.warn(CodeHiddenVariable, key, "%q is a name that no shell accepts: no script sees the variable", key.Value).Help = shellNameHelp
	return false
}

const shellNameHelp = "use letters, digits and underscores, and begin with no digit"

// shellName checks that a shell can hold a variable of this name.
func (d *decoder) shellName(key *syntax.Node) bool {
	if key.Kind != syntax.String && key.Kind != syntax.Int {
		d.fail(CodeVariableName, key, "a variable's name must be a string, not %s", kindPhrases[key.Kind]).Help =
			fmt.Sprintf("quote it: %q", key.Raw)
		return false
	}
	if !isIdentifier(key.Value) {
		d.fail(CodeVariableName, key, "%q is not a variable name", key.Value).Help = shellNameHelp
		return false
	}
	if len(key.Value) > maxNameLen {
		d.fail(CodeLimit, key, "a variable's name has at most %d characters, this one has %d", maxNameLen, len(key.Value))
		return false
	}
	return true
}

// isIdentifier reports whether s is a name that a shell gives to a variable.
func isIdentifier(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// shellVariable warns of a variable that changes how a shell reads a script or
// how programs start, in the job's container, or that the script cannot set.
func (d *decoder) shellVariable(key *syntax.Node) {
	if why, ok := shellvar.Affecting(key.Value); ok {
		d.warn(CodeShellVariable, key, "variable %q %s", key.Value, why)
	} else if why, ok := shellvar.Unsettable(key.Value); ok {
		d.warn(CodeShellVariable, key, "variable %q is not set in the script: it %s", key.Value, why).Help = "give the variable another name"
	}
}

// variableValue decodes the value of an entry into v.
func (d *decoder) variableValue(v *Variable, p syntax.Pair, what string, form scope) bool {
	n := p.Value
	mayMap := form == inVariable || form == inJobVariable
	switch {
	case n.Kind == syntax.Null:
		d.fail(CodeMissing, p.Key, "variable %q has no value", v.Name).Help = `for an empty one write ""`
		return false
	case n.Kind == syntax.Mapping && mayMap:
		return d.variableMapping(v, n, what, form)
	case !n.IsScalar() && mayMap:
		d.wrongType(n, what, "a string, a number, a boolean or a mapping")
		return false
	case !n.IsScalar():
		d.wrongType(n, what, "a string, a number or a boolean")
		return false
	}
	t, ok := d.scalar(n, what)
	v.Value = t.Value
	d.readAs(n, v.Name)
	return ok
}

// variableMapping decodes the long form of a variable.
func (d *decoder) variableMapping(v *Variable, n *syntax.Node, what string, form scope) bool {
	ok := true
	d.fields(n, form, what, func(key, value *syntax.Node) {
		what := path(what, key.Value)
		switch key.Value {
		case "value":
			if !value.IsScalar() {
				d.wrongType(value, what, "a string, a number or a boolean")
				ok = false
				return
			}
			var t Text
			t, ok = d.scalar(value, what)
			v.Value = t.Value
			d.readAs(value, v.Name)
		case "expand":
			v.Raw = !d.boolean(value, what)
		case "description":
			d.text(value, what)
		}
	})
	if options := n.Get("options"); ok && form == inVariable && specified(options) {
		d.options(v, options, path(what, "options"))
	}
	return ok
}

// options checks the choice of values that a person is offered.
func (d *decoder) options(v *Variable, n *syntax.Node, what string) {
	offered := d.texts(n, what, d.text)
	for _, o := range offered {
		if o.Value == v.Value {
			return
		}
	}
	if len(offered) == len(n.Items) && n.Kind == syntax.Sequence {
		d.fail(CodeValue, n, "%q must list the variable's value %q", what, v.Value)
	}
}

// readAs warns of a plain scalar that GitLab's YAML 1.1 reads as another text:
// yes is true, 010 is 8. cic keeps the source text of a number with a fraction,
// which GitLab would print anew: 1.20 as 1.2.
func (d *decoder) readAs(n *syntax.Node, name string) {
	switch n.Kind {
	case syntax.Bool, syntax.Int:
		if n.Value != n.Raw {
			d.warn(CodeReadAs, n, "YAML reads %s as %s", n.Raw, n.Value).Help = quoteIt(n, name)
		}
	case syntax.Float:
		if printed, ok := printFloat(n.Raw); ok && printed != n.Raw {
			d.warn(CodeReadAs, n, "%s is a number that GitLab prints as %s; cic keeps %s", n.Raw, printed, n.Raw).Help = quoteIt(n, name)
		}
	}
}

func quoteIt(n *syntax.Node, name string) string {
	return "quote it if the text is meant: " + name + ": " + strconv.Quote(n.Raw)
}

// printFloat returns the text that GitLab makes of a plain float: at least one
// digit behind the point, an exponent below 0.0001 and from 1e16.
func printFloat(source string) (string, bool) {
	f, err := strconv.ParseFloat(strings.NewReplacer("_", "", ",", "").Replace(source), 64)
	switch size := math.Abs(f); {
	case math.IsInf(f, 1): // the commit 12e4567 is one
		return "Infinity", true
	case math.IsInf(f, -1):
		return "-Infinity", true
	case err != nil:
		return "", false
	case f == 0 || size >= 1e-4 && size < 1e16:
		whole, fraction, _ := strings.Cut(strconv.FormatFloat(f, 'f', -1, 64), ".")
		return whole + "." + cmp.Or(fraction, "0"), true
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	return whole + "." + cmp.Or(fraction, "0") + "e" + exponent, true
}
