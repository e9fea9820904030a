package schema

import (
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/syntax"
)

// value is a tree of YAML as an editor sees it: a !reference is a list.
func value(n *syntax.Node) any {
	switch n.Kind {
	case syntax.Null:
		return nil
	case syntax.Bool:
		return n.Value == "true"
	case syntax.Int, syntax.Float:
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil {
			return f
		}
		return n.Value
	case syntax.Mapping:
		m := make(map[string]any, len(n.Pairs))
		for _, p := range n.Pairs {
			m[p.Key.Value] = value(p.Value)
		}
		return m
	case syntax.Sequence, syntax.Reference:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = value(item)
		}
		return list
	}
	return n.Value
}

func pipelineSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Pipeline()
	return compiled(t, text, err)
}

// TestPipelines validates every pipeline of the golden cases that decodes: as it is
// written, and with its includes, extends and references resolved.
func TestPipelines(t *testing.T) {
	s := pipelineSchema(t)
	cases, err := filepath.Glob("../../golden/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	runs, err := filepath.Glob("../../golden/run/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	valid := 0
	for _, name := range append(cases, runs...) {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		project := fstest.MapFS{}
		for _, f := range archive.Files {
			if fs.ValidPath(f.Name) {
				project[f.Name] = &fstest.MapFile{Data: f.Data}
			}
		}
		for _, f := range archive.Files {
			if !strings.HasSuffix(f.Name, ".yml") {
				continue
			}
			resolved := decodes(f, project)
			if resolved == nil {
				continue
			}
			valid++
			file, _ := syntax.Parse(f.Name, f.Data)
			for _, root := range []*syntax.Node{file.Root, resolved} {
				if err := s.Validate(value(root)); err != nil {
					t.Errorf("%s: %s: %v", name, f.Name, err)
				}
			}
		}
	}
	if valid < 50 {
		t.Errorf("only %d pipelines decode", valid)
	}
}

// decodes returns the resolved tree of a pipeline without errors, else nil.
func decodes(f txtar.File, project fs.FS) *syntax.Node {
	r, errs := resolve.Resolve(f.Name, f.Data, resolve.Options{
		Project: project, Stub: true,
		Exists:  func(resolve.PathClause) (bool, error) { return false, nil },
		Changed: func(resolve.PathClause) (bool, error) { return true, nil },
	})
	if errs.HasErrors() || r.Root == nil {
		return nil
	}
	if _, errs := pipeline.Decode(r.Root); errs.HasErrors() {
		return nil
	}
	return r.Root
}

// TestWrongPipelines: what the decoder refuses for its form, the schema refuses.
func TestWrongPipelines(t *testing.T) {
	s := pipelineSchema(t)
	for _, test := range []string{
		"stages: build",
		"default: {variables: {}}",
		"a: {script: 1}",
		"a: {script: [x], retry: 3}",
		"a: {script: [x], when: never}",
		"a: {script: [x], image: {nme: a}}",
		"a: {script: [x], image: [ruby]}",
		"a: {script: [x], rules: [{iff: $A}]}",
		"a: {script: [x], needs: [{job: a, optional: maybe}]}",
		"a: {script: [x], artifacts: {reports: {junt: a}}}",
		"a: {script: [x], cache: {policy: sync}}",
		"a: {script: [x], parallel: {matrix: [{A: {b: c}}]}}",
		"a: {script: [x], environment: {name: a, action: go}}",
		"a: {script: [x], allow_failure: {exit_codes: [one]}}",
		"a: {script: [x], variables: {A: [x]}}",
		"a: {script: [x], id_tokens: {A: {sub: x}}}",
		"a: {run: [{name: a, step: b}]}",
		"a: {script: [x], release: {tag_name: a, description: b, assets: {links: [{name: a, url: b, link_type: c}]}}}",
	} {
		file, errs := syntax.Parse("ci.yml", []byte(test))
		if errs.HasErrors() {
			t.Fatal(errs)
		}
		if s.Validate(value(file.Root)) == nil {
			t.Errorf("the schema accepts %s", test)
		}
		if _, errs := pipeline.Decode(file.Root); !errs.HasErrors() {
			t.Errorf("the decoder accepts %s", test)
		}
	}
}
