package workspace

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// eachMounter runs a test with both ways of mounting.
func eachMounter(t *testing.T, test func(t *testing.T)) {
	all := overlayMounters
	t.Cleanup(func() { overlayMounters = all })
	for i, name := range []string{"fsopen", "mount"} {
		t.Run(name, func(t *testing.T) {
			overlayMounters = all[i : i+1]
			test(t)
		})
	}
}

func TestMountIsPrivate(t *testing.T) {
	eachMounter(t, func(t *testing.T) {
		p := newProject(t, map[string]string{"a": "source", "sub/b": "source"}, nil)
		before := describe(t, p.source)
		one, two := p.job(), p.job()
		shell(t, one.project(), "echo job >a; rm -r sub; mkdir sub; echo new >sub/c; chmod 700 .; ln -s a link")
		if got := read(t, two.project(), "a"); got != "source" {
			t.Errorf("another job sees %q", got)
		}
		must(t, one.Close())
		must(t, one.Close())
		if after := describe(t, p.source); !slices.Equal(before, after) {
			t.Errorf("the project has changed:\n%s\nto\n%s", before, after)
		}
		if _, err := os.Lstat(one.dir); !os.IsNotExist(err) {
			t.Errorf("Close leaves the workspace: %v", err)
		}
	})
}

func TestAnyUserWritesAtTheTop(t *testing.T) {
	p := newProject(t, nil, nil)
	must(t, os.Chown(p.source, 4321, 4322))
	m, err := New(Config{Source: p.source, Dir: t.TempDir()})
	must(t, err)
	w, err := m.Open("x")
	must(t, err)
	defer func() { must(t, w.Close()) }()
	must(t, w.Mount(nil))
	var st unix.Stat_t
	must(t, unix.Stat(w.project(), &st))
	if st.Mode&0o7777 != 0o777 || st.Uid != 4321 || st.Gid != 4322 {
		t.Errorf("top is %o %d:%d, want 777 4321:4322", st.Mode&0o7777, st.Uid, st.Gid)
	}
}

// TestMountReachesOlderNamespace holds the reason for binding builds first: a
// container that exists before the mount must see it, and see it go.
func TestMountReachesOlderNamespace(t *testing.T) {
	p := newProject(t, map[string]string{"a": "source"}, nil)
	w, err := p.m.Open("early")
	must(t, err)
	defer func() { must(t, w.Close()) }()
	cmd := exec.Command("unshare", "-m", "--propagation", "slave", "sh", "-c",
		`echo ready; read go; cat "$0/project/a"; echo; read go; ls "$0/project"; echo end`, w.Builds())
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewReader(out)
	line := func() string {
		text, err := lines.ReadString('\n')
		must(t, err)
		return strings.TrimSpace(text)
	}
	if got := line(); got != "ready" {
		t.Fatalf("got %q", got)
	}
	must(t, w.Mount(nil))
	_, err = fmt.Fprintln(in)
	must(t, err)
	if got := line(); got != "source" {
		t.Errorf("the older namespace reads %q", got)
	}
	_, _ = p.collect(w)
	_, err = fmt.Fprintln(in)
	must(t, err)
	if got := line(); got != "end" {
		t.Errorf("after Collect the older namespace lists %q", got)
	}
	must(t, cmd.Wait())
}

func TestLayersLaterWins(t *testing.T) {
	eachMounter(t, func(t *testing.T) {
		p := newProject(t, map[string]string{"a": "source", "d/b": "source", "d/s": "source"}, nil)
		var sets []string
		for i := range 3 {
			w := p.job(sets...)
			shell(t, w.project(), fmt.Sprintf("echo -n %d >a; echo -n %d >d/b; echo -n %d >only-%d", i, i, i, i))
			_, dst := p.collect(w, "a", "d/b", "only-*")
			sets = append(sets, dst)
		}
		w := p.job(sets[0], sets[2], sets[1])
		for name, want := range map[string]string{"a": "1", "d/b": "1", "d/s": "source", "only-0": "0", "only-1": "1", "only-2": "2"} {
			if got := read(t, w.project(), name); got != want {
				t.Errorf("%s holds %q, want %q", name, got, want)
			}
		}
		// A set that is given twice counts where it stands last.
		w = p.job(sets[0], sets[1], sets[0])
		if got := read(t, w.project(), "a"); got != "0" {
			t.Errorf("a holds %q, want 0", got)
		}
	})
}

