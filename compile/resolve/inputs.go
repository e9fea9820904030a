package resolve

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/expr"
	"github.com/cic-ci/cic/compile/match"
	"github.com/cic-ci/cic/compile/syntax"
)

// The bounds of inputs (specification, section 0).
const (
	maxInputOptions     = 50
	maxInputDescription = 1024
)

// inputName is what an input may be called (specification, section 8.2).
var inputName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// input is a declaration of spec:inputs.
type input struct {
	name  *syntax.Node
	kind  string
	value *syntax.Node // the default; nil if it must be given
	regex *syntax.Node
	// options are the values that are allowed, nil for all.
	options []*syntax.Node
	rules   []inputRule
	// faulty: the declaration has an error, so that nothing is said of its value.
	faulty bool
}

// inputRule gives the options and the default where its condition holds.
type inputRule struct {
	condition *expr.Expr // nil: always
	at        *syntax.Node
	options   []*syntax.Node
	value     *syntax.Node
}

// inputTypes are the types of inputs and the kinds of scalars that have them.
var inputTypes = map[string][]syntax.Kind{
	"string":  {syntax.String},
	"number":  {syntax.Int, syntax.Float},
	"boolean": {syntax.Bool},
	"array":   {syntax.Sequence},
}

// header decodes the header of a file: its inputs, and what it asks to know of the
// component that it is (specification, section 8.1).
func (l *loader) header(h *syntax.Node) (inputs []*input, component []string) {
	for _, p := range h.Pairs {
		if p.Key.Value != "spec" {
			l.fail(CodeSpec, p.Key, "a header holds only \"spec\", not %q", p.Key.Value)
		}
	}
	spec := h.Get("spec")
	if !l.mappingOrNull(spec, "spec") {
		return nil, nil
	}
	for _, p := range spec.Pairs {
		switch p.Key.Value {
		case "inputs":
			inputs = append(inputs, l.declarations(p.Value)...)
		case "include":
			inputs = append(inputs, l.headerIncludes(p.Value)...)
		case "component":
			component = l.componentFields(p.Value)
		case "description":
		default:
			l.unknownKey(p.Key, "spec", "component", "description", "include", "inputs")
		}
	}
	seen := map[string]*input{}
	for _, in := range inputs {
		if first := seen[in.name.Value]; first != nil {
			l.fail(CodeSpec, in.name, "input %q is declared twice", in.name.Value).Notes =
				[]syntax.Note{{Pos: first.name.Pos, Msg: "first declared here"}}
		}
		seen[in.name.Value] = in
	}
	return inputs, component
}

// declarations decodes a mapping of inputs.
func (l *loader) declarations(n *syntax.Node) (inputs []*input) {
	if !l.mappingOrNull(n, "spec:inputs") {
		return nil
	}
	for _, p := range n.Pairs {
		if p.Key.Kind == syntax.Bool {
			l.fail(CodeSpec, p.Key, "the name of an input must be a string, but YAML reads %s as a boolean", p.Key.Raw).Help = fmt.Sprintf("quote it: %q", p.Key.Raw)
			continue
		}
		if !inputName.MatchString(p.Key.Value) {
			l.fail(CodeSpec, p.Key, "%q cannot be the name of an input", p.Key.Value).Help = "use letters, digits, - and _"
			continue
		}
		before := len(l.errs)
		in := l.declaration(p.Key, p.Value)
		in.faulty = l.errs[before:].HasErrors()
		inputs = append(inputs, in)
	}
	return inputs
}

func (l *loader) declaration(name, n *syntax.Node) *input {
	in := &input{name: name, kind: "string"}
	if !l.mappingOrNull(n, "the input "+fmt.Sprintf("%q", name.Value)) || n.Kind == syntax.Null {
		return in
	}
	if t := n.Get("type"); t != nil && t.Kind != syntax.Null {
		if _, known := inputTypes[t.Value]; known && t.Kind == syntax.String {
			in.kind = t.Value
		} else {
			l.fail(CodeSpec, t, "the type of an input is string, number, boolean or array, not %q", t.Value)
		}
	}
	for _, p := range n.Pairs {
		switch p.Key.Value {
		case "type":
		case "description":
			if len([]rune(p.Value.Value)) > maxInputDescription {
				l.fail(CodeSpec, p.Key, "the description of an input has at most %d characters", maxInputDescription)
			}
		case "default":
			if l.typed(in, p.Value, "the default") {
				in.value = p.Value
			}
		case "options":
			in.options = l.options(in, p.Value)
		case "regex":
			in.regex = l.inputRegex(in, p.Value)
		case "rules":
			in.rules = l.inputRules(in, p.Value)
		default:
			l.unknownKey(p.Key, "input", "default", "description", "options", "regex", "rules", "type")
		}
	}
	if len(in.rules) > 0 && (n.Get("default") != nil || n.Get("options") != nil) {
		l.fail(CodeSpec, n.GetKey("rules"), "an input with rules has no default and no options beside them")
	}
	if in.value != nil {
		l.allowed(in, in.value, in.options)
	}
	return in
}

