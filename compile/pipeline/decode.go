package pipeline

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/match"
	"github.com/cic-ci/cic/compile/syntax"
)

// Decode makes the model from a resolved tree: types, defaults, parallel jobs.
// It reports all errors that concern one job or a name alone; whether stages
// and needed jobs exist is left to the caller, as is whether there are the inputs
// that values are given for. The pipeline is incomplete if the list holds an error.
func Decode(root *syntax.Node, given ...InputValue) (*Pipeline, syntax.ErrorList) {
	d := &decoder{seen: make(map[reported]bool), idle: make(map[string]bool), matcher: match.New(match.Texts), given: given}
	if root == nil || root.Kind != syntax.Mapping {
		if root == nil {
			root = &syntax.Node{}
		}
		d.fail(CodeType, root, "a pipeline must be a mapping, not %s", kindPhrases[root.Kind])
		return &Pipeline{}, d.errs
	}
	globals, jobs := d.classify(root)
	d.topLevel(globals)
	if len(jobs) == 0 && !d.errs.HasErrors() {
		d.fail(CodeNoJob, root, "the pipeline defines no job").Help =
			`add one, for example: build: {script: ["make"]}`
	}
	d.jobs(jobs)
	return &d.pipeline, d.errs
}

// decoder holds the state of one Decode.
type decoder struct {
	errs syntax.ErrorList
	seen map[reported]bool
	// failed counts the errors in errs.
	failed int
	// job is the name of the job being decoded, for the diagnostics.
	job      string
	pipeline Pipeline
	// defaults holds what default and the deprecated globals give to jobs.
	defaults Job
	// idle are the keywords without effect that were remarked upon.
	idle map[string]bool
	// matrixValues counts the variables that matrices give their jobs.
	matrixValues int
	// matcher matches the values of inputs.
	matcher *match.Matcher
	// given are values for the inputs of jobs.
	given []InputValue
}

// reported identifies a diagnostic that was made.
type reported struct {
	pos syntax.Pos
	msg string
}

// maxNameLen bounds the names of jobs, stages and variables, in characters
// (specification 0).
const maxNameLen = 255

// jobMarkers are the keys that make a mapping named like a global keyword a job
// (specification 3).
var jobMarkers = []string{"script", "run", "trigger", "needs"}

// classify sorts the top-level entries into keywords and visible jobs; hidden
// entries are checked and dropped (specification 3).
func (d *decoder) classify(root *syntax.Node) (globals, jobs []syntax.Pair) {
	for _, p := range root.Pairs {
		name := p.Key.Value
		switch {
		case strings.HasPrefix(name, "."):
			d.hidden(p)
		case vocabularies[inPipeline].known[name] == nil,
			(name == "default" || name == "workflow") && hasAny(p.Value, jobMarkers):
			jobs = append(jobs, p)
		case name != "variables" && hasAny(p.Value, []string{"script"}):
			d.fail(CodeJobName, p.Key, "%q is a keyword and cannot name a job", name).Help = "give the job another name"
		default:
			globals = append(globals, p)
		}
	}
	return globals, jobs
}

// hasAny reports whether a mapping has one of the keys, whatever its value.
func hasAny(n *syntax.Node, keys []string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return n.GetKey(key) != nil })
}

// hidden checks a hidden entry: it may be anything but blank.
func (d *decoder) hidden(p syntax.Pair) {
	v := p.Value
	blank := v.Kind == syntax.Null
	switch v.Kind {
	case syntax.Mapping:
		blank = len(v.Pairs) == 0
	case syntax.Sequence:
		blank = len(v.Items) == 0
	case syntax.String:
		blank = strings.TrimSpace(v.Value) == ""
	case syntax.Bool:
		blank = v.Value == "false"
	}
	if blank {
		d.fail(CodeMissing, p.Key, "hidden entry %q must not be empty", p.Key.Value)
	}
}

// topLevel decodes the global keywords.
func (d *decoder) topLevel(globals []syntax.Pair) {
	stages := defaultStages
	var def *syntax.Node
	for _, p := range globals {
		if !d.keyword(p, inPipeline, "") {
			continue
		}
		switch p.Key.Value {
		case "stages":
			stages = d.stages(p.Value)
		case "variables":
			d.pipeline.Variables = d.variables(p.Value, "variables", inVariable)
		case "workflow":
			d.workflow(p.Key, p.Value)
		case "default":
			def = p.Value
			d.defaultEntry(p.Value)
		default:
			d.jobKeyword(&draft{Job: &d.defaults}, p.Key, p.Value)
		}
	}
	d.pipeline.Stages = withEdges(stages)
	d.definedTwice(globals, def)
}

// defaultEntry decodes default (specification 5.1).
func (d *decoder) defaultEntry(n *syntax.Node) {
	dr := &draft{Job: &d.defaults}
	ok := d.fields(n, inDefault, "", func(key, value *syntax.Node) { d.jobKeyword(dr, key, value) })
	if !ok {
		d.wrongType(n, "default", "a mapping")
	}
}

// definedTwice reports deprecated globals that default defines as well.
func (d *decoder) definedTwice(globals []syntax.Pair, def *syntax.Node) {
	for _, p := range globals {
		name := p.Key.Value
		known := vocabularies[inDefault].known[name]
		if known == nil || !specified(p.Value) || !specified(def.Get(name)) {
			continue
		}
		e := d.fail(CodeConflict, p.Key, "%q is defined both at the top level and in \"default\"", name)
		e.Notes = append(e.Notes, syntax.Note{Pos: def.GetKey(name).Pos, Msg: "defined here as well"})
		e.Help = `keep the one in "default"`
	}
}

// defaultStages are the stages of a pipeline without stages.
var defaultStages = []Text{{Value: "build"}, {Value: "test"}, {Value: "deploy"}}

// stages decodes stages: a list of strings, nested lists flattened.
func (d *decoder) stages(n *syntax.Node) []Text {
	if n.Kind != syntax.Sequence {
		d.wrongType(n, "stages", wantStrings)
		return nil
	}
	var stages []Text
	d.nested(n, "stages", 1, func(item *syntax.Node) {
		if t, ok := d.filledText(item, "stages[]"); ok && d.nameFits(item, "stage", t.Value) {
			stages = append(stages, t)
		}
	})
	return stages
}

// withEdges puts .pre first and .post last, wherever they are listed, and drops
// repeated names (specification 13).
func withEdges(stages []Text) []Text {
	all := []Text{{Value: ".pre"}}
	seen := map[string]bool{".pre": true, ".post": true}
	for _, s := range stages {
		if !seen[s.Value] {
			seen[s.Value] = true
			all = append(all, s)
		}
	}
	return append(all, Text{Value: ".post"})
}

// nameFits checks the name of a job or stage: its length, and that it can be
// printed on one line.
func (d *decoder) nameFits(n *syntax.Node, what, name string) bool {
	if count := utf8.RuneCountInString(name); count > maxNameLen {
		d.fail(CodeLimit, n, "a %s's name has at most %d characters, this one has %d", what, maxNameLen, count)
		return false
	}
	if i := strings.IndexFunc(name, unicode.IsControl); i >= 0 {
		r, _ := utf8.DecodeRuneInString(name[i:])
		d.fail(CodeJobName, n, "a %s's name must not contain the control character %U", what, r)
		return false
	}
	return true
}