// TestManyLayers gives more artifacts than the kernel takes layers.
func TestManyLayers(t *testing.T) {
	eachMounter(t, func(t *testing.T) {
		p := newProject(t, map[string]string{"shared": "source", "ignored": "x"}, func(c *Config) { c.Mask = []string{"ignored"} })
		count := p.m.mounter.limit + 10
		var sets []string
		for i := range count {
			dir := filepath.Join(p.store, fmt.Sprint(i))
			writeTree(t, dir, map[string]string{
				fmt.Sprintf("own/%d", i): fmt.Sprint(i),
				"shared":                 fmt.Sprint(i),
			})
			// One that is in turn a file and a directory, the last time early on.
			switch i {
			case 3, 9:
				writeTree(t, dir, map[string]string{"turn/in": fmt.Sprint(i)})
			case 5:
				writeTree(t, dir, map[string]string{"turn": "file"})
			}
			sets = append(sets, dir)
		}
		w := p.job(sets...)
		for i := range count {
			if got := read(t, w.project(), "own", fmt.Sprint(i)); got != fmt.Sprint(i) {
				t.Fatalf("own/%d holds %q", i, got)
			}
		}
		for name, want := range map[string]string{"shared": fmt.Sprint(count - 1), "turn/in": "9", "ignored": "-"} {
			if got := read(t, w.project(), name); got != want {
				t.Errorf("%s holds %q, want %q", name, got, want)
			}
		}
		if got := inode(t, filepath.Join(w.dir, "merged/own/0")); got != inode(t, filepath.Join(sets[0], "own/0")) {
			t.Error("merged layers are copies")
		}
		if got := read(t, sets[9], "turn/in"); got != "9" {
			t.Errorf("merging changed a layer: %q", got)
		}
	})
}

func TestUnusualPaths(t *testing.T) {
	eachMounter(t, func(t *testing.T) {
		for _, name := range []string{"with space", "a:b", "a,b", "new\nline", "non-utf8-\xff", `back\slash`, `\040`, "#", strings.Repeat("long", 60)} {
			p := newProject(t, nil, nil)
			base := filepath.Join(t.TempDir(), name, strings.Repeat("deep", 50), name)
			must(t, os.MkdirAll(base, 0o755))
			p.source, p.dir, p.store = filepath.Join(base, "s"), filepath.Join(base, "w"), filepath.Join(base, "a")
			for _, dir := range []string{p.dir, p.store} {
				must(t, os.Mkdir(dir, 0o755))
			}
			writeTree(t, p.source, map[string]string{"a" + name: "source", "masked" + name: "x"})
			var err error
			p.m, err = New(Config{Source: p.source, Dir: p.dir, Mask: []string{"masked" + name}})
			must(t, err)
			if p.m.mode != modeOverlay {
				t.Fatalf("%q: no overlay", name)
			}
			w := p.job()
			shell(t, w.project(), "mkdir out; cp a* out")
			manifest, dst := p.collect(w, "out")
			if len(manifest.Files) != 2 || manifest.Files[1].Path != "out/a"+name {
				t.Errorf("%q: collected %q", name, paths(manifest))
			}
			next := p.job(dst)
			if got := read(t, next.project(), "out", "a"+name); got != "source" {
				t.Errorf("%q: downstream reads %q", name, got)
			}
			if got := read(t, next.project(), "masked"+name); got != "-" {
				t.Errorf("%q: not masked: %q", name, got)
			}
			must(t, next.Close())
			must(t, w.Close())
		}
	})
}

