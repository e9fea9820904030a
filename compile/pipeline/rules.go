package pipeline

import (
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/syntax"
)

var ruleWhen = []string{"on_success", "on_failure", "always", "never", "manual", "delayed"}

// rules decodes rules: mappings, nested lists flattened (specification 10). The
// result is not nil. Expressions are left to the caller.
// needs are parallel to it.
func (d *decoder) rules(n *syntax.Node) (rules []Rule, needs [][]need) {
	rules = make([]Rule, 0, len(n.Items))
	if n.Kind != syntax.Sequence {
		d.wrongType(n, "rules", "a list of mappings")
		return rules, nil
	}
	d.nested(n, "rules", 1, func(item *syntax.Node) {
		if item.Kind != syntax.Mapping {
			d.wrongType(item, "rules[]", "a mapping")
			return
		}
		r, ruleNeeds := d.rule(item)
		rules, needs = append(rules, r), append(needs, ruleNeeds)
	})
	return rules, needs
}

func (d *decoder) rule(n *syntax.Node) (r Rule, needs []need) {
	r.Pos = n.Pos
	if len(n.Pairs) == 0 {
		d.fail(CodeMissing, n, `%s must not be empty`, subject("rules[]"))
		return r, nil
	}
	d.fields(n, inRule, "rules", func(key, value *syntax.Node) {
		switch what := path("rules", key.Value); key.Value {
		case "when":
			r.When, _ = d.word(value, what, ruleWhen)
		case "start_in":
			r.StartIn = d.duration(value, what, maxStartIn)
		case "allow_failure":
			allowed := d.boolean(value, what)
			r.AllowFailure = &allowed
		case "interruptible":
			may := d.boolean(value, what)
			r.Interruptible = &may
		case "needs":
			needs = d.needs(value)
			if slices.ContainsFunc(needs, func(n need) bool { return n.external != nil }) {
				d.fail(CodeValue, value, "%q names jobs of this pipeline only", what)
			}
		default:
			d.ruleClause(&r, key.Value, value, what)
		}
	})
	when := n.Get("when")
	delayed := when != nil && when.Kind == syntax.String && when.Value == "delayed"
	switch start := n.Get("start_in"); {
	case delayed && !specified(start):
		d.fail(CodeMissing, when, `"when: delayed" needs "start_in"`)
	case specified(start) && !delayed:
		d.fail(CodeConflict, n.GetKey("start_in"), `"start_in" needs "when: delayed" in the same rule`)
	}
	return r, needs
}

// ruleClause decodes what rules of jobs and of workflow have in common.
func (d *decoder) ruleClause(r *Rule, key string, n *syntax.Node, what string) {
	switch key {
	case "if":
		r.If, _ = d.filledText(n, what)
	case "changes":
		r.Changes = d.rulePaths(n, what, inChanges)
	case "exists":
		r.Exists = d.rulePaths(n, what, inExists)
	case "variables":
		r.Variables = d.variables(n, what, inRule)
	}
}

// maxRulePaths bounds the patterns of one rule (specification 0).
const maxRulePaths = 50

// rulePaths decodes rules:changes or rules:exists: a list of patterns, or a
// mapping (specification 10.1, 10.2).
func (d *decoder) rulePaths(n *syntax.Node, what string, s scope) *Paths {
	p := &Paths{Pos: n.Pos, Patterns: []Text{}}
	list := n
	if n.Kind == syntax.Mapping {
		d.fields(n, s, what, func(key, value *syntax.Node) {
			switch key.Value {
			case "paths":
				list = value
			case "regexp":
				p.Regexp = d.pathRegexp(value, path(what, key.Value))
			case "compare_to":
				p.CompareTo, _ = d.filledText(value, path(what, key.Value))
			case "project":
				p.Project, _ = d.filledText(value, path(what, key.Value))
			case "ref":
				p.Ref, _ = d.filledText(value, path(what, key.Value))
			}
		})
		d.pathsForm(n, s, what)
		if list == n {
			return p
		}
		what = path(what, "paths")
	}
	p.Patterns = d.texts(list, what, d.text)
	if len(p.Patterns) > maxRulePaths {
		d.fail(CodeLimit, list, "%q has at most %d patterns, this list has %d", what, maxRulePaths, len(p.Patterns))
	}
	return p
}

// maxPathRegexp bounds rules:changes:regexp and its like, in characters
// (specification 10.1).
const maxPathRegexp = 255

// pathRegexp decodes an expression for paths. Variables may be put into it, so
// that it is for the caller to parse.
func (d *decoder) pathRegexp(n *syntax.Node, what string) Text {
	t, _ := d.filledText(n, what)
	if length := utf8.RuneCountInString(t.Value); length > maxPathRegexp {
		d.fail(CodeLimit, n, "%q has at most %d characters, this one has %d", what, maxPathRegexp, length)
	}
	return t
}

// pathsForm checks which keywords of a mapping of paths stand together.
func (d *decoder) pathsForm(n *syntax.Node, s scope, what string) {
	d.exclude(n, "regexp", "paths")
	if !specified(n.Get("regexp")) {
		d.require(n, s, what, "paths")
	}
	if s == inExists && specified(n.Get("ref")) {
		d.require(n, s, what, "project")
	}
}

// filter decodes only or except: a list of refs, a mapping with refs, or a
// single ref, which is an addition to the language (specification 11).
func (d *decoder) filter(n *syntax.Node, what string) *Filter {
	f := &Filter{Pos: n.Pos}
	switch n.Kind {
	case syntax.Sequence:
		f.Refs = d.refs(n, what)
	case syntax.String:
		if ref, ok := d.filledText(n, what); ok {
			d.refPattern(n, what, ref.Value)
			f.Refs = []Text{ref}
		}
	case syntax.Mapping:
		if len(n.Pairs) == 0 {
			d.fail(CodeMissing, n, "%q must not be empty", what)
		}
		d.fields(n, inFilter, what, func(key, value *syntax.Node) {
			switch what := path(what, key.Value); key.Value {
			case "refs":
				f.Refs = d.refs(value, what)
			case "variables":
				f.Variables = d.texts(value, what, d.filledText)
			case "changes":
				f.Changes = d.texts(value, what, d.text)
			case "kubernetes":
				t, _ := d.word(value, what, []string{"active"})
				f.Kubernetes = t.Value == "active"
			}
		})
	default:
		d.wrongType(n, what, "a string, a list of strings or a mapping")
	}
	return f
}

// refs decodes a list of branch names, keywords and /patterns/.
func (d *decoder) refs(n *syntax.Node, what string) []Text {
	refs := d.texts(n, what, d.filledText)
	for _, item := range n.Items {
		if item.Kind == syntax.String {
			d.refPattern(item, what, item.Value)
		}
	}
	return refs
}

// slashPattern is a regular expression between slashes, and its flags.
var slashPattern = regexp.MustCompile(`(?s)^/(.+)/([ismU]*)$`)

// refPattern checks a ref that is a regular expression.
func (d *decoder) refPattern(n *syntax.Node, what, ref string) {
	m := slashPattern.FindStringSubmatch(ref)
	if m == nil {
		return
	}
	pattern := m[1]
	if m[2] != "" {
		pattern = "(?" + m[2] + ")" + pattern
	}
	d.pattern(n, what, pattern)
}
