package pipeline

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cic-ci/cic/compile/syntax"
)

// parse returns the tree of a pipeline whose YAML is right.
func parse(t testing.TB, source string) *syntax.Node {
	t.Helper()
	file, errs := syntax.Parse("ci.yml", []byte(source))
	if errs.HasErrors() {
		t.Fatalf("%s\nis not the YAML of a test: %s", source, report(errs))
	}
	return file.Root
}

// report lists diagnostics whole, one a line: place, length, severity, code,
// text, label, notes and help.
func report(errs syntax.ErrorList) string {
	var b strings.Builder
	for _, e := range errs {
		severity := "error"
		if e.Severity == syntax.SeverityWarning {
			severity = "warning"
		}
		fmt.Fprintf(&b, "%d:%d+%d %s %s: %s\n", e.Pos.Line, e.Pos.Col, e.Len, severity, e.Code, e.Msg)
		if e.Label != "" {
			fmt.Fprintf(&b, "  label: %s\n", e.Label)
		}
		for _, n := range e.Notes {
			if n.Pos.IsValid() {
				fmt.Fprintf(&b, "  note %d:%d: %s\n", n.Pos.Line, n.Pos.Col, n.Msg)
			} else {
				fmt.Fprintf(&b, "  note: %s\n", n.Msg)
			}
		}
		if e.Help != "" {
			fmt.Fprintf(&b, "  help: %s\n", e.Help)
		}
	}
	return b.String()
}

// job decodes a pipeline of one job, "j", whose lines are given; each follows
// "script: [x]" on line 2.
func job(t *testing.T, lines string) *Job {
	t.Helper()
	p, errs := Decode(parse(t, jobSource(lines)))
	if len(errs) > 0 {
		t.Fatalf("%s\n%s", jobSource(lines), report(errs))
	}
	return p.Jobs[0]
}

func jobSource(lines string) string {
	return "j:\n  script: [x]\n  " + strings.ReplaceAll(lines, "\n", "\n  ") + "\n"
}

var update = flag.Bool("update", false, "write the diagnostics that were found into testdata")

// TestDiagnostics decodes each NAME.yml of testdata and compares all diagnostics
// with NAME.txt beside it.
func TestDiagnostics(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives in testdata: %v", err)
	}
	for _, file := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i+1 < len(archive.Files); i += 2 {
				diagnose(t, &archive.Files[i], &archive.Files[i+1])
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func diagnose(t *testing.T, source, want *txtar.File) {
	t.Helper()
	name := strings.TrimSuffix(source.Name, ".yml")
	if want.Name != name+".txt" {
		t.Fatalf("%s.yml is followed by %s", name, want.Name)
	}
	_, errs := Decode(parse(t, string(source.Data)))
	got := report(errs)
	if *update {
		want.Data = []byte(got)
	}
	if diff := cmp.Diff(string(want.Data), got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", name, diff)
	}
}

// TestNoMapping: Parse gives Decode no such tree, but Decode does not rely on it.
func TestNoMapping(t *testing.T) {
	for _, c := range []struct {
		root *syntax.Node
		want string
	}{
		{nil, "0:0+1 error CIC2104: a pipeline must be a mapping, not empty\n"},
		{&syntax.Node{Kind: syntax.Sequence}, "0:0+1 error CIC2104: a pipeline must be a mapping, not a list\n"},
	} {
		if p, errs := Decode(c.root); p == nil || report(errs) != c.want {
			t.Errorf("got %swant %s", report(errs), c.want)
		}
	}
}

// TestJobOfDiagnostic: a diagnostic knows its job; what jobs share is reported
// once, for the first of them.
func TestJobOfDiagnostic(t *testing.T) {
	_, errs := Decode(parse(t, `
image: ''
a: &a
  script: [x]
  retry: 9
b: *a
c:
  script: [x]
  when: never
d:
  stage: test
`))
	var jobs []string
	for _, e := range errs {
		jobs = append(jobs, e.Job)
	}
	if diff := cmp.Diff([]string{"", "a", "c", "d"}, jobs); diff != "" {
		t.Errorf("(-want +got)\n%s\n%s", diff, report(errs))
	}
}
