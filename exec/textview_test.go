package exec

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/plan"
)

func TestTextView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{script: programs{
			"build": func(_ context.Context, _ Program, out io.Writer) (int, error) {
				io.WriteString(out, "$ make\r\n\x1b[32mok\x1b[0m\x1b[2J\n")
				time.Sleep(2100 * time.Millisecond)
				return 0, nil
			},
			"lint": func(_ context.Context, _ Program, out io.Writer) (int, error) {
				io.WriteString(out, "it is bad")
				return 3, nil
			},
			"flaky": exits(1),
		}}
		h := newHarness(t, w)
		h.Jobs = 1
		var out bytes.Buffer
		view := NewTextView(&out, false)
		h.Observer = view.Observe
		p := withArtifacts(t, "1 build art\n2 lint\n2 flaky allow\n2 look manual allow\n3 deploy", "on_success")
		p.Context.Ref = "main"
		h.run(t, t.Context(), p)
		want := `Run: run
Starting pipeline from ci.yml on main
Stages: stage1 → stage2 → stage3
Found 5 job(s)

[build] Starting job...
[build] Image: alpine:latest
[build] Stage: stage1
[build] $ make
[build] ok
[build] saved 1 artifact(s), 3 B
[build] ✓ Job completed successfully (2.1s)
[lint] Starting job...
[lint] Image: alpine:latest
[lint] Stage: stage2
[lint] artifacts from "build"
[lint] it is bad
[lint] ✗ Job failed: exit code 3 (0.0s)
[flaky] Starting job...
[flaky] Image: alpine:latest
[flaky] Stage: stage2
[flaky] artifacts from "build"
[flaky] ! Job failed, which is allowed: exit code 1 (0.0s)

✗ lint: exit code 3
  last lines of its output:
  | it is bad
  log: LOGS/lint.log
  to go on from here: cic exec --resume run

============================================================
✗ Pipeline failed
  Duration: 2.1s
  Jobs executed: 3
  Failed jobs: lint
  Failed as allowed: flaky
  Manual, not started: look (waits for a person)
  Skipped: deploy (job "lint" of an earlier stage failed)
============================================================
`
		if got := strings.ReplaceAll(out.String(), h.RunDir.Dir+"/logs", "LOGS"); got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
		if view.Err() != nil {
			t.Error(view.Err())
		}
	})
}

func TestTextViewVerdicts(t *testing.T) {
	started := time.Unix(1, 0)
	failed := JobResult{Name: "a", Status: StatusFailed, Error: "exit code 1", Started: started}
	for _, tt := range []struct {
		result Result
		want   string
	}{
		{Result{Status: StatusSuccess, Jobs: []JobResult{{Name: "a", Status: StatusSuccess, Started: started}}}, "✓ Pipeline completed successfully!"},
		{Result{Status: StatusFailed, Jobs: []JobResult{failed}}, "✗ Pipeline failed"},
		{Result{Status: StatusManual, Jobs: []JobResult{{Name: "m", Status: StatusManual}}}, "! Pipeline blocked on a manual job"},
		{Result{Status: StatusManual, Jobs: []JobResult{failed, {Name: "m", Status: StatusManual}}}, "✗ Pipeline failed, and is blocked on a manual job"},
		{Result{Status: StatusCanceled, Interrupted: true, Jobs: []JobResult{failed}}, "✗ Pipeline interrupted"},
		{Result{Status: StatusSkipped, Jobs: []JobResult{{Name: "a", Status: StatusSkipped}}}, "! Pipeline skipped: no job ran"},
		{Result{Status: StatusFailed, Jobs: []JobResult{{Name: "a", Status: StatusFailed, Error: "one\ntwo\n", Started: started}}}, "✗ a: one; two"},
		{Result{Status: StatusSuccess}, "No jobs to run."},
	} {
		var out bytes.Buffer
		NewTextView(&out, false).Observe(Event{Type: EventRunFinished, Summary: &tt.result})
		if !strings.Contains(out.String(), tt.want+"\n") {
			t.Errorf("want %q in:\n%s", tt.want, out.String())
		}
	}
}

