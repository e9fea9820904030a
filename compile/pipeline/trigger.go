package pipeline

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// maxChildFiles bounds trigger:include (specification 0).
const maxChildFiles = 3

var (
	strategies = []string{"depend", "mirror"}
	// triggerWhen is jobWhen without delayed (specification 4.1).
	triggerWhen = []string{"on_success", "on_failure", "always", "manual"}
	// projectPath is what GitLab takes for the path of a project (specification 28).
	projectPath = regexp.MustCompile(`\S/\S|\$`)
	// childPlaces are the keywords that say where a file of a child pipeline is.
	childPlaces = []string{"local", "template", "remote", "component", "project", "artifact"}
)

// triggers reports whether a mapping is a trigger job: one that has neither a
// script nor steps but the keyword trigger, or needs a whole pipeline of another
// project (specification 3).
func triggers(n *syntax.Node) bool {
	return !hasAny(n, []string{"script", "run"}) && (n.GetKey("trigger") != nil || len(wholePipelines(n.Get("needs"))) > 0)
}

// wholePipelines are the entries of needs that name a pipeline and none of its
// jobs: the form of trigger jobs (specification 14.1).
func wholePipelines(needs *syntax.Node) (entries []*syntax.Node) {
	if needs == nil {
		return nil
	}
	items := []*syntax.Node{needs}
	if needs.Kind == syntax.Sequence {
		items = needs.Items
	}
	for _, item := range items {
		if item.GetKey("pipeline") != nil && item.GetKey("job") == nil && item.GetKey("project") == nil {
			entries = append(entries, item)
		}
	}
	return entries
}

// triggerJob decodes a trigger job (specification 4, 28).
func (d *decoder) triggerJob(dr *draft, n *syntax.Node) {
	d.fields(n, inTriggerJob, "", func(key, value *syntax.Node) {
		switch key.Value {
		case "trigger":
			dr.Trigger = d.trigger(value)
		case "needs":
			d.triggerNeeds(dr, value)
		case "when":
			d.triggerWhen(dr, value)
		case "allow_failure":
			allowed := d.boolean(value, key.Value)
			dr.AllowFailure = &allowed
		default:
			d.jobKeyword(dr, key, value)
		}
	})
	d.exclusions(n)
	if keywords := d.inheritance(dr.Job, n.Get("inherit")); !specified(n.Get("interruptible")) &&
		(keywords == nil || slices.Contains(*keywords, "interruptible")) {
		dr.Interruptible = d.defaults.Interruptible
	}
	if key := n.GetKey("trigger"); key != nil && !specified(n.Get("trigger")) && len(wholePipelines(n.Get("needs"))) == 0 {
		d.fail(CodeMissing, key, `"trigger" must not be empty`)
	}
	if dr.Trigger == nil { // after an error, which is reported
		dr.Trigger = &Trigger{}
	}
	dr.Trigger.Pos = dr.Pos
	if key := n.GetKey("trigger"); key != nil {
		dr.Trigger.Pos = key.Pos
	}
}

func (d *decoder) triggerWhen(dr *draft, n *syntax.Node) {
	if n.Kind == syntax.String && n.Value == "delayed" {
		d.fail(CodeValue, n, `a trigger job cannot be delayed by "when"`).Help = `"rules" may delay it: {when: delayed, start_in: ...}`
		return
	}
	if n.Kind == syntax.String && n.Value == "never" {
		dr.When = d.when(n)
		return
	}
	dr.When, _ = d.word(n, "when", triggerWhen)
}

// triggerNeeds decodes the needs of a trigger job: jobs of its own pipeline, or the
// pipeline of another project whose status it takes over.
func (d *decoder) triggerNeeds(dr *draft, n *syntax.Node) {
	whole := wholePipelines(n)
	own := &syntax.Node{Kind: syntax.Sequence, Pos: n.Pos}
	items := []*syntax.Node{n}
	if n.Kind == syntax.Sequence {
		items = n.Items
	}
	for _, item := range items {
		if slices.Contains(whole, item) {
			continue
		}
		key := item.GetKey("pipeline")
		if key == nil {
			key = item.GetKey("project")
		}
		if key != nil {
			d.fail(CodeConflict, key, "a trigger job cannot need a job of another pipeline").Help =
				"it downloads no artifacts; let a job of the child pipeline need it"
			continue
		}
		own.Items = append(own.Items, item)
	}
	switch {
	case len(whole) == 0 && n.Kind != syntax.Sequence && n.Kind != syntax.Mapping:
		d.needs(n)
	case len(whole) == 0 || len(own.Items) > 0:
		dr.needs = d.needs(own)
	}
	for i, entry := range whole {
		d.wholePipeline(dr, entry, i)
	}
}

// wholePipeline decodes one entry of needs that names a pipeline.
func (d *decoder) wholePipeline(dr *draft, n *syntax.Node, place int) {
	if place > 0 {
		d.fail(CodeConflict, n, "a trigger job can take over the status of one pipeline only")
		return
	}
	t := &Trigger{}
	d.fields(n, inNeed, "needs", func(key, value *syntax.Node) {
		if key.Value != "pipeline" {
			d.fail(CodeConflict, key, "%q belongs to a need of a job, and this is one of a pipeline", key.Value)
			return
		}
		t.Upstream = d.project(value, path("needs", key.Value))
	})
	if dr.Trigger == nil {
		dr.Trigger = t
		return
	}
	d.fail(CodeConflict, n, `a trigger job has either "trigger" or the need of a pipeline`)
}

