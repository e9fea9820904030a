package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// maxValue bounds an expanded value, in bytes: Linux starts no program with a
// longer string in its environment (MAX_ARG_STRLEN), and without a bound a chain
// of A: $B$B would take all memory.
const maxValue = 128 << 10

// maxEnvironment bounds the expanded values of a job together, in bytes: Linux starts no
// program with more than 6 MiB of arguments and environment (execve(2)).
const maxEnvironment = 8 << 20

// expander expands texts for one job. References are resolved recursively, each
// variable once; a reference to a variable known only at run time makes a
// template, an undefined one is empty (specification section 18.3).
type expander struct {
	// define returns what the file or the command line says, nil for nothing.
	define func(name string) *definition
	// predefined returns a predefined variable known at compile time.
	predefined func(name string) (plan.Text, bool)
	// base returns a value that was expanded for all jobs; nil for none.
	base   func(name string) (plan.Text, bool)
	report func(*syntax.Error)
	// late, if not nil, reports whether a variable may get another value at run time,
	// from the dotenv report of an earlier job: a reference to it stays one.
	late func(name string) bool
	// open: a reference to a variable that nobody defines stays one.
	open bool

	done map[string]plan.Text
	// size is the length of what is done, in bytes.
	size int
	// stack holds the variables that are being expanded, each in the one before
	// it; pending holds them as a set.
	stack   []string
	pending map[string]bool
}

// values returns the named variables, in that order.
func (e *expander) values(names []string) plan.Variables {
	vs := make(plan.Variables, len(names))
	for i, name := range names {
		value, _ := e.value(name)
		vs[i] = plan.Variable{Name: name, Value: value}
	}
	return vs
}

// value returns a variable's expanded value and whether it is defined.
func (e *expander) value(name string) (plan.Text, bool) {
	if t, ok := e.done[name]; ok {
		return t, true
	}
	if e.base != nil {
		if t, ok := e.base(name); ok {
			return t, true
		}
	}
	d := e.define(name)
	if d == nil {
		return e.predefinedValue(name)
	}
	if e.size > maxEnvironment { // which is reported
		return plan.Text{}, true
	}
	if e.pending[name] {
		e.reportCycle(name)
		return plan.Text{}, true
	}
	if e.pending == nil {
		e.pending = map[string]bool{}
	}
	e.stack, e.pending[name] = append(e.stack, name), true
	t := e.definitionValue(name, d)
	e.stack = e.stack[:len(e.stack)-1]
	delete(e.pending, name)
	if e.size += len(t.Value); e.size > maxEnvironment {
		e.report(&syntax.Error{
			Code: codeVariableSize, Pos: d.pos, Len: len(name),
			Msg:   fmt.Sprintf("with variable %q, those of a job are longer than %d MiB once expanded", name, maxEnvironment>>20),
			Label: "no program can be started with them",
		})
		t = plan.Text{}
	}
	e.done[name] = t
	return t, true
}

// refer returns what a reference to a variable becomes, and whether it is defined.
func (e *expander) refer(name string) (plan.Text, bool) {
	t, ok := e.value(name) // also finds circles
	if e.late != nil && e.late(name) {
		return runtimeReference(name), true
	}
	return t, ok
}

// settled calls do with references expanded to what is known now.
func (e *expander) settled(do func()) {
	late := e.late
	e.late = nil
	do()
	e.late = late
}

func (e *expander) predefinedValue(name string) (plan.Text, bool) {
	if t, ok := e.predefined(name); ok {
		return t, true
	}
	if plan.RuntimeVariable(name) || e.open {
		return runtimeReference(name), true
	}
	return plan.Text{}, false
}

func (e *expander) definitionValue(name string, d *definition) plan.Text {
	if d.raw {
		return plan.Literal(d.value)
	}
	self := func(written string) plan.Text { return e.selfReference(name, d, written) }
	t := e.expandValue(name, d.value, self)
	if len(t.Value) > maxValue {
		e.report(&syntax.Error{
			Code: codeVariableSize, Pos: d.pos, Len: len(name),
			Msg:   fmt.Sprintf("variable %q is longer than %d KiB once expanded", name, maxValue>>10),
			Label: "no program can be started with it",
		})
		return plan.Text{}
	}
	return t
}