func (l *loader) inputRegex(in *input, n *syntax.Node) *syntax.Node {
	if in.kind != "string" {
		l.fail(CodeSpec, n, "only an input of type string has a regex")
		return nil
	}
	if n.Kind != syntax.String {
		l.fail(CodeSpec, n, "the regex of an input is a text, not %s", n.Kind.WithArticle())
		return nil
	}
	if err := match.Check(n.Value); err != nil {
		l.fail(CodeSpec, n, "the regex of an input must be a regular expression: %v", err)
		return nil
	}
	return n
}

func (l *loader) options(in *input, n *syntax.Node) []*syntax.Node {
	if n.Kind == syntax.Null {
		return nil
	}
	if n.Kind != syntax.Sequence || len(n.Items) > maxInputOptions {
		l.fail(CodeSpec, n, "the options of an input are a list of at most %d values", maxInputOptions)
		return nil
	}
	for _, item := range n.Items {
		l.typed(in, item, "an option")
	}
	return n.Items
}

// inputRules decodes rules, of which the first that holds gives options and default.
func (l *loader) inputRules(in *input, n *syntax.Node) (rules []inputRule) {
	if n.Kind != syntax.Sequence {
		l.fail(CodeSpec, n, "the rules of an input are a list, not %s", n.Kind.WithArticle())
		return nil
	}
	for _, item := range n.Items {
		if item.Kind != syntax.Mapping {
			l.fail(CodeSpec, item, "a rule of an input is a mapping, not %s", item.Kind.WithArticle())
			continue
		}
		var rule inputRule
		for _, p := range item.Pairs {
			switch p.Key.Value {
			case "if":
				rule.condition, rule.at = l.inputCondition(p.Value), p.Value
			case "options":
				rule.options = l.options(in, p.Value)
			case "default":
				if p.Value.Kind == syntax.Null || l.typed(in, p.Value, "the default") {
					rule.value = p.Value
				}
			default:
				l.unknownKey(p.Key, "rule of an input", "default", "if", "options")
			}
		}
		rules = append(rules, rule)
	}
	return rules
}

func (l *loader) inputCondition(n *syntax.Node) *expr.Expr {
	if n.Kind != syntax.String {
		l.fail(CodeSpec, n, "the condition of a rule is a text, not %s", n.Kind.WithArticle())
		return nil
	}
	condition, err := expr.ParseInputs(n.Value)
	if err != nil {
		l.fail(CodeSpec, n, "the condition cannot be parsed: %v", err)
	}
	return condition
}

// typed reports whether a value has the input's type, and reports an error if not.
func (l *loader) typed(in *input, n *syntax.Node, what string) bool {
	if slices.Contains(inputTypes[in.kind], n.Kind) {
		return true
	}
	l.fail(CodeInputValue, n, "%s of input %q must be of type %s, not %s", what, in.name.Value, in.kind, n.Kind.WithArticle())
	return false
}

// allowed checks a value against the input's options and regex.
func (l *loader) allowed(in *input, n *syntax.Node, options []*syntax.Node) {
	if options != nil && !slices.ContainsFunc(options, func(o *syntax.Node) bool { return sameValue(o, n) }) {
		var list []string
		for _, o := range options {
			list = append(list, fmt.Sprintf("%q", inputText(o)))
		}
		l.fail(CodeInputValue, n, "input %q cannot be %q, which is not in its list of options: %s", in.name.Value, inputText(n), strings.Join(list, ", "))
	}
	if in.regex == nil {
		return
	}
	matches, err := l.o.Matcher.Match(in.regex.Value, n.Value)
	l.checkMatcher(in.regex)
	if err != nil || !matches {
		l.fail(CodeInputValue, n, "input %q cannot be %q, which does not match %s", in.name.Value, n.Value, in.regex.Value)
	}
}

