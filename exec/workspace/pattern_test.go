package workspace

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
)

func TestRelativeGlob(t *testing.T) {
	for _, tt := range []struct{ text, glob, problem string }{
		{"build", "build", ""},
		{"build/", "build", ""},
		{"./build//x/", "build/x", ""},
		{"a/../b", "b", ""},
		{".", "**", ""},
		{"./", "**", ""},
		{"**", "**", ""},
		{"/builds/project", "**", ""},
		{"/builds/project/", "**", ""},
		{"/builds/project/out/*.o", "out/*.o", ""},
		{"/builds/project//out", "out", ""},
		{"/builds/project/../x", "", "is outside of the project /builds/project"},
		{"/builds/projects/out", "", "is outside of the project /builds/project"},
		{"/etc/passwd", "", "is outside of the project /builds/project"},
		{"..", "", "is outside of the project /builds/project"},
		{"../x", "", "is outside of the project /builds/project"},
		{"a/../../x", "", "is outside of the project /builds/project"},
		{"", "", "is empty"},
		{" ", "", "is empty"},
		{"a[", "", "is not a valid pattern"},
		{"{a", "", "is not a valid pattern"},
		{".git", "", "is git's own directory"},
		{".git/config", "", "is git's own directory"},
		{".gitignore", ".gitignore", ""},
		{"./{a/../b,c}/", "{a/../b,c}", ""},
		{`a\*b`, `a\*b`, ""},
		{"caf\xe9/*", "caf\xe9/*", ""},
	} {
		glob, problem := relativeGlob(tt.text)
		if glob != tt.glob || problem != tt.problem {
			t.Errorf("relativeGlob(%q) = %q, %q; want %q, %q", tt.text, glob, problem, tt.glob, tt.problem)
		}
	}
}

func TestMayMatchBelow(t *testing.T) {
	for _, tt := range []struct {
		glob, dir string
		want      bool
	}{
		{"build/*", "build", true},
		{"build/*", "src", false},
		{"build/*", "build/x", false}, // Selected as a match, or of no interest.
		{"**/*.o", "any/where", true},
		{"a/**/b", "a/x/y", true},
		{"a/**/b", "b", false},
		{"*/out", "x", true},
		{"*/out", "x/y", false},
		{"build", "build", false},
		{"{a,b}/c", "x", true},
		{`a\*/c`, "x", true},
		{"[ab]/c", "a", true},
		{"[ab]/c", "c", false},
	} {
		if got := (&pattern{glob: tt.glob}).mayMatchBelow(tt.dir); got != tt.want {
			t.Errorf("%q.mayMatchBelow(%q) = %v, want %v", tt.glob, tt.dir, got, tt.want)
		}
	}
}

// FuzzMayMatchBelow holds that pruning loses nothing: every directory above a
// match is entered.
func FuzzMayMatchBelow(f *testing.F) {
	f.Add("a/**/*.o", "a/b/c.o")
	f.Add("{a/b,c}/d", "a/b/d")
	f.Add(`a\/b/c`, "a/b/c")
	f.Add("a[b/c]d/e", "abd/e")
	f.Add("**", "x/y")
	f.Fuzz(func(t *testing.T, text, name string) {
		glob, problem := relativeGlob(text)
		if problem != "" || name == "" || name != path.Clean(name) || strings.HasPrefix(name, "/") || strings.HasPrefix(name, "..") {
			t.Skip()
		}
		p := &pattern{glob: glob}
		if !p.match(name) {
			return
		}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if !p.mayMatchBelow(dir) && !doublestar.MatchUnvalidated(glob, dir) {
				t.Errorf("%q matches %q, but is not looked for in %q", glob, name, dir)
			}
		}
	})
}

func TestParsePatternsWarns(t *testing.T) {
	patterns, warnings := parsePatterns([]string{"ok", "/etc", ""})
	if len(patterns) != 1 || patterns[0].glob != "ok" {
		t.Errorf("patterns = %v, want ok alone", patterns)
	}
	if globs, warnings := parseExcludes([]string{"a/*", "../x"}); !slices.Equal(globs, []string{"a/*"}) || len(warnings) != 1 {
		t.Errorf("excludes %q, warnings %q", globs, warnings)
	}
	want := []string{
		`path "/etc" is outside of the project /builds/project: skipped`,
		`path "" is empty: skipped`,
	}
	if !slices.Equal(warnings, want) {
		t.Errorf("warnings = %q, want %q", warnings, want)
	}
}

func FuzzFileJSON(f *testing.F) {
	f.Add("dist/caf\xe9", "\xff\xfe")
	f.Add("ordinary", "")
	f.Add("\ufffd", "new\nline")
	f.Fuzz(func(t *testing.T, name, link string) {
		want := File{Path: name, Mode: 0o644, Type: typeFile, Size: 3, Link: link}
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got File
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%+v became %+v by way of %s", want, got, data)
		}
	})
}

func TestFileJSONOfUTF8IsPlain(t *testing.T) {
	data, err := json.Marshal(Manifest{Files: []File{{Path: "a", Mode: 0o644, Type: typeFile}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(data), `{"files":[{"path":"a","mode":420,"type":"file"}],"size":0}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLiteralPrefix(t *testing.T) {
	for glob, want := range map[string]string{"a/b/*.o": "a/b", "*": "", "a/b": "a/b", "a/{b,c}/d": "a", `a/\*/b`: "a"} {
		if got := strings.Join((&pattern{glob: glob}).literalPrefix(), "/"); got != want {
			t.Errorf("literalPrefix(%q) = %q, want %q", glob, got, want)
		}
	}
}

func TestWarningsAreBounded(t *testing.T) {
	var m Manifest
	for i := range 3 * maxWarnings {
		m.warn(strings.Repeat("x", i))
		m.warn("the same")
	}
	if len(m.Warnings) != maxWarnings+1 {
		t.Errorf("%d warnings, want %d", len(m.Warnings), maxWarnings+1)
	}
}
