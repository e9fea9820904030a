package exec

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// imageWorld is a world that knows digests of images.
type imageWorld struct {
	*world
	digest string
	err    error
}

func (w *imageWorld) ImageDigest(context.Context, string, []string) (string, error) {
	return w.digest, w.err
}

// reuser runs a plan again and again with one store of keys.
type reuser struct {
	state   string
	project string
	plan    *plan.Plan
	image   string
	source  []KeyPart
	options []KeyPart
	vars    map[string]string
	secrets *Secrets
	runs    int
}

// run returns the jobs that were not run, and what was recorded of job b.
func (r *reuser) run(t *testing.T) (string, *KeyDecision) {
	t.Helper()
	r.runs++
	dir, err := CreateRun(r.state, "run"+string(rune('a'+r.runs)))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{}
	h := &harness{world: w}
	h.Executor = &Executor{Runtime: &imageWorld{world: w, digest: r.image}, Workspaces: w, Now: time.Now, RunDir: dir, Jobs: 4,
		Variables: r.vars, Secrets: r.secrets,
		Observer: func(e Event) { h.events = append(h.events, e) },
		Reuse: &Reuse{StateDir: r.state, Project: r.project, Options: r.options,
			Source: func() ([]KeyPart, error) { return r.source, nil }}}
	res := h.run(t, t.Context(), r.plan)
	if err := dir.Close(); err != nil {
		t.Error(err)
	}
	if res.Status != StatusSuccess {
		t.Errorf("run %d: %s", r.runs, states(res))
	}
	record := &Record{Dir: dir.Dir}
	d, err := ReadKeyDecision(record, "b")
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range res.Jobs {
		if ran := w.happened("setup "+j.Name) >= 0; ran == (j.Reused != "") {
			t.Errorf("run %d: a sandbox for %s: %v", r.runs, j.Name, ran)
		}
	}
	return reused(res), d
}

func newReuser(t *testing.T) *reuser {
	p := withArtifacts(t, "1 a art\n2 b\n2 d", "on_success")
	p.Jobs[0].Script.SHA256, p.Jobs[1].Script.SHA256 = "1", "2"
	p.Jobs[2].Environment = &plan.Environment{Name: plan.Literal("production")}
	p.Jobs[1].Secrets = []plan.Secret{{Name: "TOKEN"}}
	return &reuser{state: t.TempDir(), project: "/p", plan: p, image: "sha256:1", source: []KeyPart{{"file x", "1"}}, vars: map[string]string{"CI_COMMIT_SHA": "1"},
		secrets: NewSecrets(map[string]Sensitive{"TOKEN": NewSensitive("a long secret")})}
}

// TestReuseKey: each thing that a job's outcome follows from makes it run again,
// and is what differs; what does not matter does not.
func TestReuseKey(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(r *reuser)
		part   string // of b's key, empty if b is not run again
	}{
		{"nothing", func(*reuser) {}, ""},
		{"script", func(r *reuser) { r.plan.Jobs[1].Script.SHA256 = "3" }, "script"},
		{"after_script", func(r *reuser) {
			r.plan.Jobs[1].AfterScript = &plan.Script{Path: "jobs/b.after.sh", SHA256: "4", Shell: "sh"}
		}, "after_script"},
		{"image", func(r *reuser) { r.image = "sha256:2" }, "image"},
		{"entry point", func(r *reuser) { r.plan.Jobs[1].Image.Entrypoint = []plan.Text{plan.Literal("x")} }, "image run as"},
		{"variable", func(r *reuser) { r.vars = map[string]string{"CI_COMMIT_SHA": "2"} }, "variable CI_COMMIT_SHA"},
		{"secret", func(r *reuser) {
			r.secrets = NewSecrets(map[string]Sensitive{"TOKEN": NewSensitive("another secret")})
		}, "secret TOKEN"},
		{"source", func(r *reuser) { r.source = []KeyPart{{"file x", "2"}} }, "file x"},
		{"option", func(r *reuser) { r.options = []KeyPart{{"--network", "none"}} }, "--network"},
		{"artifacts", func(r *reuser) {
			r.plan.Jobs[1].Artifacts = &plan.Artifacts{Paths: []plan.Text{plan.Literal("y")}, When: "always"}
		}, "artifacts"},
		{"project", func(r *reuser) { r.project = "/q" }, "-"},
		{"timeout", func(r *reuser) { r.plan.Jobs[1].Timeout++ }, "variable CI_JOB_TIMEOUT"},
		{"coverage", func(r *reuser) { r.plan.Jobs[1].Coverage = "x" }, "coverage"},
		{"allow_failure", func(r *reuser) { r.plan.Jobs[1].AllowFailure = true }, ""},
		{"retry", func(r *reuser) { r.plan.Jobs[1].Retry = &plan.Retry{Max: 1} }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReuser(t)
				if got, _ := r.run(t); got != "" {
					t.Fatalf("not run at first: %s", got)
				}
				time.Sleep(time.Minute)
				tt.change(r)
				got, d := r.run(t)
				if tt.part == "" {
					if got != "a b" || d.Reused != "runb" {
						t.Errorf("not run again: %s; %+v", got, d)
					}
					return
				}
				if strings.Contains(got, "b") || d.Why == "" {
					t.Fatalf("not run again: %s; %+v", got, d)
				}
				nearest, err := NearestKey(r.state, d)
				if err != nil {
					t.Fatal(err)
				}
				if tt.part == "-" {
					if nearest != nil {
						t.Errorf("another project's key is near: %+v", nearest)
					}
					return
				}
				changes := KeyChanges(nearest.Parts, d.Parts)
				if len(changes) != 1 || changes[0].Name != tt.part {
					t.Errorf("changed: %+v, want %s", changes, tt.part)
				}
			})
		})
	}
}

