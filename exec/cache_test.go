package exec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/exec/cachestore"
	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// cached is a plan of one job with caches.
func cached(t testing.TB, caches ...plan.Cache) *plan.Plan {
	t.Helper()
	p := parsePlan(t, "1 a")
	for _, c := range caches {
		if c.Policy.Value == "" {
			c.Policy = plan.Literal("pull-push")
		}
		if c.When == "" {
			c.When = "on_success"
		}
		c.Paths = []plan.Text{plan.Literal(c.Key.Value + "/")}
		p.Jobs[0].Caches = append(p.Jobs[0].Caches, c)
	}
	return p
}

func literals(texts ...string) (all []plan.Text) {
	for _, t := range texts {
		all = append(all, plan.Literal(t))
	}
	return all
}

func openStore(t testing.TB) *cachestore.Store {
	t.Helper()
	s, err := cachestore.Open(filepath.Join(t.TempDir(), "caches"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keep saves something under a key, collected by the patterns of the plan's cache.
func keep(t testing.TB, p *cachestore.Project, key string) {
	t.Helper()
	d, err := p.Begin(key)
	if err != nil {
		t.Fatal(err)
	}
	info := cachestore.Info{Files: 7, Selection: selection(workspace.Patterns{Paths: []string{key + "/"}})}
	if err := errors.Join(os.Mkdir(d.Files(), 0o755), d.Commit(info), d.Close()); err != nil {
		t.Fatal(err)
	}
}

// cacheRun runs a job with caches, and returns what its log says of them and the
// keys whose layers it has seen.
func cacheRun(t *testing.T, w *world, p *plan.Plan, store *cachestore.Store, change func(*Caches)) (log string, seen []string) {
	t.Helper()
	h := newHarness(t, w)
	h.Caches = &Caches{Project: store.Project("p"), Pull: true, Push: true,
		Digest: func(globs []string, commits bool) (string, error) {
			return fmt.Sprintf("%t-%s", commits, strings.Join(globs, "+")), nil
		}}
	if change != nil {
		change(h.Caches)
	}
	h.Variables = map[string]string{"CI_COMMIT_SHA": "abc"}
	h.run(t, t.Context(), p)
	for line := range strings.Lines(readLog(t, h, "a")) {
		if strings.Contains(line, "cache") {
			log += strings.TrimPrefix(line, "cic: ")
		}
	}
	for _, layer := range w.layers["a"] {
		seen = append(seen, keyOf(t, layer))
	}
	return log, seen
}

// keyOf is the key of a generation by its directory of files.
func keyOf(t *testing.T, files string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(files), "info.json"))
	if errors.Is(err, os.ErrNotExist) {
		return "gone"
	} else if err != nil {
		t.Fatal(err)
	}
	_, key, _ := strings.Cut(string(data), `"key": "`)
	key, _, _ = strings.Cut(key, `"`)
	return key
}

func TestCacheRestore(t *testing.T) {
	for _, tt := range []struct {
		name   string
		caches []plan.Cache
		kept   []string
		log    string // lines, in order
		seen   string
	}{
		{"hit", []plan.Cache{{Key: plan.Literal("k")}}, []string{"k"}, `cache "k" restored: 7 file(s), 0 B, saved 0s ago`, "k"},
		{"miss", []plan.Cache{{Key: plan.Literal("k")}}, nil, `cache "k" is not there`, ""},
		{"fallback", []plan.Cache{{Key: plan.Literal("k"), FallbackKeys: literals("x", "../y", "z")}}, []string{"y", "z"}, `cache "k" is not there; "y" restored`, "y"},
		{"variable", []plan.Cache{{Key: plan.Literal("k"), FallbackKeys: literals("x")}}, []string{"last"}, `cache "k" is not there; "last" restored`, "last"},
		{"none of all", []plan.Cache{{Key: plan.Literal("k"), FallbackKeys: literals("x", "k", "x", "..")}}, nil, `cache "k" is not there, nor is "x", "last"`, ""},
		{"template", []plan.Cache{{Key: plan.Text{Value: "a/../${CI_COMMIT_SHA}", Template: true}}}, []string{"abc"}, `cache "abc" restored`, "abc"},
		{"empty", []plan.Cache{{Key: plan.Text{Value: "${CI_COMMIT_TITLE}", Template: true}}}, []string{"default"}, `warning: a cache is skipped: nothing is left of its key "${CI_COMMIT_TITLE}"`, ""},
		{"files", []plan.Cache{{Key: plan.Literal("p"), KeyFiles: []string{"a", "b"}}}, []string{"p-false-a+b"}, `cache "p-false-a+b" restored`, "p-false-a+b"},
		{"commits", []plan.Cache{{KeyFiles: []string{"a"}, KeyCommits: true}}, []string{"true-a"}, `cache "true-a" restored`, "true-a"},
		{"in order", []plan.Cache{{Key: plan.Literal("k")}, {Key: plan.Literal("l")}}, []string{"k", "l"}, `cache "l" restored`, "k l"},
		{"push", []plan.Cache{{Key: plan.Literal("k"), Policy: plan.Literal("push")}}, []string{"k"}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := openStore(t)
				for _, key := range tt.kept {
					keep(t, store.Project("p"), key)
					keep(t, store.Project("other"), "k")
				}
				p := cached(t, tt.caches...)
				if strings.Contains(tt.log, "last") {
					p.Variables = append(p.Variables, plan.Variable{Name: "CACHE_FALLBACK_KEY", Value: plan.Literal("last")})
				}
				log, seen := cacheRun(t, &world{}, p, store, func(c *Caches) { c.Push = false })
				if !strings.Contains(log, tt.log) || strings.Join(seen, " ") != tt.seen {
					t.Errorf("saw %q, want %q; log:\n%swant %q", seen, tt.seen, log, tt.log)
				}
			})
		})
	}
}

