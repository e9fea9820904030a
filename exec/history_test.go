package exec

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
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

// recordWithLog makes the record of a run whose job j has this log.
func recordWithLog(t *testing.T, text string) (*Record, string) {
	t.Helper()
	r := &Record{Dir: t.TempDir(), Jobs: []JobResult{{Name: "j"}}}
	if err := os.Mkdir(r.logsDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.logsDir(), "j.log")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r, path
}

func TestCopyLog(t *testing.T) {
	const text = "a\x1b]0;t\x07b\nprogress 1\rprogress 2\n\x1b[31mred\xff"
	r, path := recordWithLog(t, text)
	var b bytes.Buffer
	if err := r.CopyLog(t.Context(), &b, LogOptions{File: "j.log"}); err != nil || b.String() != text {
		t.Errorf("raw: %q, %v", b.String(), err)
	}
	b.Reset()
	err := r.CopyLog(t.Context(), &b, LogOptions{File: "j.log", Terminal: true, Timestamps: true})
	if want := strings.Repeat(" ", 23) + "- ab\n" + "progress 2\n" + strings.Repeat(" ", 23) + "- red\uFFFD\n"; err != nil || b.String() != want {
		t.Errorf("terminal: %q, %v\nwant %q", b.String(), err, want)
	}
	if err := r.CopyLog(t.Context(), io.Discard, LogOptions{File: "k.log"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a log that is not there: %v", err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(secret, nil, 0o600), os.Symlink(secret, filepath.Join(filepath.Dir(path), "link.log"))); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"../../secret", "/etc/passwd", "link.log"} {
		if err := r.CopyLog(t.Context(), io.Discard, LogOptions{File: file}); err == nil {
			t.Errorf("%s was read", file)
		}
	}
}

// TestTimedLog writes a log as a job does and reads it with its times, to the
// step by which they are kept.
func TestTimedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := recordWithLog(t, "")
		f, err := createTimed(filepath.Join(r.logsDir(), "k.log"), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now().UTC()
		for _, step := range []struct {
			wait time.Duration
			text string
		}{{0, "one\ntwo"}, {timesStep / 2, "\nthree\n"}, {time.Second, "four\n"}} {
			time.Sleep(step.wait)
			if _, err := io.WriteString(f, step.text); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		first, last := begin.Format(stampForm), begin.Add(timesStep/2+time.Second).Format(stampForm)
		want := first + " one\n" + first + " two\n" + first + " three\n" + last + " four\n"
		var b bytes.Buffer
		if err := r.CopyLog(t.Context(), &b, LogOptions{File: "k.log", Timestamps: true}); err != nil || b.String() != want {
			t.Errorf("got %v\n%swant\n%s", err, b.String(), want)
		}
	})
}

// TestFollowLog follows a log that appears late, grows, is truncated, and gives
// way to another, until the job is over.
func TestFollowLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recordWithLog(t, "")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		var over atomic.Bool
		write := func(flags int, text string) {
			t.Helper()
			f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flags, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(text); err != nil {
				t.Fatal(err)
			}
			f.Close()
			time.Sleep(2 * followPoll)
		}
		out := &bytes.Buffer{}
		done := make(chan error)
		go func() {
			done <- r.CopyLog(t.Context(), out, LogOptions{File: "j.log", Follow: true, Over: func() (bool, error) { return over.Load(), nil }})
		}()
		time.Sleep(2 * followPoll)
		write(0, "one\n")
		write(os.O_APPEND, "two\n")
		write(os.O_TRUNC, "cut\n")
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
		write(0, "again\n")
		write(os.O_APPEND, "end\n")
		over.Store(true)
		if err := <-done; err != nil || out.String() != "one\ntwo\ncut\nagain\nend\n" {
			t.Errorf("got %q, %v", out, err)
		}
	})
}

func TestFollowLogInterrupted(t *testing.T) {
	r, _ := recordWithLog(t, "x\n")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("stop")
	cancel(cause)
	o := LogOptions{File: "j.log", Follow: true, Over: func() (bool, error) { return false, nil }}
	if err := r.CopyLog(ctx, io.Discard, o); !errors.Is(err, cause) {
		t.Error(err)
	}
}

func TestLogs(t *testing.T) {
	r, _ := recordWithLog(t, "12345")
	r.Jobs = []JobResult{{Name: "k.log"}, {Name: "j"}}
	for _, name := range []string{"j.log.times", "j@attempt-1.log", "j@service-redis.log", "k.log.log", "stray.log"} {
		if err := os.WriteFile(filepath.Join(r.logsDir(), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := r.Logs()
	var got []string
	for _, l := range logs {
		got = append(got, l.Job+"="+l.File)
	}
	if want := "k.log=k.log.log j=j.log j=j@attempt-1.log j=j@service-redis.log =stray.log"; strings.Join(got, " ") != want || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for _, test := range []struct{ got, want string }{
		{r.LogFile("j", 0), "j.log"}, {r.LogFile("j", 1), "j@attempt-1.log"}, {r.LogFile("k.log", 1), "k.log.log"},
		{r.LogFile("j", 2), "j@attempt-2.log"}, {r.ServiceLogFile("j", "redis"), "j@service-redis.log"},
	} {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
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
