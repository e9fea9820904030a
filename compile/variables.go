package compile

import (
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// definition is a variable before expansion. Sources are, highest first
// (specification section 18.2): given on the command line, the pipeline file
// (rule over matrix over job over top level, merged by name), predefined.
type definition struct {
	value string
	raw   bool
	given bool
	pos   syntax.Pos // no place if given
	// below is the definition of another source that this one beats; only a
	// variable that refers to itself sees it.
	below *definition
}

// variables are what all jobs share: the definitions of the top level and of the
// command line, the predefined values known now, and the top level expanded
// once. A job expands only what its own variables can change.
type variables struct {
	given      map[string]string
	literal    map[string]bool // those of given that are not expanded
	top        map[string]*definition
	predefined plan.Variables
	diags      *diagnostics

	// base are the top-level variables as a job without own variables sees them.
	base plan.Variables
	// mentions holds, by name, the top-level variables whose value mentions it, in
	// no order. The empty name stands for all that differ from job to job.
	mentions map[string][]string
	// shared is false if the base cannot be used: it holds an error, which a
	// job's own variables may mend.
	shared bool
}

func newVariables(top []pipeline.Variable, given map[string]string, literal map[string]bool, predefined plan.Variables, diags *diagnostics) *variables {
	v := &variables{
		given:      given,
		literal:    literal,
		top:        make(map[string]*definition, len(top)+len(given)),
		predefined: predefined,
		diags:      diags,
		mentions:   map[string][]string{},
	}
	for _, x := range top {
		v.top[x.Name] = v.fromFile(x)
	}
	for name, value := range given {
		if v.top[name] == nil {
			v.top[name] = &definition{value: value, raw: literal[name], given: true}
		}
	}
	v.linkMentions()
	v.expandBase()
	return v
}

// fromFile makes the definition of a variable of the file, or of the given one
// that beats it.
func (v *variables) fromFile(x pipeline.Variable) *definition {
	d := &definition{value: x.Value, raw: x.Raw, pos: x.Pos}
	if value, ok := v.given[x.Name]; ok {
		return &definition{value: value, raw: v.literal[x.Name], given: true, below: d}
	}
	return d
}

// linkMentions fills v.mentions.
func (v *variables) linkMentions() {
	for name, d := range v.top {
		for ; d != nil; d = d.below {
			if d.raw {
				continue
			}
			scanReferences(d.value, true, func(string) {}, func(ref, _ string) {
				if ref != name {
					v.mentions[ref] = append(v.mentions[ref], name)
				}
				if variesByJob(ref) {
					v.mentions[""] = append(v.mentions[""], name)
				}
			})
		}
	}
}

// variesByJob reports whether name is a predefined variable that differs from
// job to job and is known at compile time.
func variesByJob(name string) bool {
	if strings.HasPrefix(name, environmentPrefix) {
		return true
	}
	return (strings.HasPrefix(name, "CI_JOB_") || strings.HasPrefix(name, "CI_NODE_")) && !plan.RuntimeVariable(name)
}

// expandBase expands the top level without any job.
func (v *variables) expandBase() {
	var errs syntax.ErrorList
	e := &expander{
		define:     func(name string) *definition { return v.top[name] },
		predefined: v.predefined.Get,
		done:       make(map[string]plan.Text, len(v.top)),
		report:     func(d *syntax.Error) { errs = append(errs, d) },
	}
	v.base = e.values(sortedNames(v.top))
	v.shared = !errs.HasErrors()
	if v.shared {
		for _, d := range errs {
			v.diags.report(d)
		}
	}
}

// forJob returns the job's variables, expanded, and the expander for its other
// texts. predefined are the values that only this job has; dotenv says that the
// job gets variables of dotenv reports.
func (v *variables) forJob(j *pipeline.Job, dotenv bool, predefined func(e *expander, name string) (plan.Text, bool)) (plan.Variables, *expander) {
	own := make(map[string]*definition, len(j.Variables)+len(j.Matrix)+len(j.RuleVariables))
	for _, list := range [][]pipeline.Variable{j.Variables, j.Matrix, j.RuleVariables} {
		for _, x := range list {
			own[x.Name] = v.fromFile(x)
		}
	}
	if j.NodeIndex > 0 {
		own["CI_NODE_INDEX"] = &definition{value: strconv.Itoa(j.NodeIndex), raw: true}
		own["CI_NODE_TOTAL"] = &definition{value: strconv.Itoa(j.NodeTotal), raw: true}
	}
	var e *expander
	e = &expander{
		define: func(name string) *definition {
			if d := own[name]; d != nil {
				return d
			}
			return v.top[name]
		},
		predefined: func(name string) (plan.Text, bool) {
			if t, ok := predefined(e, name); ok {
				return t, true
			}
			return v.predefined.Get(name)
		},
		done:   map[string]plan.Text{},
		report: v.diags.report,
	}
	if dotenv {
		e.late = v.late
	}
	changed := v.changedBy(own, !v.shared || dotenv)
	if v.shared && !dotenv {
		e.base = func(name string) (plan.Text, bool) {
			if changed[name] {
				return plan.Text{}, false
			}
			return v.base.Get(name)
		}
	}
	if len(changed) == 0 {
		return v.base, e
	}
	return merge(v.base, e.values(sortedNames(changed))), e
}

// late reports whether a dotenv report can set the variable: unless it is given on
// the command line, or predefined.
func (v *variables) late(name string) bool {
	if _, given := v.given[name]; given {
		return false
	}
	_, known := v.predefined.Get(name)
	return !known && !variesByJob(name) && !plan.RuntimeVariable(name)
}

// changedBy returns the names whose value in a job with these own variables may
// differ from the base; all: each may.
func (v *variables) changedBy(own map[string]*definition, all bool) map[string]bool {
	changed := make(map[string]bool, len(own))
	if all {
		for name := range v.top {
			changed[name] = true
		}
	}
	todo := slices.Clone(v.mentions[""])
	for name := range own {
		todo = append(todo, name)
	}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !changed[name] {
			changed[name] = true
			todo = append(todo, v.mentions[name]...)
		}
	}
	return changed
}

