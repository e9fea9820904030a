package plan

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// scriptsOf returns the scripts of a plan made by this package's tests.
func scriptsOf(p *Plan) map[string][]byte {
	scripts := make(map[string][]byte)
	for i := range p.Jobs {
		scripts[p.Jobs[i].Script.Path] = []byte(testScript)
		if after := p.Jobs[i].AfterScript; after != nil {
			scripts[after.Path] = []byte(testScript)
		}
	}
	return scripts
}

func testMap() *SourceMap {
	return &SourceMap{FormatVersion: FormatVersion, Files: []string{"ci.yml"}, Scripts: map[string][]MapLine{"jobs/build.sh": {{2, 0, 3}}}}
}

// tree lists the files below dir with their content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		rel = filepath.ToSlash(rel)
		if !d.Type().IsRegular() {
			files[rel] = d.Type().String()
			return nil
		}
		data, err := os.ReadFile(path)
		files[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestWriteAndReadDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "plan")
	p := plain(t)
	if err := WriteDir(dir, p, scriptsOf(p), testMap()); err != nil {
		t.Fatal(err)
	}
	files := tree(t, dir)
	want := []string{"jobs", "jobs/build.sh", "jobs/deploy.sh", "jobs/lint.sh", p.Jobs[2].AfterScript.Path, p.Jobs[2].Script.Path, "plan.json", "plan.map.json"}
	if got := sortedKeys(files); !slices.Equal(got, want) {
		t.Errorf("files %q", got)
	}
	for _, path := range []string{dir, filepath.Join(dir, "plan.json")} {
		d, err := ReadDir(path)
		if err != nil {
			t.Fatal(err)
		}
		if d.Plan.Name != "demo" || d.Map == nil || len(d.Warnings) > 0 {
			t.Errorf("%+v", d)
		}
		for _, j := range d.Plan.Jobs {
			if body, err := d.Script(j.Script); err != nil || string(body) != testScript {
				t.Errorf("%q %v", body, err)
			}
		}
		if body, err := d.ScriptAt(p.Jobs[2].AfterScript.Path); err != nil || string(body) != testScript {
			t.Errorf("%q %v", body, err)
		}
		if _, err := d.ScriptAt("jobs/nobody.sh"); err == nil {
			t.Error("found what is not there")
		}
	}
}

// TestWriteDirReplaces: what an earlier plan had and the new one has not is gone.
func TestWriteDirReplaces(t *testing.T) {
	dir := t.TempDir() // empty: taken as it is
	p := plain(t)
	if err := WriteDir(dir, p, scriptsOf(p), testMap()); err != nil {
		t.Fatal(err)
	}
	small := assemble(t, simple("only", "build"))
	for range 2 {
		if err := WriteDir(dir, small, scriptsOf(small), nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := sortedKeys(tree(t, dir)); !slices.Equal(got, []string{"jobs", "jobs/only.sh", "plan.json"}) {
		t.Errorf("files %q", got)
	}
	// What a killed run left is cleared away, even if it had taken plan.json out.
	leftover := filepath.Join(dir, staging+"123", "old")
	if err := os.MkdirAll(leftover, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "plan.json"), filepath.Join(leftover, "plan.json")); err != nil {
		t.Fatal(err)
	}
	if err := WriteDir(dir, small, scriptsOf(small), nil); err != nil {
		t.Fatal(err)
	}
	if got := sortedKeys(tree(t, dir)); !slices.Equal(got, []string{"jobs", "jobs/only.sh", "plan.json"}) {
		t.Errorf("files %q", got)
	}
}

func TestWriteDirRefusesForeign(t *testing.T) {
	p := assemble(t, simple("only", "build"))
	for _, test := range []struct {
		name string
		make func(dir string) error
		want string
	}{
		{"a file", func(dir string) error { return os.WriteFile(filepath.Join(dir, "main.go"), nil, 0o644) }, "main.go"},
		{"a hidden file", func(dir string) error { return os.WriteFile(filepath.Join(dir, ".env"), nil, 0o644) }, ".env"},
		{"somebody's plan.json", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "plan.json"), []byte(`{"format_version": "1.0"}`), 0o644)
		}, "plan.json"},
		{"jobs without a plan", func(dir string) error { return os.Mkdir(filepath.Join(dir, "jobs"), 0o755) }, "jobs"},
		{"beside a plan", func(dir string) error {
			return errors.Join(WriteDir(dir, p, scriptsOf(p), nil), os.WriteFile(filepath.Join(dir, "README"), nil, 0o644))
		}, "README"},
		{"among the scripts", func(dir string) error {
			return errors.Join(WriteDir(dir, p, scriptsOf(p), nil), os.WriteFile(filepath.Join(dir, "jobs", "notes.txt"), nil, 0o644))
		}, filepath.Join("jobs", "notes.txt")},
		{"a directory among the scripts", func(dir string) error {
			return errors.Join(WriteDir(dir, p, scriptsOf(p), nil), os.Mkdir(filepath.Join(dir, "jobs", "x.sh"), 0o755))
		}, filepath.Join("jobs", "x.sh")},
		{"a directory as plan", func(dir string) error { return os.Mkdir(filepath.Join(dir, "plan.json"), 0o755) }, "plan.json"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := test.make(dir); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			err := WriteDir(dir, p, scriptsOf(p), nil)
			if err == nil || !strings.Contains(err.Error(), quote(filepath.Join(dir, test.want))+" is not of a plan") {
				t.Errorf("got %v", err)
			}
			same(t, before, tree(t, dir))
		})
	}
}