// TestTextViewHostileNames: nothing from a plan or a job moves the cursor,
// sets a title or starts a line of its own.
func TestTextViewHostileNames(t *testing.T) {
	evil := "a\x1b[2J\u202e\nb\r\x07\u009b2J"
	res := JobResult{Name: evil, Stage: evil, Status: StatusFailed, Error: evil, Help: evil, Reason: evil, Log: evil,
		Tail: []string{evil}, Started: time.Unix(1, 0)}
	skipped := res
	skipped.Status, skipped.Started = StatusSkipped, time.Time{}
	for _, colour := range []bool{false, true} {
		var out bytes.Buffer
		v := NewTextView(&out, colour)
		v.Observe(Event{Type: EventRunStarted, Source: evil, Ref: evil, Stages: []string{evil}, Jobs: 2})
		v.Observe(Event{Type: EventJobStarted, Job: evil, Stage: evil, Image: evil})
		v.Observe(Event{Type: EventJobOutput, Job: evil, Text: evil})
		v.Observe(Event{Type: EventJobNote, Job: evil, Text: evil, Warning: true})
		v.Observe(Event{Type: EventJobFinished, Job: evil, Status: StatusFailed, Result: &res})
		v.Observe(Event{Type: EventRunFinished, Summary: &Result{Status: StatusFailed, Jobs: []JobResult{res, skipped}}})
		rest := regexp.MustCompile("\x1b\\[[0-9;]*m|\n").ReplaceAllString(out.String(), "")
		if i := strings.IndexFunc(rest, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }); i >= 0 {
			t.Errorf("colour %v: %q", colour, rest[max(0, i-20):])
		}
		for line := range strings.Lines(out.String()) {
			if strings.HasPrefix(line, "b") {
				t.Errorf("a name starts a line: %q", line)
			}
		}
	}
}

// TestTextViewClosedPipe: `cic exec | head` must neither end nor hold up the run.
func TestTextViewClosedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, &world{})
		view := NewTextView(w, false)
		h.Observer = view.Observe
		res := h.run(t, t.Context(), parsePlan(t, "1 a\n2 b"))
		if states(res) != "a=success b=success" {
			t.Error(states(res))
		}
		if view.Err() == nil || !strings.Contains(view.Err().Error(), syscall.EPIPE.Error()) {
			t.Errorf("%v", view.Err())
		}
	})
}

func TestDryRun(t *testing.T) {
	var out bytes.Buffer
	e := &Executor{Runtime: DryRun{}, Workspaces: DryRun{}, Now: time.Now, Jobs: 1, Observer: NewTextView(&out, false).Observe}
	p := withArtifacts(t, "1 a art\n2 b\n2 c on_failure", "always")
	p.Jobs[0].AfterScript = &plan.Script{Path: "jobs/a.after.sh", Shell: "sh"}
	res, err := e.Run(t.Context(), p, func(s plan.Script) ([]byte, error) { return []byte("exit 1\n"), nil })
	if err != nil || states(res) != "a=success b=success c=skipped" || res.ExitCode() != 0 {
		t.Fatalf("%v, %v", res, err)
	}
	if got := out.String(); !strings.Contains(got, "[a] would run the script with sh: 7 B\n") || !strings.Contains(got, "[a] would run the after_script with sh: 7 B\n") {
		t.Error(got)
	}
}

// BenchmarkRunFlood is the executor's own cost of output: 200 jobs of 10 MiB.
func BenchmarkRunFlood(b *testing.B) {
	line := []byte(strings.Repeat("x", 79) + "\n")
	w := &world{script: programs{}}
	var text strings.Builder
	for i := range 200 {
		name := fmt.Sprintf("j%d", i)
		fmt.Fprintf(&text, "1 %s\n", name)
		w.script[name] = func(_ context.Context, _ Program, out io.Writer) (int, error) {
			for range 10 << 20 / len(line) {
				out.Write(line)
			}
			return 0, nil
		}
	}
	p := parsePlan(b, text.String())
	b.SetBytes(200 * 10 << 20)
	b.ReportAllocs()
	for b.Loop() {
		e := &Executor{Runtime: w, Workspaces: w, Now: time.Now, Jobs: 4, Observer: NewTextView(io.Discard, false).Observe}
		if _, err := e.Run(b.Context(), p, func(plan.Script) ([]byte, error) { return nil, nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// Output is printed once no more comes, in one write with what came with it.
func TestTextViewPrintsTogetherWhatComesTogether(t *testing.T) {
	var writes []string
	v := NewTextView(writerFunc(func(p []byte) { writes = append(writes, string(p)) }), false)
	for _, text := range []string{"one", "two"} {
		v.Observe(Event{Type: EventJobOutput, Job: "j", Text: text})
	}
	v.Flush()
	v.Flush()
	v.Observe(Event{Type: EventJobOutput, Job: "j", Text: "three"})
	v.Observe(Event{Type: EventJobNote, Job: "j", Text: "note"})
	if want := []string{"[j] one\n[j] two\n", "[j] three\n[j] note\n"}; !slices.Equal(writes, want) {
		t.Errorf("got %q, want %q", writes, want)
	}
}
