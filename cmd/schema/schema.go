// Package schema describes what cic writes for other programs, plans, events and
// what lint finds, and the pipelines that it reads, as JSON Schema (draft 2020-12):
// made from the Go types themselves, and from the compiler's tables of keywords.
//
// A schema describes the form. What a plan must hold beyond that, such as that
// needs name jobs, is for [plan.Plan.Validate].
package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/cic-ci/cic/compile/lint"
	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

const dialect = "https://json-schema.org/draft/2020-12/schema"

// object is a JSON object; encoding/json writes its keys sorted.
type object = map[string]any

// Plan is the schema of plan.json.
func Plan() ([]byte, error) {
	s, err := document[plan.Plan]("A plan of cic, format "+plan.FormatVersion, nil)
	if err != nil {
		return nil, err
	}
	return encode(s)
}

// Events is the schema of an event of a run, of which cic exec --events writes
// one a line.
func Events() ([]byte, error) {
	s, err := document[exec.Event](fmt.Sprintf("An event of a run of cic, version %d", exec.EventVersion), []string{"version"})
	if err != nil {
		return nil, err
	}
	s["properties"].(object)["version"] = object{"const": exec.EventVersion}
	return encode(s)
}

// Lint is the schema of what cic lint --format json writes.
func Lint() ([]byte, error) {
	s, err := document[lint.Report]("What cic lint found, format "+lint.FormatVersion, nil)
	if err != nil {
		return nil, err
	}
	return encode(s)
}

// Pipeline is the schema of a pipeline file, for editors.
func Pipeline() ([]byte, error) {
	s, err := pipeline.Schema()
	if err != nil {
		return nil, err
	}
	return encode(s)
}

func encode(s object) ([]byte, error) {
	out, err := json.MarshalIndent(s, "", "  ")
	return append(out, '\n'), err
}

// document makes the schema of a struct, whose fields of these names are
// required although they may be left out elsewhere.
func document[T any](title string, required []string) (object, error) {
	g := &generator{defs: object{}}
	s, err := g.structure(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	s["$schema"], s["title"] = dialect, title
	if len(g.defs) > 0 {
		s["$defs"] = g.defs
	}
	s["required"] = append(required, s["required"].([]string)...)
	return s, nil
}

// special are the types that write their own JSON.
var special = map[reflect.Type]object{
	reflect.TypeFor[time.Time](): {"type": "string", "format": "date-time"},
	reflect.TypeFor[plan.Text](): {
		"description": "A text, or a template in which ${NAME} stands for a variable known at run time and $$ for $.",
		"oneOf": []object{
			{"type": "string"},
			{"type": "object", "properties": object{"template": object{"type": "string"}}, "required": []string{"template"}, "additionalProperties": false},
		},
	},
	reflect.TypeFor[plan.Variables](): {"type": "object", "additionalProperties": object{"$ref": "#/$defs/Text"}},
	reflect.TypeFor[[]byte]():         {"type": "string", "contentEncoding": "base64"},
	reflect.TypeFor[exec.Status]():    {"type": "string", "enum": statuses},
	reflect.TypeFor[exec.Class]():     {"type": "string", "enum": classes},
	reflect.TypeFor[exec.EventType](): {"type": "string", "enum": eventTypes},
}

// The words of package exec, which Go cannot list; a test holds them against its
// source.
var (
	statuses = []string{"created", "pending", "scheduled", "waiting_for_resource", "running", "success", "failed", "canceled",
		"skipped", "manual", "interrupted"}
	classes    = []string{"script", "timeout", "oom", "image_pull", "config", "system", "canceled", "child"}
	eventTypes = []string{"run_started", "job_waiting", "job_started", "job_output", "job_note", "job_retried", "job_finished",
		"job_requeued", "pipeline_started", "pipeline_finished", "run_finished"}
)

// generator makes schemas of types; those of named structs go to defs.
type generator struct{ defs object }

// of is the schema of a type.
func (g *generator) of(t reflect.Type) (object, error) {
	if s, ok := special[t]; ok {
		if t.Kind() != reflect.Struct && t.Kind() != reflect.Slice || t.Name() == "" {
			return s, nil
		}
		if t == reflect.TypeFor[plan.Variables]() {
			if _, err := g.of(reflect.TypeFor[plan.Text]()); err != nil {
				return nil, err
			}
		}
		g.defs[t.Name()] = s
		return reference(t), nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.Struct:
		return g.reference(t)
	case reflect.Slice:
		return g.list(t)
	case reflect.Map:
		return g.mapping(t)
	case reflect.String:
		return object{"type": "string"}, nil
	case reflect.Bool:
		return object{"type": "boolean"}, nil
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}, nil
	case reflect.Float64:
		return object{"type": "number"}, nil
	}
	return nil, fmt.Errorf("schema of %v: no such type is known", t)
}

func reference(t reflect.Type) object { return object{"$ref": "#/$defs/" + t.Name()} }

// reference refers to the definition of a struct, which it makes.
func (g *generator) reference(t reflect.Type) (object, error) {
	if _, made := g.defs[t.Name()]; !made {
		g.defs[t.Name()] = nil // it may refer to itself
		s, err := g.structure(t)
		if err != nil {
			return nil, err
		}
		g.defs[t.Name()] = s
	}
	return reference(t), nil
}

func (g *generator) list(t reflect.Type) (object, error) {
	items, err := g.of(t.Elem())
	return object{"type": "array", "items": items}, err
}

// mapping is a map from names; a pointer in it may be null.
func (g *generator) mapping(t reflect.Type) (object, error) {
	values, err := g.of(t.Elem())
	if t.Elem().Kind() == reflect.Pointer {
		values = object{"anyOf": []object{values, {"type": "null"}}}
	}
	return object{"type": "object", "additionalProperties": values}, err
}

// structure is the schema of a struct as encoding/json writes it.
func (g *generator) structure(t reflect.Type) (object, error) {
	properties, required := object{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "-" || !f.IsExported() {
			continue // the fields of an embedded struct are visible themselves
		}
		s, err := g.of(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t.Name(), f.Name, err)
		}
		properties[name] = s
		if options == "" {
			required = append(required, name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}, nil
}