// expandValue expands the value of the named variable; references to itself are
// answered by self.
func (e *expander) expandValue(name, value string, self func(written string) plan.Text) plan.Text {
	var b textBuilder
	scanReferences(value, true, b.literal, func(ref, written string) {
		if b.b.Len() > maxValue {
			return
		}
		if ref == name {
			b.text(self(written))
		} else if t, ok := e.refer(ref); ok {
			b.text(t)
		}
	})
	return b.result()
}

// selfReference is what a variable sees under its own name: the value of another
// source if there is one. Otherwise the reference stays as text, into which the
// runner's single pass puts the unexpanded value once: PATH: "$PATH:/x" gives
// the text $PATH:/x:/x, which is never what was meant.
func (e *expander) selfReference(name string, d *definition, written string) plan.Text {
	if e.late != nil && e.late(name) { // the report's value beats this one
		return runtimeReference(name)
	}
	if d.below != nil {
		return e.definitionValue(name, d.below)
	}
	if t, ok := e.predefinedValue(name); ok {
		return t
	}
	e.report(&syntax.Error{
		Severity: syntax.SeverityWarning, Code: codeSelfReference, Pos: d.pos, Len: len(name),
		Msg:   fmt.Sprintf("variable %q refers to itself, which has no other value here", name),
		Label: "stays as text",
		Help:  "extend the variable in the script: export " + name + "=...",
	})
	return e.expandValue(name, d.value, func(inner string) plan.Text { return plan.Literal(inner) })
}

// text expands a text that is no variable's value, such as an image: the runner
// does that, and knows no %NAME% form.
func (e *expander) text(s string) plan.Text {
	if !strings.Contains(s, "$") {
		return plan.Literal(s)
	}
	var b textBuilder
	scanReferences(s, false, b.literal, func(ref, _ string) {
		if t, ok := e.refer(ref); ok && b.b.Len() <= maxValue {
			b.text(t)
		}
	})
	return b.result()
}

// kept expands a text that GitLab's server expands by itself, such as the name of a
// resource group: what nobody defines stays as it is written (specification section
// 18.4).
func (e *expander) kept(s string) plan.Text {
	var b textBuilder
	scanReferences(s, true, b.literal, func(ref, written string) {
		if t, ok := e.refer(ref); !ok {
			b.literal(written)
		} else if b.b.Len() <= maxValue {
			b.text(t)
		}
	})
	return b.result()
}

// openText is text, but references to variables that nobody defines stay, in the
// values of other variables too. missing is the first of them that no dotenv report
// may define either, "" if there is none.
func (e *expander) openText(s string) (t plan.Text, missing string) {
	open := &expander{
		define: e.define, late: e.late, open: true, done: map[string]plan.Text{},
		report: func(*syntax.Error) {}, // which has been done
		predefined: func(name string) (plan.Text, bool) {
			t, ok := e.predefined(name)
			reported := e.late != nil && e.late(name)
			if !ok && !reported && !plan.RuntimeVariable(name) && missing == "" {
				missing = name
			}
			return t, ok
		},
	}
	t = open.text(s)
	return t, missing
}

// undefined returns the first name that s refers to and nobody defines, "" if
// all are defined.
func (e *expander) undefined(s string) string {
	missing := ""
	scanReferences(s, false, func(string) {}, func(ref, _ string) {
		if _, ok := e.value(ref); !ok && missing == "" {
			missing = ref
		}
	})
	return missing
}

// reportCycle reports that the variables from name to the top of the stack refer
// to each other. The cycle is told from its least name, so that it is reported
// once wherever it is entered.
func (e *expander) reportCycle(name string) {
	cycle := slices.Clone(e.stack[slices.Index(e.stack, name):])
	least := slices.Index(cycle, slices.Min(cycle))
	cycle = append(cycle[least:], cycle[:least]...)
	diag := &syntax.Error{
		Code: codeVariableCycle,
		Msg:  fmt.Sprintf("variables refer to each other in a circle: %s -> %s", strings.Join(cycle, " -> "), cycle[0]),
	}
	for i, from := range cycle {
		to := cycle[(i+1)%len(cycle)]
		d := e.define(from)
		if !diag.Pos.IsValid() {
			diag.Pos, diag.Len = d.pos, len(from)
		}
		note := syntax.Note{Pos: d.pos, Msg: fmt.Sprintf("%q refers to %q here", from, to)}
		if d.given {
			note.Msg = fmt.Sprintf("%q, given on the command line, refers to %q", from, to)
		}
		diag.Notes = append(diag.Notes, note)
	}
	e.report(diag)
}