// trigger decodes the keyword trigger, nil after an error in its type.
func (d *decoder) trigger(n *syntax.Node) *Trigger {
	t := &Trigger{ForwardYAML: true}
	if n.Kind == syntax.String {
		t.Project = d.project(n, "trigger")
		return t
	}
	ok := d.fields(n, inTrigger, "trigger", func(key, value *syntax.Node) {
		switch what := path("trigger", key.Value); key.Value {
		case "project":
			t.Project = d.project(value, what)
		case "branch":
			t.Branch, _ = d.filledText(value, what)
		case "include":
			t.Include = d.childFiles(value, what)
		case "strategy":
			word, _ := d.word(value, what, strategies)
			t.Strategy = word.Value
		case "inputs":
			if t.Inputs = value; value.Kind != syntax.Mapping {
				d.wrongType(value, what, "a mapping")
			}
		case "forward":
			d.forward(t, value)
		}
	})
	switch {
	case !ok:
		d.wrongType(n, "trigger", "a string or a mapping")
		return nil
	case specified(n.Get("include")):
		d.exclude(n, "include", "project", "branch")
		if specified(n.Get("inputs")) {
			d.exclude(n, "include", "inputs").Help = "give inputs to each entry of include"
		}
	case !hasUnknown(n, inTrigger):
		d.requireOne(n, "trigger", "project", "include")
	}
	return t
}

// requireOne reports a mapping that has none of some keywords.
func (d *decoder) requireOne(n *syntax.Node, what string, names ...string) {
	for _, name := range names {
		if specified(n.Get(name)) {
			return
		}
	}
	d.fail(CodeMissing, n, "%s must have %s", subject(what), quotedOr(names))
}

// project decodes the path of a project.
func (d *decoder) project(n *syntax.Node, what string) Text {
	t, ok := d.filledText(n, what)
	if ok && !projectPath.MatchString(t.Value) {
		d.fail(CodeValue, n, "%s must be the path of a project, GROUP/PROJECT, not %q", subject(what), t.Value)
	}
	return t
}

func (d *decoder) forward(t *Trigger, n *syntax.Node) {
	ok := d.fields(n, inForward, "trigger:forward", func(key, value *syntax.Node) {
		yes := d.boolean(value, path("trigger:forward", key.Value))
		if key.Value == "yaml_variables" {
			t.ForwardYAML = yes
		} else {
			t.ForwardGiven = yes
		}
	})
	if !ok {
		d.wrongType(n, "trigger:forward", "a mapping")
	}
}

// childFiles decodes trigger:include: a path or a list.
func (d *decoder) childFiles(n *syntax.Node, what string) (files []ChildFile) {
	switch {
	case n.Kind == syntax.String:
		if t, ok := d.filledText(n, what); ok {
			files = append(files, ChildFile{Place: t, Kind: placeOf(t.Value), Node: n})
		}
		return files
	case n.Kind != syntax.Sequence:
		d.wrongType(n, what, "a string or a list of mappings")
		return nil
	case len(n.Items) == 0:
		d.fail(CodeMissing, n, "%q must not be empty", what)
	case len(n.Items) > maxChildFiles:
		d.fail(CodeLimit, n, "%q has at most %d entries, this list has %d", what, maxChildFiles, len(n.Items))
	}
	for _, item := range n.Items {
		if item.Kind == syntax.String {
			files = append(files, d.childFiles(item, what+"[]")...)
		} else if f, ok := d.childFile(item, what); ok {
			files = append(files, f)
		}
	}
	return files
}

// placeOf says what a plain text means: as for include, an address or a local file.
func placeOf(text string) string {
	if strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
		return "remote"
	}
	return "local"
}

// childFile decodes an entry of trigger:include.
func (d *decoder) childFile(n *syntax.Node, what string) (f ChildFile, ok bool) {
	f.Node = n
	places := 0
	ok = d.fields(n, inChildFile, what, func(key, value *syntax.Node) {
		what := path(what, key.Value)
		switch key.Value {
		case "job":
			f.Job, _ = d.filledText(value, what)
		case "ref":
			d.filledText(value, what)
		case "file":
			d.childProjectFiles(value, what)
		case "inputs":
			if value.Kind != syntax.Mapping {
				d.wrongType(value, what, "a mapping")
			}
		default:
			f.Place, _ = d.filledText(value, what)
			f.Kind = key.Value
			places++
		}
	})
	if !ok {
		d.wrongType(n, what+"[]", "a mapping")
		return f, false
	}
	for _, pair := range [][2]string{{"file", "project"}, {"ref", "project"}, {"job", "artifact"}} {
		if key := n.GetKey(pair[0]); key != nil && f.Kind != pair[1] && places == 1 {
			d.fail(CodeConflict, key, "%q belongs to %q", pair[0], path(what, pair[1]))
		}
	}
	switch {
	case hasUnknown(n, inChildFile):
	case places == 0:
		d.requireOne(n, what+"[]", childPlaces...)
	case places > 1:
		d.fail(CodeConflict, n, "each entry of %q names one place", what)
	case f.Kind == "artifact":
		d.require(n, inChildFile, what+"[]", "job")
	case f.Kind == "project":
		d.require(n, inChildFile, what+"[]", "file")
	}
	return f, true
}

// childProjectFiles checks the files of another project: a path or a list.
func (d *decoder) childProjectFiles(n *syntax.Node, what string) {
	if n.Kind == syntax.Sequence {
		d.texts(n, what, d.filledText)
	} else {
		d.filledText(n, what)
	}
}

// quotedOr lists names as a sentence does: "a", "b" or "c".
func quotedOr(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = strconv.Quote(name)
	}
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " or " + list[last]
}
