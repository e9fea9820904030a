package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
	"unicode/utf8"
)

// Hidden stands for the value of a variable whose name says that it is secret.
const Hidden = "[hidden]"

// rulesKeyDigits are hexadecimal digits: 48 bits.
const rulesKeyDigits = 12

// RulesKey returns the key of a record in Plan.Rules, which follows from what it
// holds: no job's changes when another's rules do.
func RulesKey(tried []TriedRule) string {
	h := sha256.New()
	for i := range tried {
		tried[i].digest(h)
	}
	return hex.EncodeToString(h.Sum(nil))[:rulesKeyDigits]
}

func (r *TriedRule) digest(h hash.Hash) {
	fmt.Fprintf(h, "%q %q %q", r.Rule, r.Unmet, r.Assumed)
	for _, name := range sortedKeys(r.Values) {
		if value := r.Values[name]; value != nil {
			fmt.Fprintf(h, " %q=%q", name, *value)
		} else {
			fmt.Fprintf(h, " %q", name)
		}
	}
	h.Write([]byte{'\n'}) // a hash reports no error
}

// String says whether the rule holds, the rule, and why: as far as the record
// itself tells.
func (r TriedRule) String() string { return r.describe(nil) }

// describe is String with the values of the variables that come from outside.
func (r *TriedRule) describe(read map[string]*string) string {
	verdict := "yes: "
	if r.Unmet != "" {
		verdict = "no: "
	}
	var notes []string
	switch r.Unmet {
	case "", "if", "only", "except": // the rule itself says what does not hold
	case "changes":
		notes = append(notes, "no file that has changed matches")
	case "exists":
		notes = append(notes, "no file matches")
	default:
		notes = append(notes, r.Unmet+" does not hold")
	}
	if r.Assumed != "" {
		notes = append(notes, r.Assumed+" taken to hold without a comparison")
	}
	names := mentionedNames(r.Rule)
	for _, name := range sortedKeys(r.Values) {
		if !slices.Contains(names, name) {
			names = append(names, name) // read through another
		}
	}
	for _, name := range names {
		value, seen := r.Values[name]
		if !seen {
			value, seen = read[name]
		}
		switch {
		case !seen:
		case value == nil:
			notes = append(notes, name+" is not set")
		default:
			notes = append(notes, name+" = "+displayValue(Literal(shortened(*value))))
		}
	}
	if len(notes) == 0 {
		return verdict + r.Rule
	}
	return verdict + r.Rule + " (" + strings.Join(notes, ", ") + ")"
}

// shortened cuts a value to what fits beside others.
func shortened(s string) string {
	const limit = 60
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}

// mentionedNames are those after a dollar sign in a rule's text, bare or in
// braces, each once. A name in a quoted text is among them, which does no harm:
// only what the rule has read is told.
func mentionedNames(rule string) []string {
	var names []string
	for {
		_, after, found := strings.Cut(rule, "$")
		if !found {
			return names
		}
		after = strings.TrimPrefix(after, "{")
		end := 0
		for end < len(after) && IsIdentifier(after[:end+1]) {
			end++
		}
		if name := after[:end]; name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
		rule = after[end:]
	}
}

// RuleLines returns lines for a person about a record of Plan.Rules: each rule that
// was tried, whether it holds, and the values it saw. Of a record that there is
// not it returns the key.
func (p *Plan) RuleLines(key string) []string {
	tried, ok := p.Rules[key]
	if !ok {
		return []string{key}
	}
	return p.ruleLines(tried)
}

func (p *Plan) ruleLines(tried []TriedRule) []string {
	lines := make([]string, len(tried))
	for i := range tried {
		lines[i] = fmt.Sprintf("%d. %s", i+1, tried[i].describe(p.Context.Read))
	}
	return lines
}

// jobLeaves are the leaves of a job, with the rules themselves in place of their key.
func (p *Plan) jobLeaves(j *Job, describe func(key string) []string) []leaf {
	leaves := leavesOf(*j)
	for i := range leaves {
		if leaves[i].path == "rules" {
			leaves[i].list, leaves[i].values = true, nil
			for _, line := range describe(j.Rules) {
				leaves[i].values = append(leaves[i].values, Literal(line))
			}
		}
	}
	return leaves
}

// ruleTexts are the rules of a record without number and without the values from
// outside, to compare with those of another plan.
func (p *Plan) ruleTexts(key string) []string {
	tried, ok := p.Rules[key]
	if !ok && key != "" {
		return []string{key}
	}
	var texts []string
	for _, r := range tried {
		texts = append(texts, r.String())
	}
	return texts
}

// comparable returns the plan without its jobs and with the rules of what it leaves
// out in place of their keys.
func (p *Plan) comparable() Plan {
	out := *p
	out.Jobs, out.Rules = nil, nil
	out.Excluded = slices.Clone(p.Excluded)
	for i := range out.Excluded {
		e := &out.Excluded[i]
		if texts := p.ruleTexts(e.Rules); len(texts) > 0 {
			e.Reason += ": " + strings.Join(texts, "; ")
		}
		e.Rules = ""
	}
	return out
}

// ruleClauses are the values of TriedRule.Unmet.
var ruleClauses = []string{"if", "changes", "exists", "only", "except"}

// rules checks the records of rules and the references to them.
func (v *validator) rules(s scope, p *Plan) {
	s.place = 1 + len(p.Jobs)
	s.field("workflow").tried(p.Workflow)
	for _, key := range sortedKeys(p.Rules) {
		at := s.field("rules").key(key)
		if RulesKey(p.Rules[key]) != key {
			at.fail("is not the key of what it holds")
		}
		if len(p.Rules[key]) == 0 {
			at.fail("must not be empty")
		}
		at.tried(p.Rules[key])
	}
	for i := range p.Jobs {
		s.job(i, p.Jobs[i].Name).field("rules").rulesKey(p, p.Jobs[i].Rules)
	}
	for i := range p.Excluded {
		s.element("excluded", i).field("rules").rulesKey(p, p.Excluded[i].Rules)
	}
}

func (s scope) rulesKey(p *Plan, key string) {
	if _, ok := p.Rules[key]; key != "" && !ok {
		s.fail("there is no record %s", quote(key))
	}
}

// tried checks a record: only its last rule can have decided.
func (s scope) tried(tried []TriedRule) {
	for i := range tried {
		r, at := &tried[i], s.element("", i)
		at.field("rule").required(Literal(r.Rule))
		if r.Unmet != "" {
			at.field("unmet").word(r.Unmet, ruleClauses...)
		} else if i < len(tried)-1 {
			at.fail("a rule that holds is the last to be tried")
		}
		if r.Assumed != "" {
			at.field("assumed").word(r.Assumed, "changes", "exists")
		}
		for _, name := range sortedKeys(r.Values) {
			at.field("values").key(name).identifier(name)
			if value := r.Values[name]; value != nil {
				at.field("values").key(name).text(*value)
			}
		}
	}
}