func same(t *testing.T, want, got map[string]string) {
	t.Helper()
	if !slices.Equal(sortedKeys(want), sortedKeys(got)) {
		t.Errorf("the directory changed from %q to %q", sortedKeys(want), sortedKeys(got))
		return
	}
	for _, name := range sortedKeys(want) {
		if want[name] != got[name] {
			t.Errorf("%s changed", name)
		}
	}
}

// TestCRLF: a script whose lines end in CR LF is refused, be it what the plan says or
// not; one that holds these characters in its text is as good as any.
func TestCRLF(t *testing.T) {
	for _, test := range []struct {
		name, text, want string
	}{
		{"lines", "#!/bin/sh\r\ntrue\r\n", `"jobs/only.sh": has CRLF line endings: the plan has sha256 `},
		{"a value", "#!/bin/sh\nexport H='a\r\nb'\n", ""},
	} {
		p := assemble(t, simple("only", "build"))
		path := p.Jobs[0].Script.Path
		p.Jobs[0].Script.SHA256 = digest([]byte(test.text))
		files := map[string][]byte{path: []byte(test.text)}
		if err := WriteDir(filepath.Join(t.TempDir(), "plan"), p, files, nil); (err != nil) != (test.want != "") {
			t.Errorf("%s: written: %v", test.name, err)
		}
		_, err := (&Dir{Plan: p, files: files}).Script(p.Jobs[0].Script)
		if got := fmt.Sprint(err); (err != nil) != (test.want != "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: read: %v", test.name, err)
		}
	}
}