func TestCacheSave(t *testing.T) {
	for _, tt := range []struct {
		name      string
		cache     plan.Cache
		exit      int
		kept      bool // something is there before
		other     bool // collected by other patterns
		unchanged bool
		change    func(*Caches)
		want      string // compare, collect
	}{
		{name: "first", want: "collect"},
		{name: "changed", kept: true, want: "compare collect"},
		{name: "unchanged", kept: true, unchanged: true, want: "compare"},
		{name: "other patterns", kept: true, other: true, unchanged: true, want: "collect"},
		{name: "restored by a fallback", cache: plan.Cache{FallbackKeys: literals("f")}, unchanged: true, want: "collect"},
		{name: "pull", cache: plan.Cache{Policy: plan.Literal("pull")}},
		{name: "push", cache: plan.Cache{Policy: plan.Literal("push")}, kept: true, unchanged: true, want: "collect"},
		{name: "failed", exit: 1},
		{name: "failed, on_failure", cache: plan.Cache{When: "on_failure"}, exit: 1, want: "collect"},
		{name: "failed, always", cache: plan.Cache{When: "always"}, exit: 1, want: "collect"},
		{name: "passed, on_failure", cache: plan.Cache{When: "on_failure"}},
		{name: "the run does not save", change: func(c *Caches) { c.Push = false }},
		{name: "the run does not restore", kept: true, unchanged: true, change: func(c *Caches) { c.Pull = false }, want: "collect"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := openStore(t)
				keep(t, store.Project("p"), "f")
				if tt.kept {
					keep(t, store.Project("p"), "k")
				}
				tt.cache.Key = plan.Literal("k")
				p := cached(t, tt.cache)
				if tt.other {
					p.Jobs[0].Caches[0].Untracked = true
				}
				w := &world{unchanged: map[string]bool{"a": tt.unchanged}, script: programs{"a": exits(tt.exit)}}
				log, _ := cacheRun(t, w, p, store, tt.change)
				var did []string
				for _, h := range w.history {
					if verb, rest, _ := strings.Cut(h, " "); rest == "a k/" {
						did = append(did, verb)
					}
				}
				if got := strings.Join(did, " "); got != tt.want {
					t.Errorf("did %q, want %q; log:\n%s", got, tt.want, log)
				}
				g, err := store.Project("p").Restore("k")
				if err != nil {
					t.Fatal(err)
				}
				if saved := strings.HasSuffix(tt.want, "collect"); saved != (g != nil && g.Info.Files == 1) {
					t.Errorf("saved: %+v", g)
				}
				if g != nil {
					if err := g.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// TestCacheFailures: only a wrong policy fails a job.
func TestCacheFailures(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*plan.Plan, *world, *Caches, *cachestore.Store)
		want   string
		log    string
	}{
		{"policy", func(p *plan.Plan, _ *world, _ *Caches, _ *cachestore.Store) {
			p.Jobs[0].Caches[0].Policy = plan.Text{Value: "${CI_COMMIT_SHA}", Template: true}
		}, "a=failed/config", ""},
		{"digest", func(p *plan.Plan, _ *world, c *Caches, _ *cachestore.Store) {
			p.Jobs[0].Caches[0].KeyFiles = []string{"f"}
			c.Digest = func([]string, bool) (string, error) { return "", errors.New("no git") }
		}, "a=success", "a cache is skipped: no git"},
		{"collection", func(_ *plan.Plan, w *world, _ *Caches, _ *cachestore.Store) {
			w.collect = map[string]func() (*workspace.Manifest, error){"a": func() (*workspace.Manifest, error) { return nil, errors.New("the disk is full") }}
		}, "a=success", `save cache "k": the disk is full`},
		{"nothing", func(_ *plan.Plan, w *world, _ *Caches, _ *cachestore.Store) {
			w.collect = map[string]func() (*workspace.Manifest, error){"a": func() (*workspace.Manifest, error) {
				return &workspace.Manifest{Warnings: []string{"path matches nothing"}}, nil
			}}
		}, "a=success", `cache "k" is not saved: there is nothing to keep`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := &world{}, openStore(t)
				h := newHarness(t, w)
				h.Caches = &Caches{Project: store.Project("p"), Pull: true, Push: true}
				p := cached(t, plan.Cache{Key: plan.Literal("k")})
				tt.change(p, w, h.Caches, store)
				res := h.run(t, t.Context(), p)
				if got := states(res); got != tt.want {
					t.Errorf("%s, want %s: %s", got, tt.want, res.Jobs[0].Error)
				}
				if log := readLog(t, h, "a"); !strings.Contains(log, tt.log) {
					t.Errorf("log: %s", log)
				}
				if _, err := store.Trim(cachestore.Limits{}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestCacheIsHeld: what a job has mounted stays while another saves and trims.
func TestCacheIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		keep(t, store.Project("p"), "k")
		w, closed := &world{}, false
		w.closing = map[string]func() error{"a": func() error {
			keep(t, store.Project("p"), "k")
			_, err := store.Trim(cachestore.Limits{Size: 1 << 30})
			if _, statErr := os.Stat(w.layers["a"][0]); err != nil || statErr != nil {
				t.Errorf("trim: %v; while it is mounted: %v", err, statErr)
			}
			closed = true
			return nil
		}}
		h := newHarness(t, w)
		h.Caches = &Caches{Project: store.Project("p"), Pull: true}
		h.run(t, t.Context(), cached(t, plan.Cache{Key: plan.Literal("k")}))
		if _, err := os.Stat(w.layers["a"][0]); !closed || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what nobody uses any more is still there: %v", err)
		}
	})
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 59 * time.Second: "59s", time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m",
		time.Hour: "1h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 800 * time.Hour: "33d",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%s) = %s, want %s", d, got, want)
		}
	}
}
