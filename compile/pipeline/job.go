package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// draft is a job as written, before it is multiplied by parallel.
type draft struct {
	*Job
	key *syntax.Node
	// needs are the job's, nil if not specified; ruleNeeds are parallel to its rules.
	needs     []need
	ruleNeeds [][]need
	// instances are the concrete jobs, none for a job that is not parallel.
	instances []instance
}

// instance is one of the jobs that parallel makes.
type instance struct {
	name         string
	index, total int
	matrix       []Variable
}

// jobs decodes the visible jobs, multiplies them and links needs to the result.
func (d *decoder) jobs(pairs []syntax.Pair) {
	drafts := make([]*draft, 0, len(pairs))
	total := 0
	for _, p := range pairs {
		d.job = p.Key.Value
		if d.givenUp() {
			return
		}
		dr := d.jobEntry(p)
		if dr == nil {
			continue
		}
		if total += max(1, len(dr.instances)); total > maxJobs {
			d.fail(CodeLimit, dr.key, "the pipeline has more than %d jobs", maxJobs)
			return
		}
		drafts = append(drafts, dr)
	}
	d.job = ""
	d.stops(drafts)
	d.multiply(drafts)
}

// jobEntry decodes one visible job, nil if it is none or cannot be named.
func (d *decoder) jobEntry(p syntax.Pair) *draft {
	if !d.jobName(p.Key) {
		return nil
	}
	if p.Value.Kind != syntax.Mapping && specified(p.Value) {
		d.notAJob(p)
		return nil
	}
	dr := &draft{
		Job: &Job{
			Name:      p.Key.Value,
			Base:      p.Key.Value,
			Pos:       p.Key.Pos,
			NodeTotal: 1,
			Stage:     Text{Value: "test", Pos: p.Key.Pos}, // specification 13
		},
		key: p.Key,
	}
	if triggers(p.Value) {
		d.triggerJob(dr, p.Value)
		return dr
	}
	if !d.hasWork(p) {
		return nil
	}
	d.fields(p.Value, inJob, "", func(key, value *syntax.Node) { d.jobKeyword(dr, key, value) })
	d.exclusions(p.Value)
	d.delay(p.Value)
	d.inherit(dr.Job, p.Value)
	d.publishing(dr.Job, p.Value)
	d.fillInputs(dr.Job)
	return dr
}

// jobName checks the key of a job.
func (d *decoder) jobName(key *syntax.Node) bool {
	if key.Kind != syntax.String {
		d.fail(CodeJobName, key, "a job's name must be a string, not %s", kindPhrases[key.Kind]).Help =
			fmt.Sprintf("quote it: %q", key.Raw)
		return false
	}
	if strings.TrimSpace(key.Value) == "" {
		d.fail(CodeJobName, key, "a job's name must not be empty")
		return false
	}
	return d.nameFits(key, "job", key.Value)
}

// notAJob reports a top-level entry that is no mapping.
func (d *decoder) notAJob(p syntax.Pair) {
	name := p.Key.Value
	if vocabularies[inJob].known[name] != nil {
		d.fail(CodeNotAJob, p.Key, "keyword %q is not allowed at the top level", name).Help = "move it into a job"
		return
	}
	e := d.fail(CodeNotAJob, p.Key, "%q is no keyword, and a job must be a mapping, not %s", name, kindPhrases[p.Value.Kind])
	suggestGlobal(e, name)
}

// suggestGlobal adds the keyword of the top level that a name resembles, and
// reports whether there is one.
func suggestGlobal(e *syntax.Error, name string) bool {
	if now, ok := renamed[name]; ok && vocabularies[inPipeline].known[now] != nil {
		e.Help = fmt.Sprintf("it was renamed: write %q", now)
		return true
	}
	near := syntax.Suggest(name, vocabularies[inPipeline].names)
	if near != "" {
		e.Help = fmt.Sprintf("did you mean the keyword %q?", near)
	}
	return near != ""
}

// hasWork reports a job without anything to run. A refused or misspelt keyword
// that would be the work is reported by itself. The result is false for what is
// rather a misspelt keyword of the top level than a job.
func (d *decoder) hasWork(p syntax.Pair) bool {
	for _, name := range []string{"run", "trigger"} {
		if specified(p.Value.Get(name)) {
			return true
		}
	}
	if key := p.Value.GetKey("script"); key != nil {
		if !specified(p.Value.Get("script")) {
			d.fail(CodeMissing, key, `"script" must not be empty`)
		}
		return true
	}
	const fewKeys = 100 // to compare each with a word
	for _, q := range p.Value.Pairs[:min(len(p.Value.Pairs), fewKeys)] {
		known := vocabularies[inJob].known[q.Key.Value]
		if known == nil && syntax.Suggest(q.Key.Value, vocabularies[inJob].names) == "script" {
			return true
		}
	}
	e := d.fail(CodeMissing, p.Key, `job %q has no "script"`, p.Key.Value)
	e.Help = `add the commands to run: script: ["make"]`
	return !suggestGlobal(e, p.Key.Value)
}

// exclusions reports keywords that may not stand together: a matrix in two
// forms, run and scripts, and some beside rules if there is a rule at all
// (specification 4).
func (d *decoder) exclusions(n *syntax.Node) {
	d.exclude(n, "parallel", "matrix")
	d.exclude(n, "run", "script", "before_script", "after_script")
	d.exclude(n, "trigger", "script", "run")
	rules := n.Get("rules")
	if rules == nil || rules.Kind != syntax.Sequence || len(rules.Items) == 0 {
		return
	}
	d.exclude(n, "rules", "only", "except", "start_in")
}