func sameValue(a, b *syntax.Node) bool { return a.Kind == b.Kind && inputText(a) == inputText(b) }

// values gives each declared input its value. given are those that the including
// file, or the command line, passes; at is where it does so.
func (l *loader) values(inputs []*input, given *syntax.Node, at place) map[string]*syntax.Node {
	values := make(map[string]*syntax.Node, len(inputs))
	for _, in := range inputs {
		v := given.Get(in.name.Value)
		if v != nil && at.texts {
			v = l.fromText(in, v)
		}
		if v != nil && !l.typed(in, v, "the value") {
			values[in.name.Value] = v
			continue
		}
		if v != nil {
			values[in.name.Value] = v
		} else if in.value != nil {
			values[in.name.Value] = in.value
		}
	}
	for _, in := range inputs {
		l.complete(in, values, at)
	}
	if given != nil {
		for _, p := range given.Pairs {
			if values[p.Key.Value] == nil { // by now, each declared one has a value
				e := l.fail(CodeInput, p.Key, "%s has no input %q", at.file, p.Key.Value)
				l.suggest(e, p.Key.Value, func() []string { return slices.Sorted(maps.Keys(values)) })
			}
		}
	}
	return values
}

// commandInputs are texts from the command line as what a file would pass.
func commandInputs(texts map[string]string) *syntax.Node {
	if len(texts) == 0 {
		return nil
	}
	var pairs []syntax.Pair
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		pairs = append(pairs, syntax.Pair{
			Key:   syntax.NewScalar(syntax.String, name, syntax.Pos{}),
			Value: syntax.NewScalar(syntax.String, texts[name], syntax.Pos{}),
		})
	}
	return syntax.NewMapping(syntax.Pos{}, pairs)
}

// fromText reads a text from the command line as YAML where the input is no text.
func (l *loader) fromText(in *input, text *syntax.Node) *syntax.Node {
	if in.kind == "string" {
		return text
	}
	if v := syntax.ParseValue("--input "+in.name.Value, text.Value); v != nil {
		return v
	}
	return text
}

// complete applies the input's rules and checks its value.
func (l *loader) complete(in *input, values map[string]*syntax.Node, at place) {
	name := in.name.Value
	options := in.options
	lookup := func(other string) (string, bool) {
		v, ok := values[strings.TrimPrefix(other, "inputs.")]
		if !ok || v.Kind == syntax.Null {
			return "", false
		}
		return inputText(v), true
	}
	for _, rule := range in.rules {
		if rule.condition != nil && !l.holds(rule.condition, rule.at, lookup) {
			continue
		}
		options = rule.options
		if values[name] == nil && rule.value != nil && rule.value.Kind != syntax.Null {
			values[name] = rule.value
		}
		break
	}
	if v := values[name]; v != nil {
		if v != in.value && slices.Contains(inputTypes[in.kind], v.Kind) {
			l.allowed(in, v, options)
		}
		return
	}
	if !in.faulty {
		e := l.failAt(CodeInput, at.pos, at.length, "%s needs a value for its input %q", at.file, name)
		e.Notes = []syntax.Note{{Pos: in.name.Pos, Msg: "declared here without a default"}}
		e.Help = at.help
	}
	values[name] = syntax.NewScalar(syntax.String, "", at.pos)
}

// inputText is a value as it stands within a longer text: a list as JSON.
func inputText(n *syntax.Node) string {
	if n.IsScalar() {
		return n.Value
	}
	return JSON(n)
}

// JSON is a value as JSON has it.
func JSON(n *syntax.Node) string {
	text, err := json.Marshal(plainValue(n))
	if err != nil { // of what YAML can hold
		panic(err)
	}
	return string(text)
}

// plainValue is a value as Go and JSON know it.
func plainValue(n *syntax.Node) any {
	switch n.Kind {
	case syntax.Null:
		return nil
	case syntax.Bool:
		return n.Value == "true"
	case syntax.Int, syntax.Float:
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value)
		}
		return n.Value
	case syntax.Mapping:
		m := make(map[string]any, len(n.Pairs))
		for _, p := range n.Pairs {
			m[p.Key.Value] = plainValue(p.Value)
		}
		return m
	case syntax.Sequence, syntax.Reference:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = plainValue(item)
		}
		return list
	}
	return n.Value
}
