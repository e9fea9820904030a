package pipeline

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReadme holds the README's table of keywords equal to the table of the code:
//
//	go test ./compile/pipeline -run TestReadme -update
func TestReadme(t *testing.T) {
	const file, begin, end = "../../README.md", "<!-- keywords: written by go test ./compile/pipeline -update -->\n", "<!-- end of keywords -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	table, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the table of keywords", file)
	}
	want := keywordTable()
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, table); diff != "" {
		t.Errorf("the table of keywords in the README is not that of the code (-code +README); run with -update\n%s", diff)
	}
}

func keywordTable() string {
	var b strings.Builder
	b.WriteString("| where | carried out | ignored with a warning | refused |\n|---|---|---|---|\n")
	for _, p := range Places() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.Name, quotedNames(p.Done), quotedNames(p.Ignored), quotedNames(p.Refused))
	}
	return b.String()
}

func quotedNames(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = "`" + name + "`"
	}
	return strings.Join(quoted, " ")
}

// TestEveryScopeIsAPlace: each scope is a place once.
func TestEveryScopeIsAPlace(t *testing.T) {
	var all scope
	for _, p := range places {
		if all&p.scope != 0 || p.scope&(p.scope-1) != 0 || p.name == "" {
			t.Errorf("place %q", p.name)
		}
		all |= p.scope
	}
	if all != scopeEnd-1 {
		t.Errorf("places are missing: %b", (scopeEnd-1)&^all)
	}
}

// TestSchemaCoversKeywords: the schema has each keyword of each place, and shapes
// for no others.
func TestSchemaCoversKeywords(t *testing.T) {
	s, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, p := range places {
		def, ok := s["$defs"].(Object)[placeNames[p.scope]].(Object)
		if p.scope == inPipeline {
			def, ok = s, true
		}
		if !ok || placeNames[p.scope] == "" {
			t.Errorf("%s is not in the schema", p.name)
			continue
		}
		for _, name := range vocabularies[p.scope].names {
			used[name] = true
			if def["properties"].(Object)[name] == nil {
				t.Errorf("%q of %s is not in the schema", name, p.name)
			}
			if byPlace := placeShapes[name]; byPlace != nil && shapes[name] != nil {
				t.Errorf("%q has two shapes", name)
			}
		}
		if properties := def["properties"].(Object); len(properties) != len(vocabularies[p.scope].names) {
			t.Errorf("%s has keywords in the schema that the language has not", p.name)
		}
	}
	for name := range shapes {
		if !used[name] {
			t.Errorf("the shape of %q is for no keyword", name)
		}
	}
	for name, byPlace := range placeShapes {
		for at := range byPlace {
			if vocabularies[at].known[name] == nil {
				t.Errorf("the shape of %q is for a place that has no such keyword", name)
			}
		}
	}
}
