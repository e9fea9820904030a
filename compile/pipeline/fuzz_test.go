package pipeline

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cic-ci/cic/compile/syntax"
)

// FuzzDecode: no tree makes Decode panic, each diagnostic can be printed, and a
// pipeline without errors keeps the promises of the model.
func FuzzDecode(f *testing.F) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archives {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, a := range archive.Files {
			if strings.HasSuffix(a.Name, ".yml") {
				f.Add(a.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		file, errs := syntax.Parse("ci.yml", source)
		if file == nil || errs.HasErrors() {
			return
		}
		p, errs := Decode(file.Root)
		for _, e := range errs {
			if e.Code == "" || e.Msg == "" || !e.Pos.IsValid() || e.Len < 1 {
				t.Errorf("diagnostic %+v", e)
			}
		}
		if !errs.HasErrors() {
			checkPromises(t, p)
		}
	})
}

func checkPromises(t *testing.T, p *Pipeline) {
	t.Helper()
	if len(p.Jobs) == 0 {
		t.Error("no job and no error")
	}
	names := make(map[string]bool)
	for _, j := range p.Jobs {
		if names[j.Name] {
			t.Errorf("two jobs %q", j.Name)
		}
		names[j.Name] = true
		if j.Stage.Value == "" || j.Trigger == nil && len(j.Script)+len(j.Steps) == 0 || j.NodeTotal < 1 || !j.Pos.IsValid() {
			t.Errorf("job %+v", j)
		}
		for _, v := range j.Variables {
			if !isIdentifier(v.Name) || strings.ContainsRune(v.Value, 0) {
				t.Errorf("variable %+v", v)
			}
		}
	}
}

// generate makes a pipeline of n jobs of usual size.
func generate(n int) string {
	var b strings.Builder
	b.WriteString("default: {image: alpine, retry: 1}\nvariables: {A: b}\n")
	for i := range n {
		fmt.Fprintf(&b, "job-%d:\n  stage: build\n  variables: {N: '%d'}\n  script:\n    - echo %d\n    - make\n"+
			"  rules:\n    - if: $A\n      when: on_success\n  artifacts:\n    paths: [out/]\n", i, i, i)
		if i > 0 {
			fmt.Fprintf(&b, "  needs: [job-%d]\n", i/2)
		}
	}
	return b.String()
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			root := parse(b, generate(n))
			b.ReportAllocs()
			for b.Loop() {
				if p, errs := Decode(root); len(errs) > 0 || len(p.Jobs) != n {
					b.Fatal(report(errs))
				}
			}
		})
	}
}
