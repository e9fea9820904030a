package pipeline

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/syntax"
)

// The bounds of a job's inputs (specification 0).
const (
	maxJobInputs        = 50
	maxInputOptions     = 50
	maxInputDescription = 1024
)

// inputTypes are the types of inputs, and which kinds of values have them.
var inputTypes = []struct {
	name  string
	kinds []syntax.Kind
}{
	{"string", []syntax.Kind{syntax.String}},
	{"number", []syntax.Kind{syntax.Int, syntax.Float}},
	{"boolean", []syntax.Kind{syntax.Bool}},
	{"array", []syntax.Kind{syntax.Sequence}},
}

// inputTypeNames are the words of inputs:NAME:type.
func inputTypeNames() []string {
	names := make([]string, len(inputTypes))
	for i, t := range inputTypes {
		names[i] = t.name
	}
	return names
}

// inputName is what an input may be called (specification 8.2).
var inputName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// inputs decodes the inputs of a job, each of which has its default as value unless
// one is given (specification 8.4).
func (d *decoder) inputs(n *syntax.Node) []Input {
	if n.Kind != syntax.Mapping {
		d.wrongType(n, "inputs", "a mapping")
		return nil
	}
	if len(n.Pairs) > maxJobInputs {
		d.fail(CodeLimit, n, "a job has at most %d inputs, this one has %d", maxJobInputs, len(n.Pairs))
	}
	inputs := make([]Input, 0, len(n.Pairs))
	for _, p := range n.Pairs {
		if !inputName.MatchString(p.Key.Value) {
			d.fail(CodeValue, p.Key, "%q cannot be the name of an input", p.Key.Value).Help = "use letters, digits, - and _"
			continue
		}
		inputs = append(inputs, d.input(p.Key, p.Value))
	}
	return inputs
}

func (d *decoder) input(key, n *syntax.Node) Input {
	what := path("inputs", key.Value)
	kind := "string"
	var options *syntax.Node
	var pattern Text
	ok := d.fields(n, inJobInput, what, func(key, value *syntax.Node) {
		switch what := path(what, key.Value); key.Value {
		case "type":
			if t, ok := d.word(value, what, inputTypeNames()); ok {
				kind = t.Value
			}
		case "description":
			if t, ok := d.text(value, what); ok && utf8.RuneCountInString(t.Value) > maxInputDescription {
				d.fail(CodeLimit, value, "%q has at most %d characters", what, maxInputDescription)
			}
		case "options":
			options = value
		case "regex":
			pattern, _ = d.filledText(value, what)
			d.pattern(value, what, pattern.Value)
		case "default": // once the type is known
		}
	})
	in := Input{Name: key.Value, Pos: key.Pos}
	if !ok {
		d.wrongType(n, what, "a mapping")
		return in
	}
	d.require(n, inJobInput, what, "default")
	value := n.Get("default")
	valid := specified(value) && d.inputValue(value, path(what, "default"), kind)
	if valid {
		in.Value = inputText(value)
	}
	if options != nil && !d.offers(options, path(what, "options"), kind, in.Value) && valid {
		d.fail(CodeValue, options, "%q must list the default value %q", path(what, "options"), in.Value)
	}
	if !valid {
		return in
	}
	if pattern.Value != "" && kind != "string" {
		d.fail(CodeConflict, n.GetKey("regex"), "%q is for inputs of type string", path(what, "regex"))
		return in
	}
	d.inputPattern(value, fmt.Sprintf("%q", path(what, "default")), in.Value, pattern.Value)
	for _, v := range d.given {
		if v.Job == d.job && v.Name == in.Name {
			d.giveInput(&in, key, v.Text, kind, options, pattern.Value)
		}
	}
	return in
}

// giveInput sets an input, declared at key, to a value that is given: the same is asked
// of it as of the default.
func (d *decoder) giveInput(in *Input, key *syntax.Node, text, kind string, options *syntax.Node, pattern string) {
	value := syntax.NewScalar(syntax.String, text, key.Pos)
	if kind != "string" {
		if v := syntax.ParseValue("--job-input "+in.Name, text); v != nil {
			value = v
		}
	}
	if !hasInputType(value, kind) {
		d.fail(CodeType, key, "input %q of job %q is given %q, but must be of type %s", in.Name, d.job, text, kind)
		return
	}
	in.Value = inputText(value)
	if options != nil && !slices.ContainsFunc(options.Items, func(o *syntax.Node) bool { return inputText(o) == in.Value }) {
		e := d.fail(CodeValue, key, "input %q of job %q is given %q, which is not in its list of options", in.Name, d.job, text)
		e.Notes = append(e.Notes, syntax.Note{Pos: options.Pos, Msg: "the options are here"})
	}
	d.inputPattern(key, fmt.Sprintf("the value given for input %q of job %q", in.Name, d.job), in.Value, pattern)
}

