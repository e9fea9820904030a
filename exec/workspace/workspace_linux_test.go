package workspace

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNewRefuses(t *testing.T) {
	base := t.TempDir()
	writeTree(t, base, map[string]string{"project/sub/": "", "state/": "", "file": "", "link": "-> project/sub"})
	at := func(name string) string { return filepath.Join(base, name) }
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"directory in project", Config{Source: at("project"), Dir: at("project/sub")}, "is inside the project"},
		{"directory in project by a link", Config{Source: at("project"), Dir: at("link")}, "is inside the project"},
		{"the same", Config{Source: at("project"), Dir: at("project")}, "is inside the project"},
		{"project in directory", Config{Source: at("project/sub"), Dir: at("project")}, "is inside the workspace directory"},
		{"shared too", Config{Source: at("project"), Dir: at("project/sub"), Shared: true}, "is inside the project"},
		{"relative", Config{Source: "project", Dir: at("state")}, "not an absolute path"},
		{"absent", Config{Source: at("absent"), Dir: at("state")}, "no such file"},
		{"absent directory", Config{Source: at("project"), Dir: at("absent")}, "no such file"},
		{"file", Config{Source: at("file"), Dir: at("state")}, "is not a directory"},
		{"mask", Config{Source: at("project"), Dir: at("state"), Mask: []string{"../x"}}, `mask entry "../x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	if left := names(t, at("state")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestSourceThroughALink(t *testing.T) {
	p := newProject(t, map[string]string{"a": "source"}, nil)
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(p.source, link))
	m, err := New(Config{Source: link, Dir: t.TempDir()})
	must(t, err)
	w, err := m.Open("x")
	must(t, err)
	defer func() { must(t, w.Close()) }()
	must(t, w.Mount(nil))
	if got := read(t, w.project(), "a"); got != "source" {
		t.Errorf("a holds %q", got)
	}
}

func TestOpenRefusesIdentifiers(t *testing.T) {
	p := newProject(t, nil, nil)
	for _, id := range []string{"", ".", "..", ".x", "a/b", "A", "@mask", "a b", "a\n", strings.Repeat("a", 101)} {
		if _, err := p.m.Open(id); err == nil {
			t.Errorf("Open(%q) succeeds", id)
		}
	}
	w, err := p.m.Open("once")
	must(t, err)
	if _, err := p.m.Open("once"); err == nil {
		t.Error("two workspaces have one identifier")
	}
	must(t, w.Close())
}

func TestMountRefuses(t *testing.T) {
	p := newProject(t, nil, nil)
	writeTree(t, p.store, map[string]string{"set/sub/": "", "file": "", "link": "-> absent"})
	other := p.job()
	for _, tt := range []struct{ layer, want string }{
		{filepath.Join(p.store, "absent"), "no such file"},
		{filepath.Join(p.store, "link"), "no such file"},
		{filepath.Join(p.store, "file"), "not a directory"},
		{other.upper(), "private layer"},
		{other.project(), "private layer"},
	} {
		p.jobs++
		w, err := p.m.Open(fmt.Sprintf("job-%d", p.jobs))
		must(t, err)
		if err := w.Mount([]string{tt.layer}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one with %q", err, tt.want)
		}
		if _, err := w.Collect(Patterns{}, filepath.Join(p.store, "x")); err == nil {
			t.Error("Collect succeeds without a mount")
		}
		must(t, w.Close())
		if err := w.Mount(nil); err == nil {
			t.Error("Mount succeeds after Close")
		}
	}
	if err := other.Mount(nil); err == nil {
		t.Error("a second Mount succeeds")
	}
}

// TestCopy is for machines without overlay: here by a state directory that is on
// an overlay itself, as in a container.
func TestCopy(t *testing.T) {
	p := newProject(t, map[string]string{"a": "source", "dist/stale": "x", "d/s": "source", "link": "-> /etc", ".git/HEAD": "ref"}, nil)
	outer := p.job()
	dir, store := filepath.Join(outer.project(), "state"), filepath.Join(outer.project(), "store")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.Mkdir(store, 0o755))
	var warned []string
	m, err := New(Config{Source: p.source, Dir: dir, Mask: []string{"dist/"}, Warn: func(msg string) { warned = append(warned, msg) }})
	must(t, err)
	if m.mode != modeCopy || len(warned) != 1 || !strings.HasPrefix(warned[0], "no overlay file system can be mounted here: every job gets a copy") {
		t.Fatalf("mode %d, warnings %q", m.mode, warned)
	}
	q := &project{t: t, source: p.source, dir: dir, store: store, m: m}
	before := describe(t, p.source)
	w := q.job()
	if got := names(t, w.project()); !slices.Equal(got, []string{".git", "a", "d", "link"}) {
		t.Errorf("the job sees %q", got)
	}
	shell(t, w.project(), "echo -n job >a; rm d/s; mkdir dist out; echo -n new >dist/app; echo -n 1 >out/x; echo -n 2 >d/n")
	_, dst := q.collect(w, "a", "dist", "d", "out")
	again, _ := q.collect(w, "a", "dist", "d", "out")
	if got := paths(again); got != "a d/ d/n dist/ dist/app out/ out/x" {
		t.Errorf("the second collection is %s", got)
	}
	next := q.job(dst)
	for name, want := range map[string]string{"a": "job", "dist/app": "new", "dist/stale": "-", "d/s": "source", "d/n": "2", "out/x": "1"} {
		if got := read(t, next.project(), name); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	shell(t, next.project(), "echo changed >out/x")
	if got := read(t, dst, "out/x"); got != "1" {
		t.Errorf("a job has changed a stored artifact: %q", got)
	}
	if after := describe(t, p.source); !slices.Equal(before, after) {
		t.Error("the project has changed")
	}
	must(t, next.Close())
	must(t, w.Close())
}

// TestCopyReplacedByLink: in a copy the project is no mount point, and a job can
// put a link in its place. Nothing may act on where it leads.
func TestCopyReplacedByLink(t *testing.T) {
	p := newProject(t, map[string]string{"a": "source"}, nil)
	p.m.mode = modeCopy
	victim := tmpfs(t, 1<<20)
	writeTree(t, victim, map[string]string{"precious": "x"})
	w := p.job()
	must(t, os.Rename(w.project(), w.project()+".away"))
	must(t, os.Symlink(filepath.Dir(victim), w.project()))
	if _, err := w.Collect(Patterns{Paths: []string{"."}}, filepath.Join(p.store, "x")); err == nil {
		t.Error("Collect follows the link")
	}
	must(t, w.Close())
	if got := read(t, victim, "precious"); got != "x" {
		t.Errorf("precious holds %q: the mount has gone", got)
	}
}

func TestShared(t *testing.T) {
	// What the user has mounted in the project is seen, and survives. All is shared,
	// as systemd does it: mounts and unmounts spread to every copy that is a peer.
	p := newProject(t, nil, func(c *Config) {
		c.Shared, c.Mask = true, []string{"dist/"}
		inner := filepath.Join(c.Source, "mnt")
		for _, at := range []string{c.Source, inner} {
			must(t, os.MkdirAll(at, 0o755))
			must(t, unix.Mount("tmpfs", at, "tmpfs", 0, ""))
			must(t, unix.Mount("", at, "", unix.MS_SHARED, ""))
		}
		writeTree(t, c.Source, map[string]string{"a": "source", "dist/old": "x", "mnt/in": "inner"})
	})

	one := p.job()
	shell(t, one.project(), "echo -n shared >undeclared; mkdir out; echo -n 1 >out/x; mkfifo out/fifo")
	two := p.job()
	if got := read(t, two.project(), "undeclared"); got != "shared" {
		t.Errorf("the next job reads %q", got)
	}
	if got := read(t, two.project(), "mnt/in"); got != "inner" {
		t.Errorf("below the user's mount: %q", got)
	}
	manifest, dst := p.collect(one, "out", "mnt")
	if got := paths(manifest); got != "mnt/ mnt/in out/ out/x" {
		t.Errorf("collected %s", got)
	}
	if inode(t, filepath.Join(dst, "out/x")) == inode(t, filepath.Join(p.source, "out/x")) {
		t.Error("the artifact is the project's own file")
	}
	must(t, one.Close())
	must(t, two.Close())
	for name, want := range map[string]string{"a": "source", "out/x": "1", "mnt/in": "inner", "undeclared": "shared"} {
		if got := read(t, p.source, name); got != want {
			t.Errorf("after the jobs %s holds %q, want %q", name, got, want)
		}
	}
}

// TestConcurrentJobs opens, mounts, collects and closes many at once.
func TestConcurrentJobs(t *testing.T) {
	p := newProject(t, map[string]string{"a": "source"}, func(c *Config) {
		c.Tracked = func() (map[string]bool, error) { return map[string]bool{"a": true}, nil }
	})
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			w, err := p.m.Open(fmt.Sprintf("c-%d", i))
			if err != nil {
				t.Error(err)
				return
			}
			defer func() {
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			}()
			if err := w.Mount(nil); err != nil {
				t.Error(err)
				return
			}
			if err := os.WriteFile(filepath.Join(w.project(), "out"), []byte(fmt.Sprint(i)), 0o644); err != nil {
				t.Error(err)
			}
			m, err := w.Collect(Patterns{Untracked: true}, filepath.Join(p.store, fmt.Sprint(i)))
			if err != nil || paths(m) != "out" {
				t.Errorf("%v %v", m, err)
			}
		})
	}
	wg.Wait()
	for i := range 24 {
		if got := read(t, p.store, fmt.Sprint(i), "out"); got != fmt.Sprint(i) {
			t.Errorf("job %d left %q", i, got)
		}
	}
}