// merge returns base with the values of over in place of or beside its own.
func merge(base, over plan.Variables) plan.Variables {
	merged := make(plan.Variables, 0, len(base)+len(over))
	for len(base) > 0 && len(over) > 0 {
		switch {
		case base[0].Name < over[0].Name:
			merged, base = append(merged, base[0]), base[1:]
		case base[0].Name > over[0].Name:
			merged, over = append(merged, over[0]), over[1:]
		default:
			merged, base, over = append(merged, over[0]), base[1:], over[1:]
		}
	}
	return append(append(merged, base...), over...)
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// shared are the variables that a job shares with all jobs that inherit the same.
func (l *lowering) shared(j *pipeline.Job) *variables {
	key, top := "", l.inherited(j)
	if j.TopVariables != nil {
		key = "=" + strings.Join(slices.Sorted(slices.Values(*j.TopVariables)), ",")
	}
	if l.vars[key] == nil {
		l.vars[key] = newVariables(top, l.env.options.Given, l.env.options.literal, l.env.predefined, &l.diags)
	}
	return l.vars[key]
}

// inherited are the top-level variables that a job has.
func (l *lowering) inherited(j *pipeline.Job) []pipeline.Variable {
	if j.TopVariables == nil {
		return l.top
	}
	return slices.DeleteFunc(slices.Clone(l.top), func(x pipeline.Variable) bool { return !slices.Contains(*j.TopVariables, x.Name) })
}

// workflowName expands workflow:name by what all jobs share. What nobody defines or
// what is known only at run time stays as it is written (specification section 18.4).
func (l *lowering) workflowName(name string) string {
	shared := l.shared(&pipeline.Job{})
	var b strings.Builder
	scanReferences(name, true, func(literal string) { b.WriteString(literal) }, func(name, written string) {
		value, ok := shared.base.Get(name)
		if !ok {
			value, ok = l.env.predefined.Get(name)
		}
		if ok && !value.Template {
			b.WriteString(value.Value)
		} else {
			b.WriteString(written)
		}
	})
	return strings.TrimSpace(b.String())
}