// TestWriteDirLeavesNothing: a failure leaves neither directories nor files.
func TestWriteDirLeavesNothing(t *testing.T) {
	p := assemble(t, simple("only", "build"))
	path := p.Jobs[0].Script.Path
	crlf := assemble(t, simple("only", "build"))
	crlf.Jobs[0].Script.SHA256 = digest([]byte("a\r\n"))
	invalid := assemble(t, simple("only", "build"))
	invalid.Jobs[0].Timeout = 0
	for _, test := range []struct {
		name    string
		plan    *Plan
		scripts map[string][]byte
		m       *SourceMap
		want    string
	}{
		{"no script", p, nil, nil, `script "jobs/only.sh" of the plan was not given`},
		{"other script", p, map[string][]byte{path: []byte("x")}, nil, `script "jobs/only.sh" has sha256 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881, the plan says `},
		{"one too many", p, map[string][]byte{path: []byte(testScript), "jobs/x.sh": nil}, nil, `script "jobs/x.sh" is not of the plan`},
		{"CRLF", crlf, map[string][]byte{path: []byte("a\r\n")}, nil, `script "jobs/only.sh" has CRLF line endings`},
		{"invalid plan", invalid, scriptsOf(invalid), nil, "invalid plan"},
		{"invalid map", p, scriptsOf(p), &SourceMap{}, "format_version"},
	} {
		t.Run(test.name, func(t *testing.T) {
			top := t.TempDir()
			err := WriteDir(filepath.Join(top, "a", "b"), test.plan, test.scripts, test.m)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			if files := tree(t, top); len(files) > 0 {
				t.Errorf("left %q", sortedKeys(files))
			}
		})
	}
	t.Run("a file in the way", func(t *testing.T) {
		top := t.TempDir()
		if err := os.WriteFile(filepath.Join(top, "f"), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{"f", "f/x/y"} {
			if err := WriteDir(filepath.Join(top, filepath.FromSlash(dir)), p, scriptsOf(p), nil); err == nil {
				t.Errorf("%s: accepted", dir)
			}
		}
		same(t, map[string]string{"f": "x"}, tree(t, top))
	})
}

// TestSwapUndoes: a rename that fails in the middle brings the old plan back.
func TestSwapUndoes(t *testing.T) {
	dir := t.TempDir()
	p := assemble(t, simple("only", "build"))
	if err := WriteDir(dir, p, scriptsOf(p), testMap()); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	stage := filepath.Join(t.TempDir(), "stage")
	if err := os.MkdirAll(filepath.Join(stage, "jobs"), 0o755); err != nil {
		t.Fatal(err)
	}
	// The stage has no plan.json: the last move fails.
	if err := swap(dir, stage); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	same(t, before, tree(t, dir))
}

func TestScriptIntegrity(t *testing.T) {
	write := func(t *testing.T) (*Dir, string) {
		dir := t.TempDir()
		p := assemble(t, simple("only", "build"), simple("other", "build"))
		if err := WriteDir(dir, p, scriptsOf(p), nil); err != nil {
			t.Fatal(err)
		}
		d, err := ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return d, dir
	}
	const sum = "9ab8fabc8c72bfa0416414631e26bd71b01f9dfae98dcf4656b1e2d78307876a"
	for _, test := range []struct {
		name string
		edit func(file, dir string) error
		want string
	}{
		{"changed", func(file, _ string) error { return os.WriteFile(file, []byte("rm -rf /\n"), 0o644) },
			`"jobs/only.sh": changed since the plan was made: the plan has sha256 ` + sum + `, the file has ` + digest([]byte("rm -rf /\n")) + `; compile the pipeline again`},
		{"CRLF", func(file, _ string) error {
			return os.WriteFile(file, []byte(strings.ReplaceAll(testScript, "\n", "\r\n")), 0o644)
		}, `"jobs/only.sh": has CRLF line endings: the plan has sha256 ` + sum + `, the file has `},
		{"missing", func(file, _ string) error { return os.Remove(file) },
			`"jobs/only.sh": the file is missing: the plan has sha256 ` + sum},
		{"no jobs", func(_, dir string) error { return os.RemoveAll(filepath.Join(dir, "jobs")) }, `the file is missing`},
		{"directory", func(file, _ string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o755)) }, `not a regular file`},
		{"jobs is a file", func(_, dir string) error {
			jobs := filepath.Join(dir, "jobs")
			return errors.Join(os.RemoveAll(jobs), os.WriteFile(jobs, nil, 0o644))
		}, `jobs is not a directory`},
		{"symbolic link", func(file, _ string) error {
			return errors.Join(os.Remove(file), os.Symlink("other.sh", file))
		}, `not a regular file`},
		{"link out", func(file, _ string) error {
			return errors.Join(os.Remove(file), os.Symlink("/etc/passwd", file))
		}, `not a regular file`},
		{"jobs is a link", func(_, dir string) error {
			jobs := filepath.Join(dir, "jobs")
			return errors.Join(os.Rename(jobs, filepath.Join(dir, "real")), os.Symlink("real", jobs))
		}, `jobs is not a directory`},
		{"too large", func(file, _ string) error { return os.Truncate(file, MaxScriptSize+1) }, `larger than 16 MiB`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, dir := write(t)
			if err := test.edit(filepath.Join(dir, "jobs", "only.sh"), dir); err != nil {
				if runtime.GOOS == "windows" && strings.Contains(test.name, "link") {
					t.Skip("making symbolic links needs a privilege on Windows:", err)
				}
				t.Fatal(err)
			}
			body, err := d.Script(d.Plan.Jobs[0].Script)
			var bad *IntegrityError
			if !errors.As(err, &bad) || body != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
	d, _ := write(t)
	for _, path := range []string{"../plan.json", "/etc/passwd", "jobs/../plan.json", "plan.json", ""} {
		var bad *IntegrityError
		if _, err := d.Script(Script{Path: path}); err == nil || errors.As(err, &bad) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestReadDirErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "plan.json")
	if _, err := ReadDir(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no plan: %v", err)
	}
	if _, err := ReadDir(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	for _, test := range []struct{ content, want string }{
		{"{", file + ":1:2: the file ends too early"},
		{`{"format_version": "9.0"}`, file + ": the plan was made by a newer cic"},
		{`{"format_version": "1.0"}`, file + ": invalid plan:"},
	} {
		if err := os.WriteFile(file, []byte(test.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadDir(dir); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
	if err := os.Truncate(file, MaxPlanSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadDir(dir); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadDir(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}

// TestReadDirBadMap: a source map only serves messages, so a bad one is a warning.
func TestReadDirBadMap(t *testing.T) {
	dir := t.TempDir()
	p := assemble(t, simple("only", "build"))
	if err := WriteDir(dir, p, scriptsOf(p), testMap()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plan.map.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := ReadDir(dir)
	if err != nil || d.Map != nil || len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "plan.map.json:1:1: not a plan") {
		t.Errorf("%v %+v", err, d)
	}
}

// TestReadFiles: a plan in memory is held to the same rules as one in a directory.
func TestReadFiles(t *testing.T) {
	p := full(t)
	data, err := Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	files := scriptsOf(p)
	files[planFile], files[mapFile] = data, []byte("no map")
	d, err := ReadFiles("name", files)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Warnings) != 1 || d.Map != nil {
		t.Errorf("a map that cannot be read: %v", d.Warnings)
	}
	s := p.Jobs[0].Script
	if text, err := d.Script(s); err != nil || !bytes.Equal(text, files[s.Path]) {
		t.Errorf("%q, %v", text, err)
	}
	var integrity *IntegrityError
	files[s.Path] = []byte("changed")
	if _, err := d.Script(s); !errors.As(err, &integrity) {
		t.Errorf("a changed script: %v", err)
	}
	delete(files, s.Path)
	if _, err := d.Script(s); !errors.As(err, &integrity) || integrity.Got != "" {
		t.Errorf("a missing script: %v", err)
	}
	delete(files, planFile)
	if _, err := ReadFiles("name", files); err == nil {
		t.Error("no plan is read")
	}
}