// inputValue checks that a value has the type of an input.
func (d *decoder) inputValue(n *syntax.Node, what, kind string) bool {
	if hasInputType(n, kind) {
		return true
	}
	d.fail(CodeType, n, "%s must be of type %s, not %s", subject(what), kind, kindPhrases[n.Kind])
	return false
}

func hasInputType(n *syntax.Node, kind string) bool {
	for _, t := range inputTypes {
		if t.name == kind {
			return slices.Contains(t.kinds, n.Kind)
		}
	}
	return false
}

// offers decodes options and reports whether they hold a value; so does what is no
// list, which is reported.
func (d *decoder) offers(n *syntax.Node, what, kind, value string) bool {
	offered := false
	if !d.list(n, what, wantList, func(item *syntax.Node) {
		offered = d.inputValue(item, what+"[]", kind) && inputText(item) == value || offered
	}) {
		return true
	}
	if len(n.Items) > maxInputOptions {
		d.fail(CodeLimit, n, "%q has at most %d entries, this list has %d", what, maxInputOptions, len(n.Items))
	}
	return offered
}

// inputPattern checks what an input is set to at n against its regex, if it has one.
func (d *decoder) inputPattern(n *syntax.Node, what, value, pattern string) {
	if pattern == "" {
		return
	}
	matches, err := d.matcher.Match(pattern, value)
	switch {
	case err != nil: // which is reported
	case d.matcher.Report():
		d.fail(CodePattern, n, "the patterns of all inputs together take too much work: it stops here")
	case !matches && !d.matcher.Spent():
		d.fail(CodeValue, n, "%s is %q, which does not match %s", what, value, pattern)
	}
}

// inputText is a value as it is put into a text: of a list its JSON.
func inputText(n *syntax.Node) string {
	if n.IsScalar() {
		return n.Value
	}
	items := make([]string, len(n.Items))
	for i, item := range n.Items {
		items[i] = inputText(item)
		if item.Kind == syntax.String {
			items[i] = fmt.Sprintf("%q", item.Value)
		}
	}
	return "[" + strings.Join(items, ",") + "]"
}

// inputMention is ${{ job.inputs.NAME }}.
var inputMention = regexp.MustCompile(`\$\{\{\s*job\.inputs\.([A-Za-z0-9_-]+)\s*\}\}`)

// fillInputs puts the values of the job's inputs in where they are mentioned: in
// scripts and what else a runner expands (specification 8.4). Parts that j shares
// with other jobs are copied.
func (d *decoder) fillInputs(j *Job) {
	if len(j.Inputs) == 0 {
		return
	}
	f := inputFiller{d: d, job: j}
	j.BeforeScript, j.Script, j.AfterScript = f.commands(j.BeforeScript), f.commands(j.Script), f.commands(j.AfterScript)
	j.Steps = slices.Clone(j.Steps)
	for i := range j.Steps {
		f.command(&j.Steps[i].Script)
	}
	if j.Image != nil {
		image := *j.Image
		f.text(&image.Name)
		j.Image = &image
	}
	j.Services = slices.Clone(j.Services)
	for i := range j.Services {
		f.text(&j.Services[i].Name)
	}
	if j.Artifacts != nil {
		a := *j.Artifacts
		a.Paths, a.Exclude = f.texts(a.Paths), f.texts(a.Exclude)
		if a.Name != nil {
			name := *a.Name
			f.text(&name)
			a.Name = &name
		}
		j.Artifacts = &a
	}
	j.Caches = slices.Clone(j.Caches)
	for i := range j.Caches {
		c := &j.Caches[i]
		f.text(&c.Key)
		f.text(&c.Policy)
		c.Paths = f.texts(c.Paths)
	}
}

// inputFiller puts the values of one job's inputs into texts.
type inputFiller struct {
	d   *decoder
	job *Job
}

func (f *inputFiller) fill(text string, pos syntax.Pos) string {
	if !strings.Contains(text, "${{") {
		return text
	}
	return inputMention.ReplaceAllStringFunc(text, func(mention string) string {
		name := inputMention.FindStringSubmatch(mention)[1]
		for _, in := range f.job.Inputs {
			if in.Name == name {
				return in.Value
			}
		}
		at := syntax.NewScalar(syntax.String, mention, pos)
		f.d.fail(CodeValue, at, "job %q has no input %q", f.job.Name, name)
		return mention
	})
}

func (f *inputFiller) text(t *Text) { t.Value = f.fill(t.Value, t.Pos) }

func (f *inputFiller) texts(list []Text) []Text {
	list = slices.Clone(list)
	for i := range list {
		f.text(&list[i])
	}
	return list
}

func (f *inputFiller) command(c *Command) { c.Text = f.fill(c.Text, c.Node.Pos) }

func (f *inputFiller) commands(list []Command) []Command {
	list = slices.Clone(list)
	for i := range list {
		f.command(&list[i])
	}
	return list
}
