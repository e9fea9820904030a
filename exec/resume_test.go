package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// past runs a plan in a world and returns the record of the run, which is over.
func past(t *testing.T, w *world, p *plan.Plan) (*harness, *Record) {
	t.Helper()
	h := newHarness(t, w)
	h.run(t, t.Context(), p)
	return h, recorded(t, h)
}

func recorded(t *testing.T, h *harness) *Record {
	t.Helper()
	r, err := ReadRun(filepath.Dir(filepath.Dir(h.RunDir.Dir)), h.RunDir.ID)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// again runs a plan on in a world, after the run of the record.
func again(t *testing.T, w *world, r *Record, p *plan.Plan, failed bool) (*harness, *Result, []string) {
	t.Helper()
	e, notes, err := Resume(t.Context(), r, p)
	if err != nil {
		t.Fatal(err)
	}
	if failed {
		if p, err = e.Retry(p); err != nil {
			t.Fatal(err)
		}
	}
	h := newHarness(t, w)
	h.Resume = e
	return h, h.run(t, t.Context(), p), notes
}

// reused lists the jobs that were not run again.
func reused(r *Result) string {
	var names []string
	for _, j := range r.Jobs {
		if j.Reused != "" {
			names = append(names, j.Name)
		}
	}
	return strings.Join(names, " ")
}

func TestResume(t *testing.T) {
	for _, tt := range []struct {
		name, plan string
		first      programs
		failed     bool
		states     string // of the second run
		reused     string
	}{
		{"all done", "1 a art\n2 b", nil, false, "a=success b=success", "a b"},
		{"what failed and what waited", "1 a art\n1 b\n2 c", programs{"b": exits(1)}, false, "a=success b=success c=success", "a"},
		{"allowed failure", "1 a allow\n2 b", programs{"a": exits(3)}, false, "a=failed/script b=success", "a b"},
		{"allowed failure, asked for", "1 a allow\n2 b", programs{"a": exits(3)}, true, "a=success", ""},
		{"only after a failure", "1 a\n2 f on_failure\n2 b", programs{"a": exits(1)}, false, "a=success f=skipped b=success", ""},
		{"always", "1 a\n2 z always", programs{"a": exits(1)}, false, "a=success z=success", "z"},
		{"failed alone", "1 a\n1 x\n2 b needs a\n2 y needs x\n3 c needs b", programs{"b": exits(1)}, true, "a=success b=success c=success", "a"},
		{"failed alone, stages", "1 a\n1 b\n2 c\n2 y needs a", programs{"b": exits(1)}, true, "a=success b=success c=success", "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := withArtifacts(t, tt.plan, "on_success")
				_, r := past(t, &world{script: tt.first}, p)
				w := &world{}
				_, res, notes := again(t, w, r, p, tt.failed)
				if got := states(res); got != tt.states {
					t.Errorf("got %s, want %s", got, tt.states)
				}
				if got := reused(res); got != tt.reused || len(notes) > 0 {
					t.Errorf("not run again: %s, want %s; %q", got, tt.reused, notes)
				}
				for _, j := range res.Jobs {
					if ran := w.happened("script "+j.Name) >= 0; ran == (j.Reused != "" || j.Status == StatusSkipped) {
						t.Errorf("%s ran: %v", j.Name, ran)
					}
					if j.Reused != "" && w.happened("setup "+j.Name) >= 0 {
						t.Errorf("a sandbox was made for %s", j.Name)
					}
				}
			})
		})
	}
}

// TestResumeCrash: a run whose process died has no result of the job that ran,
// which is run again with the artifacts of the others.
func TestResumeCrash(t *testing.T) {
	p := withArtifacts(t, "1 a art\n2 b\n3 c", "on_success")
	w := &world{script: programs{}}
	ran := make(chan struct{})
	w.script["b"] = func(context.Context, Program, io.Writer) (int, error) {
		close(ran)
		select {} // until the process dies
	}
	h := newHarness(t, w)
	go func() {
		_, _ = h.Run(context.Background(), p, func(s plan.Script) ([]byte, error) { return nil, nil }) //never ends
	}()
	<-ran
	// What is on the disk by now is what a crash leaves. The record of a's outputs
	// follows its end, and the journal what happens.
	for !ready(t, h, "a", EventJobStarted, "b") {
		time.Sleep(time.Millisecond)
	}
	r := recorded(t, h)
	w2 := &world{}
	_, res, notes := again(t, w2, r, p, false)
	if got := states(res); got != "a=success b=success c=success" || reused(res) != "a" || len(notes) > 0 {
		t.Errorf("%s, not run again: %s; %q", got, reused(res), notes)
	}
	if layers := w2.layers["b"]; len(layers) != 1 {
		t.Errorf("b sees %q", layers)
	}
}

