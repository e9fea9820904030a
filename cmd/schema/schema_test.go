package schema

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cic-ci/cic/compile/lint"
	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// compiled checks that a text is a schema and makes it usable.
func compiled(t *testing.T, text []byte, err error) *jsonschema.Schema {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func instance(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// full fills every field of a value, two levels of lists and maps included.
func full(v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
		return
	case *exec.Status:
		*x = exec.StatusFailed
		return
	case *exec.Class:
		*x = exec.ClassOOM
		return
	case *exec.EventType:
		*x = exec.EventJobFinished
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		full(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if tag := v.Type().Field(i).Tag.Get("json"); tag != "-" {
				full(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		full(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		full(key)
		full(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1.5)
	}
}

// TestFullValues: every field of the types is in their schema, and nothing else
// may be.
func TestFullValues(t *testing.T) {
	var p plan.Plan
	var e exec.Event
	var l lint.Report
	full(reflect.ValueOf(&p).Elem())
	full(reflect.ValueOf(&l).Elem())
	full(reflect.ValueOf(&e).Elem())
	e.Version = exec.EventVersion
	planText, err := Plan()
	plans := compiled(t, planText, err)
	eventText, err := Events()
	events := compiled(t, eventText, err)
	lintText, err := Lint()
	reports := compiled(t, lintText, err)
	for _, test := range []struct {
		schema *jsonschema.Schema
		value  any
	}{{plans, &p}, {events, &e}, {reports, &l}} {
		text, err := json.Marshal(test.value)
		if err != nil {
			t.Fatal(err)
		}
		if err := test.schema.Validate(instance(t, text)); err != nil {
			t.Errorf("%#v", err)
		}
		wrong := instance(t, text).(map[string]any)
		wrong["surprise"] = true
		if test.schema.Validate(wrong) == nil {
			t.Error("an unknown field is accepted")
		}
		for _, field := range []string{"version", "format_version"} {
			delete(wrong, field)
		}
		delete(wrong, "surprise")
		if test.schema.Validate(wrong) == nil {
			t.Error("a missing version is accepted")
		}
	}
}

// TestRun validates every event of a run, output that is not UTF-8 included.
func TestRun(t *testing.T) {
	p := &plan.Plan{
		FormatVersion: plan.FormatVersion, Source: "ci.yml", Stages: []string{"s"}, Batches: [][]string{{"a", "b"}},
		Context: plan.Context{Ref: "main", RefType: "branch", Event: "push"},
	}
	for _, name := range []string{"a", "b"} {
		p.Jobs = append(p.Jobs, plan.Job{Name: name, Stage: "s", Image: plan.Image{Name: plan.Literal("alpine")}, When: "on_success", Timeout: 1,
			Script: plan.Script{Path: plan.ScriptPath(name), SHA256: strings.Repeat("0", 64), Shell: "sh"}})
	}
	var b bytes.Buffer
	w := exec.NewEventWriter(&b)
	e := exec.Executor{Runtime: exec.DryRun{}, Workspaces: exec.DryRun{}, Now: time.Now, Observer: w.Observe}
	if _, err := e.Run(t.Context(), p, func(plan.Script) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	w.Observe(exec.Event{Type: exec.EventJobOutput, Job: "a", Text: "caf\xe9 <b>"})
	if w.Err() != nil {
		t.Fatal(w.Err())
	}
	text, err := Events()
	s := compiled(t, text, err)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for _, line := range lines {
		if err := s.Validate(instance(t, []byte(line))); err != nil {
			t.Errorf("%s\n%v", line, err)
		}
	}
	last := lines[len(lines)-1]
	if len(lines) < 7 || !strings.HasPrefix(last, `{"version":1,`) || !strings.Contains(last, `"text":"caf�`+` <b>","text_bytes":"Y2Fm6SA8Yj4="`) {
		t.Errorf("%d lines, the last %s", len(lines), last)
	}
}

// TestWords holds the lists of words against the constants of package exec.
func TestWords(t *testing.T) {
	files, err := filepath.Glob("../../exec/*.go")
	if err != nil {
		t.Fatal(err)
	}
	lists := map[string][]string{"Status": statuses, "Class": classes, "EventType": eventTypes}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !spec.Names[0].IsExported() {
				return true
			}
			typ, ok := spec.Type.(*ast.Ident)
			value, literal := spec.Values[0].(*ast.BasicLit)
			if !ok || !literal || lists[typ.Name] == nil {
				return true
			}
			word, err := strconv.Unquote(value.Value)
			if found++; err != nil || !slices.Contains(lists[typ.Name], word) {
				t.Errorf("%s %s is not in the schema", typ.Name, value.Value)
			}
			return true
		})
	}
	if found < 20 {
		t.Errorf("only %d words were found", found)
	}
}

// TestPlan validates a plan with everything in it.
func TestPlan(t *testing.T) {
	text, err := os.ReadFile("../../plan/testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	schemaText, err := Plan()
	if err := compiled(t, schemaText, err).Validate(instance(t, text)); err != nil {
		t.Errorf("%#v", err)
	}
}
