package explain_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/cic-ci/cic/compile"
	"github.com/cic-ci/cic/compile/explain"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/syntax"
)

// codes are all codes of the compiler, and whether the comment that declares one
// says that it is a warning.
func codes(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../*/codes.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range append(files, "../codes.go") {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found[code] = strings.Contains(g.Doc.Text()+v.Doc.Text()+v.Comment.Text(), "warning")
			}
		}
	}
	return found
}

// TestCodes: each code has an explanation, and each explanation a code.
func TestCodes(t *testing.T) {
	known := codes(t)
	if len(known) < 80 {
		t.Fatalf("only %d codes were found", len(known))
	}
	last := ""
	for _, e := range explain.Entries() {
		warning, ok := known[e.Code]
		switch {
		case !ok:
			t.Errorf("%s is explained and does not exist", e.Code)
		case warning != e.Warning:
			t.Errorf("%s: warning %v in codes.go, %v in its explanation", e.Code, warning, e.Warning)
		case e.Code == last:
			t.Errorf("%s is explained twice", e.Code)
		}
		last = e.Code
		delete(known, e.Code)
	}
	for code := range known {
		t.Errorf("%s has no explanation: add it to a .md file of this directory", code)
	}
}

// compiled compiles an example and returns the codes found and whether there is a plan.
func compiled(t *testing.T, x *explain.Example) (found []string, done bool) {
	t.Helper()
	result, list, _ := compileExample(t, x)
	for _, d := range list {
		if d.Ignored == "" && !slices.Contains(found, d.Code) {
			found = append(found, d.Code)
		}
	}
	return found, result != nil
}

// compileExample compiles an example in a project that has its files and no others.
func compileExample(t *testing.T, x *explain.Example) (*compile.Result, syntax.ErrorList, map[string][]byte) {
	t.Helper()
	project := fstest.MapFS{}
	o := compile.Options{
		Source: explain.PipelineFile, Ref: "main",
		Changes: func(ref string) ([]string, bool, error) {
			if ref != "" {
				return nil, false, fmt.Errorf("%q %w", ref, compile.ErrNoRef)
			}
			return nil, false, nil
		},
		Vendored: func(resolve.Location) (string, []byte, error) { return "", nil, fs.ErrNotExist },
	}
	for _, f := range x.Files {
		project[f.Name] = &fstest.MapFile{Data: []byte(f.Text)}
		if f.Name == o.Source {
			o.Data = []byte(f.Text)
		}
	}
	o.Project = project
	for i := 0; i < len(x.Arguments); i++ {
		switch x.Arguments[i] {
		case "--posix":
			o.POSIX = true
		case "--lock": // one that has no image
			i++
			o.Lock, o.LockFile = map[string]string{}, x.Arguments[i]
		case "--stub-includes":
			o.StubIncludes = true
		case "--request":
			i++
			r, err := compile.ParseRequest(x.Arguments[i])
			if err != nil {
				t.Fatal(err)
			}
			o.Requests = append(o.Requests, r)
		default:
			t.Fatalf("the test does not know the argument %s", x.Arguments[i])
		}
	}
	return compile.Compile(o)
}

// wrong is the example of an entry that yields its code, one that is made where it would
// not fit on a page; nil for none.
func wrong(e *explain.Entry) *explain.Example {
	text, long := tooLong[e.Code]
	switch {
	case len(e.Wrong.Files) > 0:
		return &e.Wrong
	case long:
		return &explain.Example{Files: []explain.File{{Name: explain.PipelineFile, Text: text()}}}
	case e.Code == resolve.CodeIncludeLimit:
		return manyIncludes()
	case e.Code == "CIC3075":
		return manyChildren()
	}
	return nil
}

// TestExamples: a wrong example yields its code and no other, a right one none.
func TestExamples(t *testing.T) {
	for _, e := range explain.Entries() {
		if x := wrong(&e); x != nil {
			checkWrong(t, e, x)
		} else if !unreachable[e.Code] {
			t.Errorf("%s has no example", e.Code)
		}
		if len(e.Wrong.Files) == 0 {
			continue
		}
		if found, done := compiled(t, &e.Right); !done || len(found) > 0 {
			t.Errorf("%s: the right example yields %v", e.Code, found)
		}
	}
}

var update = flag.Bool("update", false, "rewrite the file of messages")

// TestMessages holds what is printed for the wrong example of each code, whole, so that
// a change of wording, place or form is seen in review.
func TestMessages(t *testing.T) {
	const golden = "testdata/messages.txt"
	var b bytes.Buffer
	for _, e := range explain.Entries() {
		x := wrong(&e)
		if x == nil {
			continue
		}
		_, list, sources := compileExample(t, x)
		fmt.Fprintf(&b, "-- %s --\n", e.Code)
		if err := list.Render(&b, sources, syntax.RenderOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(golden, want, "now", b.Bytes()); d != nil {
		t.Errorf("go test ./compile/explain -update rewrites it:\n%s", d)
	}
}

func checkWrong(t *testing.T, e explain.Entry, x *explain.Example) {
	t.Helper()
	if found, done := compiled(t, x); !slices.Equal(found, []string{e.Code}) || done != e.Warning {
		t.Errorf("%s: the wrong example yields %v", e.Code, found)
	}
}

// unreachable are the codes that no pipeline can show.
var unreachable = map[string]bool{
	"CIC4001": true, // a defect of the compiler
	"CIC3076": true, // CIC2024 comes with it
	"CIC3077": true, // it needs another project, given with --external; so do the next
	"CIC3078": true,
	"CIC3079": true,
}

const job = "build: {image: alpine, script: make}\n"

// tooLong makes the examples that would not fit on a page, or are no text.
var tooLong = map[string]func() string{
	"CIC1001": func() string { return job + "#" + strings.Repeat(" ", 2<<20) },
	"CIC1002": func() string { return job + "# caf\xe9\n" },
	"CIC1003": func() string { return job + "# \x07\n" },
	"CIC1008": func() string { return job + ".x: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n" },
	"CIC1012": func() string {
		text := job + ".a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
		for i := range 8 {
			text += fmt.Sprintf(".a%d: &a%[1]d [%s]\n", i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
		}
		return text
	},
	"CIC2008": func() string { return job + chain(12, ".e%d: {extends: .e%d}\n", ".e0: {image: alpine}\n") },
	"CIC2009": func() string {
		text := job + ".wide: {"
		for i := range 1000 {
			text += fmt.Sprintf("k%d: 1, ", i)
		}
		text += "k: 1}\n.bases: &bases [" + strings.Repeat(".wide, ", 1000) + ".wide]\n"
		for i := range 6 {
			text += fmt.Sprintf(".e%d: {extends: *bases}\n", i)
		}
		return text
	},
	"CIC2011": func() string { return job + chain(12, ".r%d: !reference [.r%d]\n", ".r0: [make]\n") },
	"CIC2012": func() string {
		text := job + ".r0: [x, x, x, x, x, x, x, x, x, x]\n"
		for i := range 8 {
			text += fmt.Sprintf(".r%d: [%s]\n", i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("!reference [.r%d], ", i), 10), ", "))
		}
		return text
	},
	"CIC2309": func() string {
		return "build: {image: alpine, parallel: 200, script: ['" + strings.Repeat("# "+strings.Repeat("x", 98), 5000) + "']}\n"
	},
	"CIC2317": func() string {
		return "build: {image: alpine, script: make, variables: {A: " + strings.Repeat("a", 2500) +
			"}, rules: [{if: '$A =~ /" + strings.Repeat("a{1000}", 31) + "/'}, {when: on_success}]}\n"
	},
	"CIC2318": func() string {
		return "build: {image: alpine, script: make, parallel: 200, rules: [{exists: [" +
			chain(49, "'"+strings.Repeat("{a,b}", 9)+"-$CI_JOB_NAME-%[1]d-"+strings.Repeat("x", 50)+"', ", "") + "x]}, {when: on_success}]}\n"
	},
	"CIC2319": func() string {
		return "build: {image: alpine, script: make, parallel: 200, rules: [" + strings.Repeat("{if: $A}, ", 2500) + "{if: $A}]}\n"
	},
	"CIC3015": func() string {
		text, names := "", ""
		for i := range 51 {
			text += fmt.Sprintf("b%d: {image: alpine, stage: build, script: make}\n", i)
			names += fmt.Sprintf("b%d, ", i)
		}
		return text + "test: {image: alpine, script: make, needs: [" + strings.TrimSuffix(names, ", ") + "]}\n"
	},
	"CIC3022": func() string { return "variables: {V: " + strings.Repeat("x", 200_000) + "}\n" + job },
	"CIC4003": func() string {
		text := ""
		for i := range 60 {
			text += fmt.Sprintf("  V%d: %s\n", i, strings.Repeat("x", 10_000))
		}
		return "variables:\n" + text + "build: {image: alpine, script: make, parallel: 200}\n"
	},
}

// manyChildren is an example with 1400 child pipelines.
func manyChildren() *explain.Example {
	matrix := func(name string, n int, file string) string {
		var values strings.Builder
		for i := range n {
			fmt.Fprintf(&values, "'%d', ", i)
		}
		return fmt.Sprintf("%s: {parallel: {matrix: [{N: [%s]}]}, trigger: {include: %s}}\n", name, strings.TrimSuffix(values.String(), ", "), file)
	}
	return &explain.Example{Files: []explain.File{
		{Name: explain.PipelineFile, Text: matrix("many", 200, "child.yml")},
		{Name: "child.yml", Text: matrix("more", 6, "leaf.yml")},
		{Name: "leaf.yml", Text: job},
	}}
}

func manyIncludes() *explain.Example {
	x := &explain.Example{Files: []explain.File{{Name: explain.PipelineFile, Text: "include: ci/*.yml\n" + job}}}
	for i := range resolve.MaxIncludes + 1 {
		x.Files = append(x.Files, explain.File{Name: fmt.Sprintf("ci/%d.yml", i), Text: ".x: 1\n"})
	}
	return x
}

// chain makes n entries, each of which leads to the one before.
func chain(n int, form, first string) string {
	text := first
	for i := range n {
		text += fmt.Sprintf(form, i+1, i)
	}
	return text
}
