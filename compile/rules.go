package compile

import (
	"fmt"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
)

// applyWorkflow evaluates workflow:rules before any job's (specification section
// 12). The variables of the rule that matches become top-level ones. The result
// is what becomes of every job if there is to be no pipeline, else nil.
func (s *selector) applyWorkflow(p *pipeline.Pipeline) (forbidden *decision) {
	w := p.Workflow
	if w == nil || w.Rules == nil {
		return nil
	}
	s.workflow = true
	var by *pipeline.Rule
	for i := range w.Rules {
		r := &w.Rules[i]
		if by != nil {
			s.expression(r.If, "workflow:rules:if")
			continue
		}
		tried := s.try(nil, r)
		s.tried = append(s.tried, tried)
		if tried.Unmet == "" {
			by = r
		}
	}
	switch {
	case by == nil:
		return &decision{reason: "workflow:rules: no rule matched", pos: w.Pos, elsewhere: true}
	case by.When.Value == "never":
		return &decision{reason: "workflow:rules: the first rule that matched says never", rule: ruleText(by), pos: by.Pos, elsewhere: true}
	}
	p.Variables = overlaid(p.Variables, by.Variables)
	for _, v := range by.Variables {
		s.top[v.Name] = v
	}
	if by.AutoCancel != nil {
		p.AutoCancel = by.AutoCancel
	}
	return nil
}

// overlaid returns variables with others over them.
func overlaid(base, over []pipeline.Variable) []pipeline.Variable {
	if len(over) == 0 {
		return base
	}
	replaced := make(map[string]bool, len(over))
	for _, v := range over {
		replaced[v.Name] = true
	}
	merged := make([]pipeline.Variable, 0, len(base)+len(over))
	for _, v := range base {
		if !replaced[v.Name] {
			merged = append(merged, v)
		}
	}
	return append(merged, over...)
}

// maxTried bounds the rules that all jobs of a pipeline try, each parallel copy its own:
// what came of each is recorded.
const maxTried = 150_000

// mayTry counts a rule, and reports once that there are too many.
func (s *selector) mayTry(r *pipeline.Rule) bool {
	b := s.env.budget
	if b.rules++; b.rules == maxTried+1 {
		s.diags.report(&syntax.Error{
			Code: codeManyRules, Pos: r.Pos, Len: 1,
			Msg:  fmt.Sprintf("the jobs have more than %d rules together, each copy of a parallel job its own", maxTried),
			Help: "give the jobs fewer rules, or fewer copies",
		})
	}
	return b.rules <= maxTried
}

// applyRules lets the first rule that matches decide, and returns it. The rules
// behind it are looked at for faults alone.
func (s *selector) applyRules(j *pipeline.Job, d *decision) *pipeline.Rule {
	for i := range j.Rules {
		r := &j.Rules[i]
		if s.env.matcher.Spent() || !s.mayTry(r) { // the pipeline is refused
			break
		}
		if d.by != nil {
			s.expression(r.If, "rules:if")
			continue
		}
		tried := s.try(j, r)
		d.tried = append(d.tried, tried)
		if tried.Unmet != "" {
			continue
		}
		d.by = r
		if r.When.Value != "" {
			d.when, d.startIn = r.When.Value, r.StartIn
		}
		if r.Interruptible != nil {
			d.interruptible = *r.Interruptible
		}
		if d.when == "never" {
			d.included, d.reason, d.rule = false, "rules: the first rule that matched says never", ruleText(r)
		}
	}
	switch {
	case d.by != nil:
	case len(j.Rules) == 0:
		d.included, d.reason = false, "rules: the list is empty"
	default:
		d.included, d.reason = false, "rules: no rule matched"
	}
	return d.by
}

// applied returns the job as the rule that decided changes it.
func (d *decision) applied(j *pipeline.Job) *pipeline.Job {
	if d.by == nil || len(d.by.Variables) == 0 && d.by.Needs == nil {
		return j
	}
	changed := *j
	changed.RuleVariables = d.by.Variables
	if d.by.Needs != nil {
		changed.Needs = d.by.Needs
	}
	return &changed
}