// TestReuseInput: a job whose input comes out differently is run again; one whose
// input is made anew but is the same is not.
func TestReuseInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReuser(t)
		r.run(t)
		r.plan.Jobs[0].Script.SHA256 = "9" // which makes the same artifacts
		if got, d := r.run(t); got != "b" {
			t.Errorf("not run again: %s; %+v", got, d)
		}
	})
}

// TestReuseLost: a result whose artifacts are gone or altered is not taken; one
// that a later run took over outlives the run that made it.
func TestReuseLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReuser(t)
		r.run(t)
		if err := workspace.Remove(filepath.Join(r.state, "runs", "runb", "artifacts")); err != nil {
			t.Fatal(err)
		}
		if got, _ := r.run(t); got != "b" {
			t.Errorf("not run again: %s", got)
		}
		if got, _ := r.run(t); got != "a b" {
			t.Errorf("not run again: %s", got)
		}
		for _, id := range []string{"runb", "runc"} {
			if err := workspace.Remove(filepath.Join(r.state, "runs", id)); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := r.run(t); got != "a b" {
			t.Errorf("not run again: %s", got)
		}
		if err := os.WriteFile(filepath.Join(r.state, "runs", "rune", "artifacts", "a", "f"), []byte("A=x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _ := r.run(t); got != "b" {
			t.Errorf("not run again: %s", got)
		}
		// What cannot be read counts as absent.
		keys, err := filepath.Glob(filepath.Join(r.state, "keys", "*.json"))
		if err != nil || len(keys) == 0 {
			t.Fatal(keys, err)
		}
		for i, k := range keys {
			if err := os.WriteFile(k, []byte([]string{"", "{", `{"run":"../../etc"}`}[i%3]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := r.run(t); got != "" {
			t.Errorf("not run again: %s", got)
		}
	})
}

// TestReuseSecretStaysHidden: nothing that is kept of keys tells a secret, not
// even by trying values.
func TestReuseSecretStaysHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, other := newReuser(t), newReuser(t)
		_, d := r.run(t)
		_, o := other.run(t)
		at := func(d *KeyDecision) string {
			i := slices.IndexFunc(d.Parts, func(p KeyPart) bool { return p.Name == "secret TOKEN" })
			return d.Parts[i].Value
		}
		if at(d) == at(o) || strings.Contains(at(d), "secret") {
			t.Errorf("%s and %s", at(d), at(o))
		}
	})
}

func TestReuseNoDigest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReuser(t)
		r.image = ""
		r.run(t)
		got, d := r.run(t)
		if got != "" || d.Why != errNoDigest.Error() || d.Key != "" {
			t.Errorf("not run again: %s; %+v", got, d)
		}
	})
}

func TestUnskippable(t *testing.T) {
	for want, j := range map[string]plan.Job{
		"":               {When: "on_success"},
		"environment":    {When: "on_success", Environment: &plan.Environment{}},
		"when: always":   {When: "always"},
		"when: manual":   {When: "manual"},
		"resource_group": {When: "on_success", ResourceGroup: &plan.Text{Value: "x"}},
	} {
		if got := unskippable(&plan.Plan{}, &j); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSourceScan(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "sub", "cache.json")
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode))
		if err != nil {
			t.Fatal(err)
		}
	}
	write("a", "1", 0o644)
	write("sub/b", "2", 0o644)
	write(".git/x", "3", 0o644)
	write("ignored", "4", 0o644)
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(time.Minute) // what was just written is old by then
	scan := func(files []string) []KeyPart {
		t.Helper()
		parts, err := (&SourceScan{Dir: dir, Files: files, Cache: cache, Now: now}).Parts()
		if err != nil {
			t.Fatal(err)
		}
		return parts
	}
	names := func(parts []KeyPart) (list []string) {
		for _, p := range parts {
			list = append(list, p.Name)
		}
		return list
	}
	all := scan(nil)
	if got := names(all); !slices.Equal(got, []string{"file a", "file ignored", "file link", "file sub/b"}) {
		t.Errorf("%q", got)
	}
	if again := scan(nil); !slices.Equal(again, all) {
		t.Errorf("%v and %v", all, again)
	}
	clean := []string{"a", "gone", "link", "sub/b"}
	first := scan(clean)
	for _, change := range []struct {
		name string
		do   func()
	}{
		{"sub/b", func() { write("sub/b", "5", 0o644) }},
		{"a", func() { write("a", "1", 0o755) }},
		{"link", func() {
			link := filepath.Join(dir, "link")
			if err := errors.Join(os.Remove(link), os.Symlink("a", link)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		change.do()
		next := scan(clean)
		changes := KeyChanges(first, next)
		if len(changes) != 1 || changes[0].Name != "file "+change.name {
			t.Errorf("%s: %+v", change.name, changes)
		}
		first = next
	}
	// The cache is read: a file whose stamp it knows is not.
	write("a", "changed", 0o755)
	if err := os.WriteFile(cache, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if changes := KeyChanges(first, scan(clean)); len(changes) != 1 {
		t.Errorf("with a torn cache: %+v", changes)
	}
	// Of many files there is a part for each directory.
	for i := range maxSourceParts + 1 {
		write("many/"+strings.Repeat("x", i+1), "", 0o644)
	}
	if got := names(scan(nil)); !slices.Equal(got, []string{"file a", "file ignored", "file link", "directory many", "directory sub"}) {
		t.Errorf("%q", got)
	}
}
