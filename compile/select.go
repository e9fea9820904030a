package compile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cic-ci/cic/compile/expr"
	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// selection is the outcome of the pass that decides which jobs run.
type selection struct {
	// decisions are parallel to the pipeline's jobs.
	decisions []decision
	// read are the variables from outside the file that rules read, with the value
	// they saw; nil for an undefined one.
	read map[string]*string

	selector *selector
}

// decision is what rules, only and except say about one job.
type decision struct {
	included     bool
	when         string
	allowFailure bool
	// exitCodes are those with which alone a failure is allowed.
	exitCodes     []int
	startIn       int64 // seconds
	interruptible bool
	// reason and rule tell why the job is left out, see [plan.Excluded], and pos
	// where that is written.
	reason, rule string
	pos          syntax.Pos
}

// selectJobs evaluates rules, only and except (specification sections 10, 11, 16).
func selectJobs(p *pipeline.Pipeline, env *environment) (*selection, syntax.ErrorList) {
	s := &selector{
		env:         env,
		top:         make(map[string]string, len(p.Variables)),
		expressions: map[string]*expr.Expr{},
		read:        map[string]*string{},
	}
	for _, v := range p.Variables {
		s.top[v.Name] = v.Value
	}
	sel := &selection{decisions: make([]decision, len(p.Jobs)), read: s.read, selector: s}
	for i, j := range p.Jobs {
		sel.decisions[i] = s.decide(j)
	}
	return sel, s.diags.list
}

type selector struct {
	env         *environment
	top         map[string]string // top-level variables
	expressions map[string]*expr.Expr
	read        map[string]*string
	diags       diagnostics
}

func (s *selector) decide(j *pipeline.Job) decision {
	d := decision{
		included: true, when: j.When.Value,
		exitCodes: j.AllowFailureExitCodes, startIn: j.StartIn, interruptible: j.Interruptible,
	}
	allow := j.AllowFailure
	switch {
	case j.Rules != nil:
		if r := s.applyRules(j, &d); r != nil && r.AllowFailure != nil {
			allow, d.exitCodes = r.AllowFailure, nil
		}
	default:
		s.applyFilters(j, &d)
	}
	if d.when == "" {
		d.when = "on_success"
	}
	// Only a manual job whose keyword "when" says so is allowed to fail by default;
	// one that a rule makes manual blocks the pipeline.
	d.allowFailure = j.When.Value == "manual"
	if allow != nil {
		d.allowFailure = *allow
	}
	return d
}

// applyRules lets the first rule that matches decide, and returns it. The rules
// behind it are looked at for faults alone.
func (s *selector) applyRules(j *pipeline.Job, d *decision) (decided *pipeline.Rule) {
	for i := range j.Rules {
		r := &j.Rules[i]
		e := s.expression(r.If)
		if decided != nil || e != nil && !e.Eval(s.recorded(j, e)) {
			continue
		}
		decided = r
		if r.When.Value != "" {
			d.when, d.startIn = r.When.Value, r.StartIn
		}
		if r.Interruptible != nil {
			d.interruptible = *r.Interruptible
		}
		if d.when == "never" {
			d.included, d.reason, d.rule = false, "rules: the first rule that matched says never", ruleText(*r)
		}
	}
	switch {
	case decided != nil:
	case len(j.Rules) == 0:
		d.included, d.reason = false, "rules: the list is empty"
	default:
		d.included, d.reason = false, "rules: no rule matched"
	}
	return decided
}

// expression parses a rule's if; nil for a rule without one, or a broken one.
func (s *selector) expression(text pipeline.Text) *expr.Expr {
	if !text.Pos.IsValid() && text.Value == "" {
		return nil
	}
	if e := s.expressions[text.Value]; e != nil {
		return e
	}
	e, err := expr.Parse(text.Value)
	if err != nil {
		var fault *expr.Error
		if !errors.As(err, &fault) {
			fault = &expr.Error{Msg: err.Error()}
		}
		s.reportExpression(text, *fault, syntax.Error{Code: codeExpression, Msg: "rules:if cannot be parsed: "})
		return nil
	}
	for _, w := range e.Warnings() {
		s.reportExpression(text, w, syntax.Error{Severity: syntax.SeverityWarning, Code: codeDoubtful, Msg: "rules:if: "})
	}
	s.expressions[text.Value] = e
	return e
}

