package plan

import (
	"encoding/json"
	"reflect"
)

var (
	triggerKinds = []string{TriggerChild, TriggerDynamic, TriggerExternal, TriggerImpossible}
	strategies   = []string{"", "depend", "mirror"}
)

// triggerJob checks a job that starts a pipeline: it has nothing that belongs to
// a script.
func (v *validator) triggerJob(s scope, j *Job) {
	rest := *j
	rest.Name, rest.Pipeline, rest.Stage, rest.Rules, rest.Trigger = "", "", "", "", nil
	rest.Variables, rest.Needs, rest.AfterStages, rest.DotenvFrom = nil, nil, false, nil
	rest.When, rest.ManualConfirmation, rest.StartIn, rest.AllowFailure = "", "", 0, false
	rest.ResourceGroup, rest.Environment, rest.Matrix, rest.Interruptible = nil, nil, nil, false
	for _, l := range leavesOf(rest) {
		if l.path != "name" && l.path != "stage" && l.path != "when" {
			s.field(l.path).fail("a trigger job has none")
		}
	}
	s.field("variables").variables(j.Variables)
	s.field("matrix").variables(j.Matrix)
	v.control(s, j)
	v.environment(s, j)
	s.field("trigger").trigger(j)
}

func (s scope) trigger(j *Job) {
	t := j.Trigger
	s.field("kind").word(t.Kind, triggerKinds...)
	s.field("strategy").word(t.Strategy, strategies...)
	for _, text := range []struct {
		name string
		text *Text
	}{{"project", t.Project}, {"branch", t.Branch}} {
		if text.text != nil {
			s.field(text.name).required(*text.text)
			s.field(text.name).line(text.text.Value)
		}
	}
	if t.Kind == TriggerChild && t.Project != nil && t.Branch == nil {
		s.field("branch").fail("must say what of the project is run")
	}
	if unmade := t.Kind == TriggerExternal || t.Kind == TriggerImpossible; unmade != (t.Reason != "") {
		s.field("reason").fail("it belongs to the kinds %s and %s", TriggerExternal, TriggerImpossible)
	}
	s.field("reason").line(t.Reason)
	if t.Kind != TriggerDynamic {
		if len(t.Variables) > 0 || t.ForwardReports {
			s.field("variables").fail("they, and dotenv reports, are for the kind %s", TriggerDynamic)
		}
	} else if len(t.Include) == 0 {
		s.field("include").fail("must not be empty")
	}
	s.field("variables").variables(t.Variables)
	for i, f := range t.Include {
		s.element("include", i).childFile(f, j)
	}
}

// childFile checks a file of a child pipeline. A file that a job makes must be one
// that the job waits for, and none of a plan that is made already.
func (s scope) childFile(f ChildFile, j *Job) {
	places := 0
	for _, place := range []string{f.Local, f.Template, f.Remote, f.Component, f.Project, f.Artifact} {
		if place != "" {
			places++
		}
	}
	if places != 1 || (f.Project != "") != (f.File != "") || (f.Artifact != "") != (f.Job != "") || f.Ref != "" && f.Project == "" {
		s.fail("want exactly one of local, template, remote, component, project with file, and artifact with job")
	}
	for i := range reflect.TypeFor[ChildFile]().NumField() {
		if v := reflect.ValueOf(f).Field(i); v.Kind() == reflect.String {
			s.line(v.String())
		}
	}
	for _, name := range sortedKeys(f.Inputs) {
		at := s.field("inputs").key(name)
		at.named(name)
		at.text(f.Inputs[name])
		if !json.Valid([]byte(f.Inputs[name])) {
			at.fail("%s is no JSON", quote(f.Inputs[name]))
		}
	}
}
