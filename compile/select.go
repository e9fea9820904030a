package compile

import (
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/expr"
	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/resolve"
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
	// workflow are the rules of workflow:rules that were tried.
	workflow []plan.TriedRule

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
	// elsewhere: it is not the job's own rules that leave it out but workflow:rules,
	// or what its script is for.
	elsewhere bool
	// by is the rule that decided, nil if none did, and tried are those that were
	// tried up to it, or only and except as one.
	by    *pipeline.Rule
	tried []plan.TriedRule
	// unmet is the filter, only or except, that leaves the job out.
	unmet string
}

// selectJobs evaluates rules, only and except (specification sections 10, 11, 16).
func selectJobs(p *pipeline.Pipeline, env *environment) (*selection, syntax.ErrorList) {
	s := &selector{
		env:         env,
		top:         make(map[string]pipeline.Variable, len(p.Variables)),
		expressions: map[expressionKey]*expr.Expr{},
		read:        map[string]*string{},
		seenValues:  map[string]seenValue{},
	}
	for _, v := range p.Variables {
		s.top[v.Name] = v
	}
	forbidden := s.applyWorkflow(p)
	sel := &selection{decisions: make([]decision, len(p.Jobs)), read: s.read, workflow: s.tried, selector: s}
	for i, j := range p.Jobs {
		sel.decisions[i] = s.decide(j)
		if forbidden != nil {
			sel.decisions[i] = *forbidden
			continue
		}
		p.Jobs[i] = sel.decisions[i].applied(j)
	}
	return sel, s.diags.list
}

type selector struct {
	env *environment
	top map[string]pipeline.Variable // top-level variables
	// workflow: there are workflow:rules, and so no default for only.
	workflow    bool
	expressions map[expressionKey]*expr.Expr
	// read is what rules read from outside the file, seen what the rule that is being
	// tried reads otherwise, tried what was tried of workflow:rules.
	read, seen map[string]*string
	// seenValues is what was last seen of each variable.
	seenValues map[string]seenValue
	tried      []plan.TriedRule
	diags      diagnostics
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

// expressionKey is an expression and the keyword that it belongs to.
type expressionKey struct{ text, where string }

// maxKeptExpressions is the number of parsed expressions that are kept at most, before
// all of them are forgotten: a file may hold tens of thousands, each another.
const maxKeptExpressions = 4096

// expression parses a rule's if, or another expression; nil for a rule without
// one, or a broken one.
func (s *selector) expression(text pipeline.Text, where string) *expr.Expr {
	if !text.Pos.IsValid() && text.Value == "" {
		return nil
	}
	key := expressionKey{text.Value, where}
	if e := s.expressions[key]; e != nil {
		return e
	}
	e, err := expr.Parse(text.Value)
	if err != nil {
		var fault *expr.Error
		if !errors.As(err, &fault) {
			fault = &expr.Error{Msg: err.Error()}
		}
		s.reportExpression(text, *fault, syntax.Error{Code: codeExpression, Msg: where + " cannot be parsed: "})
		return nil
	}
	for _, w := range e.Warnings() {
		s.reportExpression(text, w, syntax.Error{Severity: syntax.SeverityWarning, Code: codeDoubtful, Msg: where + ": "})
	}
	if len(s.expressions) == maxKeptExpressions {
		clear(s.expressions)
	}
	s.expressions[key] = e
	return e
}

// holds evaluates an expression of j; text is what it was parsed from.
func (s *selector) holds(j *pipeline.Job, e *expr.Expr, text pipeline.Text) bool {
	lookup := s.recorded(j, e)
	holds := !s.env.matcher.Spent() && e.Eval(lookup, s.env.matcher)
	s.checkMatcher(text)
	return holds
}

// checkMatcher reports, once, that the patterns of all rules together take too much
// work; at is where that shows.
func (s *selector) checkMatcher(at pipeline.Text) {
	if s.env.matcher.Report() {
		s.diags.report(&syntax.Error{
			Code: resolve.CodeMatching, Pos: at.Pos, Len: max(1, utf8.RuneCountInString(at.Value)),
			Msg: resolve.MatchingFault, Help: resolve.MatchingHelp,
		})
	}
}

// reportExpression completes and reports a diagnostic, of which Msg is the
// beginning, with a fault inside an expression.
func (s *selector) reportExpression(text pipeline.Text, fault expr.Error, diag syntax.Error) {
	diag.Pos = s.env.sources.within(text.Pos, text.Value, fault.Offset)
	diag.Len, diag.Help = max(fault.Len, 1), fault.Help
	diag.Msg += fault.Msg
	s.diags.report(&diag)
}

// recorded is the lookup for an expression of j; it notes what is read.
func (s *selector) recorded(j *pipeline.Job, e *expr.Expr) expr.Lookup {
	for _, name := range e.Variables() {
		s.note(j, name)
	}
	return func(name string) (string, bool) { return s.lookup(j, name) }
}

// lookup returns a variable as rules see it: not expanded, and without those
// that exist only once the job runs (specification section 9.3, 18.4).
func (s *selector) lookup(j *pipeline.Job, name string) (string, bool) {
	if v, ok := s.env.options.Given[name]; ok {
		return v, true
	}
	if v, ok := s.lookupFile(j, name); ok {
		return v.Value, true
	}
	if v, ok, known := lookupJob(j, name); known {
		return v, ok
	}
	return s.env.lookup(name)
}

// lookupJob returns the predefined variables of a job; known is false for others.
// Without a job they are not defined.
func lookupJob(j *pipeline.Job, name string) (value string, ok, known bool) {
	if j == nil {
		return "", false, variesByJob(name) && name != "CI_NODE_TOTAL"
	}
	switch name {
	case "CI_JOB_NAME":
		return j.Name, true, true
	case "CI_JOB_NAME_SLUG":
		return plan.Slug(j.Name), true, true
	case "CI_JOB_GROUP_NAME":
		return j.Base, true, true
	case "CI_JOB_STAGE":
		return j.Stage.Value, true, true
	case "CI_NODE_TOTAL":
		return strconv.Itoa(max(j.NodeTotal, 1)), true, true
	case "CI_NODE_INDEX":
		return strconv.Itoa(j.NodeIndex), j.NodeIndex > 0, true
	}
	return "", false, false
}

// lookupFile returns what the file itself says, unless the command line beats it.
func (s *selector) lookupFile(j *pipeline.Job, name string) (v pipeline.Variable, ok bool) {
	if _, given := s.env.options.Given[name]; given {
		return v, false
	}
	if j != nil {
		for _, list := range [][]pipeline.Variable{j.Matrix, j.Variables} {
			for _, v := range list {
				if v.Name == name {
					return v, true
				}
			}
		}
		if j.TopVariables != nil && !slices.Contains(*j.TopVariables, name) {
			return v, false
		}
	}
	v, ok = s.top[name]
	return v, ok
}