// reportExpression completes and reports a diagnostic, of which Msg is the
// beginning, with a fault inside an expression.
func (s *selector) reportExpression(text pipeline.Text, fault expr.Error, diag syntax.Error) {
	diag.Pos = s.env.source.within(text.Pos, text.Value, fault.Offset)
	diag.Len, diag.Help = max(fault.Len, 1), fault.Help
	diag.Msg += fault.Msg
	s.diags.report(&diag)
}

// recorded is the lookup for an expression of j; it notes what comes from outside.
func (s *selector) recorded(j *pipeline.Job, e *expr.Expr) expr.Lookup {
	for _, name := range e.Variables() {
		if _, inFile := s.lookupFile(j, name); !inFile {
			s.recordOutside(j, name)
		}
	}
	return func(name string) (string, bool) { return s.lookup(j, name) }
}

func (s *selector) recordOutside(j *pipeline.Job, name string) {
	if variesByJob(name) {
		return
	}
	value, ok := s.lookup(j, name)
	if ok {
		s.read[name] = &value
	} else {
		s.read[name] = nil
	}
}

// lookup returns a variable as rules see it: not expanded, and without those
// that exist only once the job runs (specification section 9.3, 18.4).
func (s *selector) lookup(j *pipeline.Job, name string) (string, bool) {
	if v, ok := s.env.options.Given[name]; ok {
		return v, true
	}
	if v, ok := s.lookupFile(j, name); ok {
		return v, true
	}
	switch name {
	case "CI_JOB_NAME":
		return j.Name, true
	case "CI_JOB_NAME_SLUG":
		return plan.Slug(j.Name), true
	case "CI_JOB_GROUP_NAME":
		return j.Base, true
	case "CI_JOB_STAGE":
		return j.Stage.Value, true
	case "CI_NODE_TOTAL":
		return strconv.Itoa(max(j.NodeTotal, 1)), true
	case "CI_NODE_INDEX":
		return strconv.Itoa(j.NodeIndex), j.NodeIndex > 0
	}
	if t, ok := s.env.predefined.Get(name); ok {
		return t.Value, true
	}
	v, ok := s.env.options.Predefined[name]
	return v, ok
}

// lookupFile returns what the file itself says, unless the command line beats it.
func (s *selector) lookupFile(j *pipeline.Job, name string) (string, bool) {
	if _, given := s.env.options.Given[name]; given {
		return "", false
	}
	for _, list := range [][]pipeline.Variable{j.Matrix, j.Variables} {
		for _, v := range list {
			if v.Name == name {
				return v.Value, true
			}
		}
	}
	v, ok := s.top[name]
	return v, ok
}

// explain returns notes that tell why a job is left out: the rule that decided,
// or each rule that did not match, and what its variables were.
func (s *selection) explain(i int, j *pipeline.Job) []syntax.Note {
	const most = 5
	d := s.decisions[i]
	if j.Rules == nil {
		return []syntax.Note{{Pos: d.pos, Msg: fmt.Sprintf("%q is left out here: %s", j.Name, d.reason)}}
	}
	var notes []syntax.Note
	for _, r := range j.Rules {
		e := s.selector.expression(r.If)
		values := ""
		if e != nil {
			values = s.selector.values(j, e)
		}
		if e == nil || e.Eval(func(name string) (string, bool) { return s.selector.lookup(j, name) }) {
			return []syntax.Note{{Pos: r.Pos, Msg: fmt.Sprintf("this rule leaves %q out%s", j.Name, values)}}
		}
		notes = append(notes, syntax.Note{Pos: r.If.Pos, Msg: "this rule does not match" + values})
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

// ruleText is a rule as a person would write it on one line.
func ruleText(r pipeline.Rule) string {
	var parts []string
	if r.If.Value != "" {
		parts = append(parts, "if: "+r.If.Value)
	}
	if r.When.Value != "" {
		parts = append(parts, "when: "+r.When.Value)
	}
	return strings.Join(parts, "; ")
}
