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