// ready reports whether the outputs of a job are recorded, and an event is in the journal.
func ready(t *testing.T, h *harness, job string, typ EventType, of string) bool {
	if _, err := VerifyOutputs(t.Context(), h.RunDir.Dir, job); err != nil {
		return false
	}
	journal, err := os.ReadFile(filepath.Join(h.RunDir.Dir, journalName))
	return err == nil && strings.Contains(string(journal), fmt.Sprintf(`"type":"%s","job":"%s"`, typ, of))
}

// TestResumeDamage: a job whose outputs are not what was recorded is run again.
func TestResumeDamage(t *testing.T) {
	file := func(r *Record) string { return filepath.Join(r.Dir, "artifacts", "a", "f") }
	record := func(r *Record) string { return filepath.Join(r.Dir, "artifacts", "a@outputs.json") }
	for _, tt := range []struct {
		name, note string
		damage     func(r *Record) error
	}{
		{"changed", `artifact "f" has sha256 `, func(r *Record) error { return os.WriteFile(file(r), []byte("A=c"), 0o600) }},
		{"mode", `artifact "f" has changed`, func(r *Record) error { return os.Chmod(file(r), 0o755) }},
		{"missing", `artifact "f" is missing`, func(r *Record) error { return os.Remove(file(r)) }},
		{"link", `artifact "f" has sha256 `, func(r *Record) error {
			return errors.Join(os.Remove(file(r)), os.Symlink("/etc/passwd", file(r)))
		}},
		{"more", "files are there that the job did not leave", func(r *Record) error { return os.WriteFile(file(r)+"2", nil, 0o600) }},
		{"all gone", `artifact "f" is missing`, func(r *Record) error { return os.RemoveAll(filepath.Dir(file(r))) }},
		{"no record", "the run died before it could record", func(r *Record) error { return os.Remove(record(r)) }},
		{"torn record", "is damaged", func(r *Record) error { return os.Truncate(record(r), 20) }},
		{"other record", "is damaged", func(r *Record) error {
			return os.WriteFile(record(r), []byte(`{"job":"a","sha256":""}`), 0o600)
		}},
		{"artifacts removed", "keeps no artifacts any more", func(r *Record) error { return os.RemoveAll(filepath.Join(r.Dir, "artifacts")) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := withArtifacts(t, "1 a art\n2 b", "on_success")
			_, r := past(t, &world{}, p)
			if err := tt.damage(r); err != nil {
				t.Fatal(err)
			}
			_, res, notes := again(t, &world{}, r, p, false)
			if reused(res) != "b" || len(notes) != 1 || !strings.Contains(notes[0], `job "a" is run again: `) || !strings.Contains(notes[0], tt.note) {
				t.Errorf("not run again: %s; %q, want %q", reused(res), notes, tt.note)
			}
		})
	}
}

// TestResumeManual: a job that a person started and that passed is done; it does
// not ask again.
func TestResumeManual(t *testing.T) {
	p := parsePlan(t, "1 m manual\n2 b")
	r := &Record{ID: "r", Dir: t.TempDir(), Jobs: []JobResult{{Name: "m", Status: StatusSuccess}}}
	_, res, _ := again(t, &world{}, r, p, false)
	if got := states(res); got != "m=success b=success" || reused(res) != "m" {
		t.Errorf("%s, not run again: %s", got, reused(res))
	}
	if p.Jobs[0].When != "manual" {
		t.Error("the plan was changed")
	}
}

// TestResumeDotenv: the variables of a job that is not run again come along, and a
// run that goes on with one that went on has everything.
func TestResumeDotenv(t *testing.T) {
	p := withArtifacts(t, "1 a art\n2 b", "on_success")
	w := &world{script: programs{"b": exits(1)}}
	reporting(t, w, p, "a", "V=1\n")
	p.Jobs[1].DotenvFrom = []string{"a"}
	_, r := past(t, w, p)
	for range 2 {
		var env []string
		w2 := &world{script: programs{"b": func(_ context.Context, p Program, _ io.Writer) (int, error) {
			env = p.Env
			return 1, nil
		}}}
		h, res, notes := again(t, w2, r, p, false)
		if reused(res) != "a" || len(notes) > 0 || !slices.Contains(env, "CIC_DOTENV=export V='1'\n") {
			t.Errorf("not run again: %s; %q; %q", reused(res), notes, env)
		}
		if err := workspace.Remove(r.Dir); err != nil {
			t.Fatal(err)
		}
		r = recorded(t, h)
	}
}

func TestRetryNothing(t *testing.T) {
	p := parsePlan(t, "1 a\n2 b")
	_, r := past(t, &world{}, p)
	e, _, err := Resume(t.Context(), r, p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Retry(p); !errors.Is(err, ErrNothingFailed) {
		t.Errorf("%v", err)
	}
}