// exclude reports those of others that stand beside a keyword, and returns the last
// diagnostic, nil if there is none.
func (d *decoder) exclude(n *syntax.Node, keyword string, others ...string) (e *syntax.Error) {
	if !specified(n.Get(keyword)) {
		return nil
	}
	for _, name := range others {
		if specified(n.Get(name)) {
			e = d.fail(CodeConflict, n.GetKey(name), "%q cannot be used together with %q", name, keyword)
			e.Notes = append(e.Notes, syntax.Note{Pos: n.GetKey(keyword).Pos, Msg: fmt.Sprintf("%q is here", keyword)})
		}
	}
	return e
}

// jobKeyword decodes one keyword of a job, of default or a deprecated global.
func (d *decoder) jobKeyword(j *draft, key, value *syntax.Node) {
	what := key.Value
	switch what {
	case "stage":
		if t, ok := d.filledText(value, what); ok {
			j.Stage = t
		}
	case "image":
		j.Image = d.image(value)
	case "services":
		j.Services = d.services(value)
	case "variables":
		j.Variables = d.variables(value, what, inJobVariable)
	case "secrets":
		j.Secrets = d.secrets(value)
	case "script":
		j.Script = d.commands(value, what)
		if len(j.Script) == 0 {
			d.blankScript(value)
		}
	case "before_script":
		j.BeforeScript = d.commands(value, what)
	case "after_script":
		j.AfterScript = d.commands(value, what)
	case "rules":
		j.Rules, j.ruleNeeds = d.rules(value)
	case "only":
		j.Only = d.filter(value, what)
	case "except":
		j.Except = d.filter(value, what)
	case "needs":
		j.needs = d.needs(value)
		j.External = d.externals(value, j.needs)
	case "dependencies":
		names := d.texts(value, what, d.filledText)
		j.Dependencies = &names
	case "artifacts":
		j.Artifacts = d.artifacts(value)
	case "trigger":
		j.Trigger = d.trigger(value)
	case "cache":
		j.Caches = d.caches(value)
	case "parallel":
		d.parallel(j, value)
	case "matrix":
		d.jobMatrix(j, value)
	default:
		if !d.idleKeyword(key, value) {
			d.delivery(j.Job, what, value)
		}
	}
}

// delivery decodes the keywords by which a job takes part in what a server offers
// besides running it, and inputs; all others conduct does.
func (d *decoder) delivery(j *Job, what string, n *syntax.Node) {
	switch what {
	case "run":
		j.Steps = d.steps(n)
	case "id_tokens":
		j.IDTokens = d.idTokens(n)
	case "release":
		j.Release = d.release(n)
	case "pages":
		j.Pages = d.pages(n)
	case "publish":
		j.Publish, _ = d.filledText(n, what)
	case "inputs":
		j.Inputs = d.inputs(n)
	default:
		d.conduct(j, what, n)
	}
}

// inherit copies what the job does not specify from the defaults, whole values
// only, as far as its keyword inherit allows (specification 5.1, 5.2).
func (d *decoder) inherit(j *Job, n *syntax.Node) {
	def, keywords := &d.defaults, d.inheritance(j, n.Get("inherit"))
	absent := func(keyword string) bool {
		return !specified(n.Get(keyword)) && (keywords == nil || slices.Contains(*keywords, keyword))
	}
	if absent("image") {
		j.Image = def.Image
	}
	if absent("services") {
		j.Services = def.Services
	}
	if absent("cache") {
		j.Caches = def.Caches
	}
	if j.Steps == nil { // which stand in place of all scripts
		if absent("before_script") {
			j.BeforeScript = def.BeforeScript
		}
		if absent("after_script") {
			j.AfterScript = def.AfterScript
		}
	}
	if absent("artifacts") {
		j.Artifacts = def.Artifacts
	}
	if absent("retry") {
		j.Retry = def.Retry
	}
	if absent("timeout") {
		j.Timeout = def.Timeout
	}
	if absent("interruptible") {
		j.Interruptible = def.Interruptible
	}
	if absent("id_tokens") {
		j.IDTokens = def.IDTokens
	}
}

// inheritance decodes the keyword inherit: the keywords that the job may take
// from the defaults, nil for all, and j's top-level variables (specification 5.2).
func (d *decoder) inheritance(j *Job, n *syntax.Node) (keywords *[]string) {
	if !specified(n) {
		return nil
	}
	ok := d.fields(n, inInherit, "inherit", func(key, value *syntax.Node) {
		switch what := path("inherit", key.Value); key.Value {
		case "default":
			keywords = d.inheritList(value, what)
			for _, item := range value.Items {
				if item.Kind == syntax.String && vocabularies[inDefault].known[item.Value] == nil {
					e := d.fail(CodeValue, item, "%q cannot be inherited from \"default\"", item.Value)
					if near := syntax.Suggest(item.Value, vocabularies[inDefault].names); near != "" {
						e.Help = fmt.Sprintf("did you mean %q?", near)
					} else {
						e.Help = "allowed: " + strings.Join(vocabularies[inDefault].names, ", ")
					}
				}
			}
		case "variables":
			j.TopVariables = d.inheritList(value, what)
		}
	})
	if !ok {
		d.wrongType(n, "inherit", "a mapping")
	}
	return keywords
}

// inheritList decodes true, false or a list of names: nil stands for all.
func (d *decoder) inheritList(n *syntax.Node, what string) *[]string {
	names := []string{}
	switch n.Kind {
	case syntax.Bool:
		if n.Value == "true" {
			return nil
		}
	case syntax.Sequence:
		names = append(names, d.values(n, what)...)
	default:
		d.wrongType(n, what, "true, false or a list of strings")
	}
	return &names
}
