package compile

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// Dynamic is a child pipeline that is compiled when its trigger job runs.
type Dynamic struct {
	// Trigger is the full name of the trigger job; Depth is how many pipelines stand
	// above the one that it is of.
	Trigger string
	Depth   int
	// Above are the other projects of which pipelines are that stand above.
	Above   []*plan.Project
	Include []plan.ChildFile
	// Given are the variables of the child pipeline; none is a template.
	Given plan.Variables
	// Artifact reads a file that a job has made, and names it for diagnostics.
	Artifact func(job, path string) (name string, data []byte, err error)
}

// includeName stands in diagnostics for the entries of trigger:include, of which the
// plan does not say where they were.
const includeName = "trigger:include"

// CompileChild compiles a dynamic child pipeline, as a plan by itself. o are the
// options of the plan's own pipeline, of which the file is not read. See [Compile].
func CompileChild(o Options, d Dynamic) (result *Result, found syntax.ErrorList, sources map[string][]byte) {
	sources = map[string][]byte{}
	top, found := newEnvironment(o)
	if d.Depth >= plan.MaxDepth {
		found = append(found, &syntax.Error{Code: codeChildDepth,
			Msg: fmt.Sprintf("job %q starts a child pipeline more than %d deep", d.Trigger, plan.MaxDepth)})
	}
	text, err := d.entries()
	if err != nil {
		found = append(found, &syntax.Error{Code: codePlan, Msg: err.Error()})
	}
	if found.HasErrors() {
		return nil, found, sources
	}
	sources[includeName] = text
	entries, found := syntax.Parse(includeName, text)
	if found.HasErrors() {
		return nil, found, sources
	}
	top.depth, top.above = d.Depth, d.Above
	pos := syntax.Pos{File: includeName, Line: 1, Col: 1}
	o.descend(top, d.Given, &childFiles{trigger: d.Trigger, pos: pos, entries: entries.Root.Get("include"), artifact: d.Artifact}, d.Trigger)
	result, found = build(o, sources)
	for _, e := range found {
		if e.Code == codeLeftOutChild { // which is no fault, and nothing to run either
			e.Pos, e.Len, e.Msg = pos, 1, "the files of the child pipeline are left out"
		}
	}
	found = judge(found, o.Warnings, sources)
	return pass(&found, func() (*Result, syntax.ErrorList) { return finish(result, found, o) }), found, sources
}

// entries is the text of trigger:include: an entry a line.
func (d *Dynamic) entries() ([]byte, error) {
	lines := []string{"include:"}
	for _, f := range d.Include {
		entry := map[string]any{}
		for key, value := range map[string]string{
			"local": f.Local, "template": f.Template, "remote": f.Remote, "component": f.Component,
			"project": f.Project, "file": f.File, "ref": f.Ref, "artifact": f.Artifact, "job": f.Job,
		} {
			if value != "" {
				entry[key] = value
			}
		}
		if f.Inputs != nil {
			inputs := map[string]json.RawMessage{}
			for name, value := range f.Inputs {
				inputs[name] = json.RawMessage(value)
			}
			entry["inputs"] = inputs
		}
		line, err := json.Marshal(entry) // by key, so that the same gives the same bytes
		if err != nil {
			return nil, err
		}
		lines = append(lines, "- "+string(line))
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}