// TestViewIsTheKernels compares the package's own reading of layers with what the
// kernel makes of them, after random changes by jobs upon jobs.
func TestViewIsTheKernels(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			p := newProject(t, nil, func(c *Config) {
				changeTree(t, r, c.Source, 60)
				c.Mask = []string{"a", "b/c", "c/c/a", "d/d"}
			})
			var sets []string
			for range 5 {
				w := p.job(sets...)
				changeTree(t, r, w.project(), 40)
				want := describe(t, w.project())
				if got := describeView(t, w); !slices.Equal(got, want) {
					t.Fatalf("view:\n%s\nkernel:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				// Twice the same artifacts, although the first take files away.
				first, dst := p.collect(w, "a", "b/*", "c/**/a", "d")
				second, _ := p.collect(w, "a", "b/*", "c/**/a", "d")
				if got, want := describeManifest(second), describeManifest(first); !slices.Equal(got, want) {
					t.Fatalf("the second collection:\n%s\nthe first:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				assertClean(t, dst)
				if got := describeView(t, w); !slices.Equal(got, want) {
					t.Fatalf("after collection:\n%s\nbefore:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				// Everything collected is seen by the next job.
				next := p.job(append(slices.Clone(sets), dst)...)
				seen := describe(t, next.project())
				for _, line := range describeManifest(first) {
					if !slices.Contains(seen, line) {
						t.Errorf("downstream does not see %s", line)
					}
				}
				sets = append(sets, dst)
			}
		})
	}
}

// describeView lists the merged view of a workspace as describe lists a tree.
func describeView(t *testing.T, w *Workspace) []string {
	t.Helper()
	view, err := openStack(w.view())
	must(t, err)
	defer view.close()
	sel := &selector{everything: true, manifest: &Manifest{}}
	items, _, err := sel.walk(view, true)
	must(t, err)
	sel.manifest.list("", items)
	return describeManifest(sel.manifest)
}

// changeTree makes random files, directories and links below root, and removes some.
func changeTree(t *testing.T, r *rand.Rand, root string, steps int) {
	t.Helper()
	for range steps {
		name := root
		for range 1 + r.IntN(3) {
			name = filepath.Join(name, string(rune('a'+r.IntN(5))))
		}
		// What stands in the way decides, as in a real job: errors are part of it.
		switch r.IntN(6) {
		case 0:
			_ = os.RemoveAll(name)
		case 1:
			_ = os.RemoveAll(name)
			_ = os.Mkdir(name, 0o750)
		case 2:
			_ = os.Remove(name)
			_ = os.Symlink("../a", name)
		case 3:
			_ = os.Mkdir(name, 0o755)
		case 4:
			_ = os.Rename(name, filepath.Join(root, string(rune('a'+r.IntN(5)))))
		default:
			_ = os.WriteFile(name, make([]byte, r.IntN(50)), 0o644)
		}
	}
}

// TestMountsInTheProject: an overlay leaves them out, and so does a collection.
func TestMountsInTheProject(t *testing.T) {
	var warnings []string
	p := newProject(t, map[string]string{"mnt/below": "x"}, func(c *Config) {
		must(t, unix.Mount("tmpfs", filepath.Join(c.Source, "mnt"), "tmpfs", 0, ""))
		writeTree(t, c.Source, map[string]string{"mnt/above": "x"})
		c.Warn = func(msg string) { warnings = append(warnings, msg) }
	})
	if want := fmt.Sprintf("jobs do not see what is mounted at %q", p.source+"/mnt"); !slices.Equal(warnings, []string{want}) {
		t.Errorf("warnings %q, want %q", warnings, want)
	}
	w := p.job()
	if got := names(t, filepath.Join(w.project(), "mnt")); !slices.Equal(got, []string{"below"}) {
		t.Errorf("the job sees %q", got)
	}
	if manifest, _ := p.collect(w, "mnt"); paths(manifest) != "mnt/ mnt/below" {
		t.Errorf("collected %s", paths(manifest))
	}
}

// BenchmarkMount measures what a job waits for. On a busy machine look at the
// fastest mount, not at the mean.
func BenchmarkMount(b *testing.B) {
	for _, files := range []int{100, 100_000} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			p := newProject(b, nil, nil)
			for i := range files {
				dir := filepath.Join(p.source, fmt.Sprint(i/1000))
				must(b, os.MkdirAll(dir, 0o755))
				must(b, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644))
			}
			best := time.Hour
			for b.Loop() {
				b.StopTimer()
				p.jobs++
				w, err := p.m.Open(fmt.Sprintf("bench-%d", p.jobs))
				must(b, err)
				b.StartTimer()
				start := time.Now()
				must(b, w.Mount(nil))
				best = min(best, time.Since(start))
				b.StopTimer()
				must(b, w.Close())
				b.StartTimer()
			}
			b.ReportMetric(float64(best.Nanoseconds()), "best-ns/op")
		})
	}
}

// BenchmarkCollect collects a directory of 10,000 new files, renamed as a whole
// or, with an exclude, linked one by one.
func BenchmarkCollect(b *testing.B) {
	for name, exclude := range map[string][]string{"rename": nil, "link": {"out/9999"}} {
		b.Run(name, func(b *testing.B) {
			p := newProject(b, nil, nil)
			best := time.Hour
			for b.Loop() {
				b.StopTimer()
				w := p.job()
				shell(b, w.project(), "mkdir out; cd out; seq 10000 | xargs touch")
				b.StartTimer()
				start := time.Now()
				_, err := w.Collect(Patterns{Paths: []string{"out"}, Exclude: exclude}, filepath.Join(p.store, fmt.Sprint(p.jobs)))
				must(b, err)
				best = min(best, time.Since(start))
				b.StopTimer()
				must(b, w.Close())
				b.StartTimer()
			}
			b.ReportMetric(float64(best.Nanoseconds()), "best-ns/op")
		})
	}
}
