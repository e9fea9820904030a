package workspace

import (
	"os"
	"path/filepath"
	"testing"
)

// TestUnchanged restores what a first job has left to a second, and compares what
// the second has made of it.
func TestUnchanged(t *testing.T) {
	for _, tt := range []struct {
		name     string
		patterns Patterns
		script   string // of the second job
		want     bool
	}{
		{"nothing happened", Patterns{Paths: []string{"deps/"}}, "", true},
		{"elsewhere", Patterns{Paths: []string{"deps/"}}, "touch x; mkdir y; rm main.c; echo >> lib/l.c", true},
		{"reading", Patterns{Paths: []string{"deps/"}}, "cat deps/a; ls -R deps", true},
		{"a file is written", Patterns{Paths: []string{"deps/"}}, "echo >> deps/a", false},
		{"a file is new", Patterns{Paths: []string{"deps/"}}, "echo > deps/sub/n", false},
		{"a file is gone", Patterns{Paths: []string{"deps/"}}, "rm deps/a", false},
		{"a directory is gone", Patterns{Paths: []string{"deps/"}}, "rm -r deps/sub", false},
		{"all is gone", Patterns{Paths: []string{"deps/"}}, "rm -r deps", false},
		{"made anew", Patterns{Paths: []string{"deps/"}}, "rm -r deps/sub; mkdir deps/sub; echo b > deps/sub/b", false},
		{"another type", Patterns{Paths: []string{"deps/"}}, "rm deps/a; mkdir deps/a", false},
		{"mode", Patterns{Paths: []string{"deps/"}}, "chmod 700 deps/a", false},
		{"mode of a directory", Patterns{Paths: []string{"deps/"}}, "chmod 700 deps/sub", false},
		{"glob, other files", Patterns{Paths: []string{"**/a"}}, "echo > deps/c; echo > b; mkdir deps/sub; rm -r lib", true},
		{"glob, a match", Patterns{Paths: []string{"**/a"}}, "mkdir deps/sub; echo > deps/sub/a", false},
		{"glob, a file over its directory", Patterns{Paths: []string{"**/a"}}, "rm -r deps; echo > deps", false},
		{"glob, its directory made anew", Patterns{Paths: []string{"**/a"}}, "rm -r deps; mkdir deps", false},
		{"untracked, nothing", Patterns{Untracked: true}, "", true},
		{"untracked, a new file", Patterns{Untracked: true}, "mkdir z; touch z/z", false},
		{"untracked, a tracked file", Patterns{Untracked: true}, "echo >> main.c", true},
		{"of the project, too", Patterns{Paths: []string{"lib/"}}, "", true},
		{"of the project, changed", Patterns{Paths: []string{"lib/"}}, "echo >> lib/l.c", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProject(t, map[string]string{"main.c": "m", "lib/l.c": "l"}, func(c *Config) {
				c.Tracked = func() (map[string]bool, error) { return map[string]bool{"main.c": true, "lib/l.c": true}, nil }
			})
			first := p.job()
			shell(t, filepath.Join(first.Builds(), "project"), "mkdir -p deps/sub; echo a > deps/a; echo b > deps/sub/b; echo n > lib/n")
			_, layer := p.collectPatterns(first, tt.patterns)
			second := p.job(layer)
			shell(t, filepath.Join(second.Builds(), "project"), tt.script)
			got, err := second.Unchanged(tt.patterns, layer)
			must(t, err)
			if got != tt.want {
				t.Errorf("unchanged: %v, want %v", got, tt.want)
			}
			// What it says must hold: the collection that was spared would have been the same.
			_, again := p.collectPatterns(second, tt.patterns)
			if same := equalTrees(t, layer, again); got && !same {
				t.Error("what is called unchanged would be collected differently")
			}
		})
	}
}

func equalTrees(t *testing.T, a, b string) bool {
	t.Helper()
	left, right := describe(t, a), describe(t, b)
	if len(left) != len(right) {
		return false
	}
	for i := range left {
		if left[i] != right[i] {
			return false
		}
	}
	return true
}

func TestUnchangedOtherLayers(t *testing.T) {
	p := newProject(t, map[string]string{"deps/p": "p"}, nil)
	patterns := Patterns{Paths: []string{"deps/"}}
	first := p.job()
	shell(t, filepath.Join(first.Builds(), "project"), "echo a > deps/a")
	_, layer := p.collectPatterns(first, patterns)
	other := p.job()
	shell(t, filepath.Join(other.Builds(), "project"), "echo b > deps/b; echo x > x")
	_, over := p.collect(other, "deps/b")
	_, beside := p.collect(other, "x")
	check := func(what string, want bool, layers ...string) {
		t.Helper()
		w := p.job(layers...)
		got, err := w.Unchanged(patterns, layer)
		must(t, err)
		if got != want {
			t.Errorf("%s: unchanged: %v, want %v", what, got, want)
		}
	}
	check("artifacts elsewhere", true, layer, beside)
	check("artifacts over it", false, layer, over)
	check("not a layer", false, over)
	must(t, os.WriteFile(filepath.Join(p.source, "deps", "p"), []byte("new"), 0o644))
	check("a file of the project that it hides", true, layer)
	must(t, os.WriteFile(filepath.Join(p.source, "deps", "q"), []byte("new"), 0o644))
	check("a new file of the project", false, layer)
}

func TestUnchangedOfACopyIsNotKnown(t *testing.T) {
	p := newProject(t, map[string]string{"a": "a"}, nil)
	_, layer := p.collect(p.job(), "a")
	p.m.mode = modeCopy
	w := p.job(layer)
	if got, err := w.Unchanged(Patterns{Paths: []string{"a"}}, layer); got || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestManifestDisk(t *testing.T) {
	p := newProject(t, nil, nil)
	w := p.job()
	shell(t, filepath.Join(w.Builds(), "project"), "mkdir d; truncate -s 1G d/hole; head -c 100000 /dev/urandom > d/full; sync d/full")
	m, _ := p.collect(w, "d")
	if m.Size != 1<<30+100000 || m.Disk < 100000 || m.Disk > 1<<20 {
		t.Errorf("size %d, disk %d", m.Size, m.Disk)
	}
}
