package exec

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// makeRun makes a run with a journal of these events, and returns its lock.
func makeRun(t *testing.T, state, id string, events ...Event) *RunDir {
	t.Helper()
	r, err := CreateRun(state, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.append(events); err != nil {
		t.Fatal(err)
	}
	return r
}

func started(at time.Time) Event {
	return Event{Time: at, Type: EventRunStarted, Source: "ci.yml", Ref: "main", Stages: []string{"s"}, Jobs: 3}
}

func finished(job string, status Status) Event {
	return Event{Type: EventJobFinished, Job: job, Result: &JobResult{Name: job, Status: status}}
}

func TestReadRun(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	begin := Event{Time: at, Type: EventJobStarted, Job: "b", Stage: "s"}
	for _, test := range []struct {
		name   string
		events []Event
		lives  bool
		status Status
		jobs   string
	}{
		{"nothing", nil, false, StatusInterrupted, ""},
		{"living", []Event{started(at), finished("a", StatusSuccess), begin}, true, StatusRunning, "a=success b=running"},
		{"dead", []Event{started(at), finished("a", StatusFailed), begin}, false, StatusInterrupted, "a=failed b=interrupted"},
		{"ended", []Event{started(at), begin, finished("b", StatusSuccess), {Type: EventRunFinished, Status: StatusSuccess, Seconds: 2}}, false, StatusSuccess, "b=success"},
		{"requeued", []Event{started(at), finished("b", StatusManual), finished("c", StatusSkipped), {Type: EventJobRequeued, Job: "b"}, begin}, false,
			StatusInterrupted, "c=skipped b=interrupted"},
		{"buried", []Event{started(at), begin, {Type: EventRunFinished, Status: StatusCanceled, Died: true}}, false, StatusInterrupted, "b=interrupted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			state := t.TempDir()
			dir := makeRun(t, state, "20260102-030405-aaaaaaaa", test.events...)
			if test.lives {
				defer dir.Close()
			} else if err := dir.unlock(); err != nil {
				t.Fatal(err)
			}
			r, err := ReadRun(state, dir.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got := states(&Result{Jobs: r.Jobs}); r.Status != test.status || got != test.jobs {
				t.Errorf("got %s, %s; want %s, %s", r.Status, got, test.status, test.jobs)
			}
			if len(test.events) > 0 && (r.Source != "ci.yml" || r.Ref != "main" || r.Total != 3 || !r.Started.Equal(at)) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

// The duration of a run whose process died reaches to the last that it wrote.
func TestDurationOfDeadRun(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	begin := Event{Time: at.Add(time.Second), Type: EventJobStarted, Job: "b", Stage: "s"}
	died := Event{Time: at.Add(time.Hour), Type: EventRunFinished, Status: StatusCanceled, Died: true}
	for _, test := range []struct {
		events []Event
		log    time.Duration // when the job's log was written last
		want   time.Duration
	}{
		{[]Event{started(at), begin}, 0, time.Second},
		{[]Event{started(at), begin}, time.Minute, time.Minute},
		{[]Event{started(at), begin, died}, time.Minute, time.Minute},
		{[]Event{started(at), begin, {Time: at.Add(3 * time.Second), Type: EventRunFinished, Status: StatusFailed, Seconds: 2}}, time.Minute, 2 * time.Second},
	} {
		state := t.TempDir()
		dir := makeRun(t, state, "r1", test.events...)
		if test.log > 0 {
			log := dir.LogPath("b")
			if err := errors.Join(os.WriteFile(log, nil, 0o600), os.Chtimes(log, time.Time{}, at.Add(test.log))); err != nil {
				t.Fatal(err)
			}
		}
		if err := dir.unlock(); err != nil {
			t.Fatal(err)
		}
		r, err := ReadRun(state, "r1")
		if err != nil || r.Duration != test.want {
			t.Errorf("got %v, %v, want %v", r.Duration, err, test.want)
		}
	}
}

// TestReadRunTorn reads a journal of which a crash tore lines.
func TestReadRunTorn(t *testing.T) {
	state := t.TempDir()
	dir := makeRun(t, state, "r1", started(time.Now()), finished("a", StatusSuccess))
	if _, err := dir.journal.WriteString("{\"type\":\"job_fin\n{\"type\":\"run_finished\",\"status\":\"failed\"}\n{\"ty"); err != nil {
		t.Fatal(err)
	}
	if err := dir.unlock(); err != nil {
		t.Fatal(err)
	}
	r, err := ReadRun(state, "r1")
	if err != nil || r.Status != StatusFailed || len(r.Jobs) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestFindRun(t *testing.T) {
	state := t.TempDir()
	if _, err := FindRun(state, "last"); !errors.Is(err, ErrNoRun) {
		t.Errorf("in an empty state directory: %v", err)
	}
	for _, id := range []string{"20260101-000000-aa", "20260102-000000-bb", "20260102-111111-cc"} {
		if err := makeRun(t, state, id, started(time.Now())).Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ ref, want, err string }{
		{"last", "20260102-111111-cc", ""},
		{"20260101", "20260101-000000-aa", ""},
		{"20260102-000000-bb", "20260102-000000-bb", ""},
		{"20260102", "", `"20260102" is the beginning of 2 runs: 20260102-111111-cc, 20260102-000000-bb`},
		{"", "", `no such run: ""`},
		{"../runs/20260101-000000-aa", "", `no such run: "../runs/20260101-000000-aa"`},
		{".counter", "", `no such run: ".counter"`},
	} {
		got, err := FindRun(state, test.ref)
		if got != test.want || test.err != "" && (err == nil || err.Error() != test.err) {
			t.Errorf("%q: got %q, %v", test.ref, got, err)
		}
	}
	for _, id := range []string{"../runs", ".", "..", "", "a/b", `a\b`, ".counter"} {
		if _, err := ReadRun(state, id); err == nil {
			t.Errorf("read of %q", id)
		}
		if err := RemoveRun(state, id); err == nil {
			t.Errorf("removal of %q", id)
		}
	}
}

func TestRemoveRun(t *testing.T) {
	state := t.TempDir()
	dir := makeRun(t, state, "r1", started(time.Now()))
	if err := RemoveRun(state, "r1"); !errors.Is(err, ErrRunLives) {
		t.Errorf("a living run: %v", err)
	}
	if err := dir.unlock(); err != nil {
		t.Fatal(err)
	}
	if err := RemoveRun(state, "r1"); err == nil || !strings.Contains(err.Error(), "not swept") {
		t.Errorf("a dead run: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(dir.Dir, workName)); err != nil {
		t.Fatal(err)
	}
	if err := RemoveRun(state, "r1"); err != nil {
		t.Error(err)
	}
	if ids, err := RunIDs(state); len(ids) != 0 || err != nil {
		t.Errorf("left: %q, %v", ids, err)
	}
}

// TestArtifactSet copies what a hostile job left: no link is followed, neither in
// the artifacts nor in the directory that they are copied to.
func TestArtifactSet(t *testing.T) {
	r := &Record{Dir: t.TempDir()}
	outside := t.TempDir()
	tree := filepath.Join(r.Dir, "artifacts", "j")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(tree, "dir"), 0o755))
	must(os.WriteFile(filepath.Join(tree, "dir", "f"), []byte("text"), 0o640))
	must(os.WriteFile(filepath.Join(tree, "\xff\n"), nil, 0o600))
	must(os.Symlink(outside, filepath.Join(tree, "out")))
	must(os.Symlink("dir/f", filepath.Join(tree, "in")))
	must(os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600))
	set, err := r.OpenArtifacts("j")
	must(err)
	defer set.Close()
	all, err := set.List(nil)
	must(err)
	var names []string
	for _, a := range all {
		names = append(names, a.Path)
	}
	if got := strings.Join(names, " "); got != "dir dir/f in out \xff\n" {
		t.Errorf("list: %q", got)
	}
	for _, path := range []string{"../x", "/etc/passwd", "out/secret", "nosuch"} {
		if _, err := set.List([]string{path}); err == nil {
			t.Errorf("%s was listed", path)
		}
		if _, err := set.Open(path); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
	for _, path := range []string{"in", "out", "dir"} {
		if _, err := set.Open(path); err == nil {
			t.Errorf("%s is no file, and was opened", path)
		}
	}
	to := t.TempDir()
	dir, err := os.OpenRoot(to)
	must(err)
	defer dir.Close()
	var warnings []string
	must(set.CopyTo(dir, all, false, func(msg string) { warnings = append(warnings, msg) }))
	if data, err := os.ReadFile(filepath.Join(to, "in")); string(data) != "text" || err != nil {
		t.Errorf("copied %q, %v", data, err)
	}
	if info, err := os.Stat(filepath.Join(to, "dir", "f")); err != nil || info.Mode() != 0o640 {
		t.Errorf("copied %v, %v", info, err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], `"out" is a link out`) {
		t.Errorf("warnings %q", warnings)
	}
	if err := set.CopyTo(dir, all, false, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("copied over files: %v", err)
	}
	must(set.CopyTo(dir, all[:3], true, nil))
	must(os.RemoveAll(filepath.Join(to, "dir")))
	must(os.Symlink(outside, filepath.Join(to, "dir")))
	if err := set.CopyTo(dir, all[1:2], true, nil); err == nil {
		t.Error("copied through a link")
	}
	if _, err := os.Stat(filepath.Join(outside, "f")); err == nil {
		t.Error("a file was written outside")
	}
}
