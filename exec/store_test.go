package exec

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/plan"
)

func ids(runs []*RunDir) []string {
	var out []string
	for _, r := range runs {
		out = append(out, r.ID)
	}
	return out
}

func TestRunDirLife(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	a, err := CreateRun(state, "a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := CreateRun(state, "b")
	if err != nil {
		t.Fatal(err)
	}
	if a.Number != 1 || b.Number != 2 {
		t.Errorf("numbers %d and %d", a.Number, b.Number)
	}
	if _, err := CreateRun(state, "a"); !errors.Is(err, os.ErrExist) {
		t.Errorf("the same id again: %v", err)
	}
	for _, dir := range []string{state, a.Dir, a.PlanDir(), a.WorkspacesDir()} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
	if dead, err := DeadRuns(state); err != nil || len(dead) != 0 {
		t.Errorf("living runs are dead: %v, %v", ids(dead), err)
	}
	if err := a.append([]Event{{Type: EventRunStarted}, {Type: EventRunFinished}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Close(), a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(a.Dir, "work")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("work of a closed run: %v", err)
	}
	if _, err := os.Stat(filepath.Join(a.Dir, "logs")); err != nil {
		t.Errorf("logs of a closed run: %v", err)
	}
	if _, err := os.Stat(b.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the run that never began left something: %v", err)
	}
	if dead, err := DeadRuns(state); err != nil || len(dead) != 0 {
		t.Errorf("ended runs are dead: %v, %v", ids(dead), err)
	}
	if c, err := CreateRun(state, "c"); err != nil || c.Number != 4 {
		t.Errorf("the number after a refused and two ended runs: %+v, %v", c, err)
	}
}

func TestCreateRunRefuses(t *testing.T) {
	for _, id := range []string{"", ".", "..", "a/b", "../x", ".hidden", "/x"} {
		if _, err := CreateRun(t.TempDir(), id); err == nil {
			t.Errorf("id %q was accepted", id)
		}
	}
	state := t.TempDir()
	if err := os.MkdirAll(filepath.Join(state, "runs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "runs", counterName), []byte("seven\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateRun(state, "a"); err == nil || !strings.Contains(err.Error(), "seven") {
		t.Errorf("a counter that is no number: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateRun(file, "a"); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a state directory that is a file: %v", err)
	}
}

// die is what is left of a run whose process was killed.
func die(t *testing.T, r *RunDir, journal string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.Dir, journalName), []byte(journal), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestDeadRuns(t *testing.T) {
	state := t.TempDir()
	if dead, err := DeadRuns(filepath.Join(state, "none")); err != nil || dead != nil {
		t.Errorf("without a state directory: %v, %v", dead, err)
	}
	journals := map[string]string{
		"early": "",
		"mid":   `{"type":"run_started"}` + "\n" + `{"type":"job_started","job":"a"}` + "\n",
		"torn":  `{"type":"run_started"}` + "\n" + `{"type":"run_fin`,
		"ended": `{"type":"run_started"}` + "\n" + `{"type":"run_finished","status":"success"}` + "\n",
	}
	journals["unclean"] = journals["ended"]
	for _, id := range []string{"early", "ended", "mid", "torn", "unclean"} {
		r, err := CreateRun(state, id)
		if err != nil {
			t.Fatal(err)
		}
		if id == "ended" {
			if err := os.RemoveAll(filepath.Join(r.Dir, workName)); err != nil {
				t.Fatal(err)
			}
		}
		die(t, r, journals[id])
	}
	dead, err := DeadRuns(state)
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(dead); !slices.Equal(got, []string{"early", "mid", "torn", "unclean"}) {
		t.Fatalf("dead: %v", got)
	}
	if again, err := DeadRuns(state); err != nil || len(again) != 0 {
		t.Errorf("a second sweep takes the same runs: %v, %v", ids(again), err)
	}
	// A sweep that fails leaves them to the next.
	for _, r := range dead {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(r.Dir, "work")); err != nil {
			t.Errorf("a failed sweep removed what may still be in use: %v", err)
		}
	}
	if dead, err = DeadRuns(state); err != nil || len(dead) != 4 {
		t.Fatalf("after a failed sweep: %v, %v", ids(dead), err)
	}
	for _, r := range dead {
		if err := r.Bury(time.Unix(1e9, 0)); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(r.Dir, "work")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("work of a buried run: %v", err)
		}
	}
	if dead, err = DeadRuns(state); err != nil || len(dead) != 0 {
		t.Errorf("after burial: %v, %v", ids(dead), err)
	}
	journal, err := os.ReadFile(filepath.Join(state, "runs", "torn", journalName))
	if err != nil || !strings.HasSuffix(string(journal), "run_fin\n"+`{"version":1,"time":"`+time.Unix(1e9, 0).Format(time.RFC3339)+`","type":"run_finished","status":"canceled","died":true}`+"\n") {
		t.Errorf("journal: %q, %v", journal, err)
	}
	journal, err = os.ReadFile(filepath.Join(state, "runs", "unclean", journalName))
	if err != nil || string(journal) != journals["unclean"] {
		t.Errorf("a journal that had an end: %q, %v", journal, err)
	}
}

// A run that could not remove all it made is left to the next start.
func TestAbandon(t *testing.T) {
	state := t.TempDir()
	r, err := CreateRun(state, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.append([]Event{{Type: EventRunStarted}, {Type: EventRunFinished}}); err != nil {
		t.Fatal(err)
	}
	r.Abandon()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	dead, err := DeadRuns(state)
	if err != nil || !slices.Equal(ids(dead), []string{"a"}) {
		t.Fatalf("dead: %v, %v", ids(dead), err)
	}
	if err := dead[0].Bury(time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	if dead, err = DeadRuns(state); err != nil || len(dead) != 0 {
		t.Errorf("after burial: %v, %v", ids(dead), err)
	}
}

func TestJournalOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, &world{script: programs{"b": exits(3)}})
		h.Jobs = 1
		h.run(t, t.Context(), parsePlan(t, "1 a\n1 b\n2 c"))
		data, err := os.ReadFile(filepath.Join(h.RunDir.Dir, journalName))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
			var e Event
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			got = append(got, strings.TrimSpace(string(e.Type)+" "+e.Job+" "+string(e.Status)))
		}
		want := []string{
			"run_started", "job_started a", "job_finished a success", "job_started b",
			"job_finished b failed", "job_finished c skipped", "run_finished  failed",
		}
		if !slices.Equal(got, want) {
			t.Errorf("journal:\n%s", strings.Join(got, "\n"))
		}
		if ended, err := h.RunDir.ended(); !ended || err != nil {
			t.Errorf("the journal has no end: %v", err)
		}
	})
}

func TestRunIDsSortByTime(t *testing.T) {
	now := time.Date(2026, 11, 23, 13, 0, 0, 0, time.FixedZone("", 3600))
	a, b := NewRunID(now), NewRunID(now.Add(time.Second))
	if a >= b || !strings.HasPrefix(a, "20261123-120000-") || a == NewRunID(now) || plan.FileName(a) != a {
		t.Errorf("%s, %s", a, b)
	}
}
