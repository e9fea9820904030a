package pipeline

import (
	"regexp"

	"github.com/cic-ci/cic/compile/syntax"
)

var ruleWhen = []string{"on_success", "on_failure", "always", "never", "manual", "delayed"}

// rules decodes rules: mappings, nested lists flattened (specification 10). The
// result is not nil. Expressions are left to the caller.
func (d *decoder) rules(n *syntax.Node) []Rule {
	rules := make([]Rule, 0, len(n.Items))
	if n.Kind != syntax.Sequence {
		d.wrongType(n, "rules", "a list of mappings")
		return rules
	}
	d.nested(n, "rules", 1, func(item *syntax.Node) {
		if item.Kind != syntax.Mapping {
			d.wrongType(item, "rules[]", "a mapping")
			return
		}
		rules = append(rules, d.rule(item))
	})
	return rules
}

func (d *decoder) rule(n *syntax.Node) Rule {
	r := Rule{Pos: n.Pos}
	if len(n.Pairs) == 0 {
		d.fail(CodeMissing, n, `%s must not be empty`, subject("rules[]"))
		return r
	}
	d.fields(n, inRule, "rules", func(key, value *syntax.Node) {
		switch what := path("rules", key.Value); key.Value {
		case "if":
			r.If, _ = d.filledText(value, what)
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
	return r
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
			f.Refs = d.refs(value, path(what, key.Value))
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
