package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

const evil = `</div><script>alert(1)</script>"'&<img src=x onerror=alert(1)>`

type file struct{ *strings.Reader }

func (file) Close() error { return nil }

// example is a run in which everything that can be hostile is.
func example(log string) *Run {
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	coverage := 81.5
	p := &plan.Plan{Name: evil, Source: evil, Stages: []string{"s", evil}, Batches: [][]string{{"ok", evil}, {"later"}}, Context: plan.Context{Ref: evil}}
	for _, name := range []string{"ok", evil, "later"} {
		p.Jobs = append(p.Jobs, plan.Job{Name: name, Image: plan.Image{Name: plan.Literal(evil)}})
	}
	p.Jobs[2].AfterStages = true
	p.Excluded = []plan.Excluded{{Name: evil, Reason: evil, Rules: "x"}}
	p.Rules = map[string][]plan.TriedRule{"x": {{Rule: evil, Unmet: "if"}}}
	return &Run{
		ID: evil, Plan: p, Started: started,
		Result: &exec.Result{Status: exec.StatusFailed, Duration: 10 * time.Second, Jobs: []exec.JobResult{
			{Name: "ok", Stage: "s", Status: exec.StatusSuccess, Started: started, Duration: time.Second, Log: "x", Coverage: &coverage, Reports: map[string]int{"junit": 1}},
			{Name: evil, Stage: evil, Status: exec.StatusFailed, Class: exec.ClassScript, ExitCode: 3, Error: evil, Help: evil, Started: started.Add(time.Second),
				Duration: 3 * time.Second, Log: evil, Tail: []string{evil, "\x00\x1b"},
				Attempts: []exec.Attempt{{Status: exec.StatusFailed, Duration: time.Second, Error: evil}, {Status: exec.StatusFailed}}},
			{Name: "later", Stage: "s", Status: exec.StatusSkipped, Reason: evil},
		}},
		Log: func(string) (io.ReadSeekCloser, error) { return file{strings.NewReader(log)}, nil },
		Tests: func(string) ([]io.ReadCloser, error) {
			return []io.ReadCloser{file{strings.NewReader(`<testsuites><testsuite><testcase/><testcase><failure>` +
				`x</failure></testcase><testcase><skipped/></testcase></testsuite></testsuites>`)}, file{strings.NewReader("<a>&bomb;")}}, nil
		},
	}
}

func pageOf(t *testing.T, r *Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestHTML: nothing hostile gets out of its place, and nothing is fetched.
func TestHTML(t *testing.T) {
	html := pageOf(t, example(evil+"\n\x1b[31m"+evil+"\x1b[0m\x1b]8;;javascript:alert(1)\x07link\n"))
	for _, forbidden := range []string{"<script", "<img", "http://", "https://", "url(", "\x1b", "<a href=\"java", " style=", "<link"} {
		if strings.Contains(html, forbidden) {
			t.Errorf("the page holds %s", forbidden)
		}
	}
	for _, want := range []string{
		`&lt;script&gt;alert(1)`, `<span class="f1">&lt;/div&gt;&lt;script&gt;`, "81.5 %", "3, 1 failed, 1 skipped; a report cannot be read",
		`<path class="edge"`, "<td>1: failed after 1.000 s &lt;/div&gt;", `<rect x="260"`, "default-src &#39;none&#39;; style-src &#39;sha256-", `class="badge failed"`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Index(html, `id="job-2"`) > strings.Index(html, `id="job-1"`) {
		t.Error("the failed job is not the first")
	}
	balanced(t, html)
}

var tag = regexp.MustCompile(`<(/?)([a-z0-9]+)([^>]*)>`)

// balanced fails unless all elements are closed, in order.
func balanced(t *testing.T, html string) {
	t.Helper()
	var open []string
	for _, m := range tag.FindAllStringSubmatch(html, -1) {
		switch name := m[2]; {
		case name == "meta" || strings.HasSuffix(m[3], "/"):
		case m[1] == "":
			open = append(open, name)
		case len(open) == 0 || open[len(open)-1] != name:
			t.Fatalf("</%s> closes %v", name, open)
		default:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Fatalf("not closed: %v", open)
	}
}

func TestRenderLog(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"a\nb", "a\nb\n"},
		{"\x1b[1;31mx\x1b[my\x1b[44;2mz", `<span class="b f1">x</span>y<span class="d k4">z</span>` + "\n"},
		{"\x1b[38;5;9;4mx\x1b[38;2;1;2;3;1my\x1b[38mz", `<span class="u f9">x</span><span class="b u f9">y</span><span class="b u f9">z</span>` + "\n"},
		{"\x1b[97;101mx\x1b[39;49;1;3m.\x1b[22;23m.", `<span class="f15 k9">x</span><span class="b i">.</span>.` + "\n"},
		{"section_start:1:a[collapsed=true]\r\x1b[0KHead <1>\nin\nsection_end:2:a\r\x1b[0K\nout", "<details><summary>Head &lt;1&gt;</summary>in\n</details>out\n"},
		{"section_start:1:a\r\x1b[0K\nsection_start:1:b\r\x1b[0Kx\nsection_end:1:a\r\x1b[0Kend", "<details open><summary>a</summary><details open><summary>x</summary></details></details>end\n"},
		{"section_end:1:never\r\x1b[0K\nsection_start:1:open\r\x1b[0KO", "<details open><summary>O</summary></details>"},
	} {
		if got := string(renderLog(test.text)); got != test.want {
			t.Errorf("%q\n got %s\nwant %s", test.text, got, test.want)
		}
	}
}

func FuzzRenderLog(f *testing.F) {
	f.Add("\x1b[1;31mx\x1b[38;5;300m<b>\nsection_start:1:a\r\x1b[0Kx\n")
	f.Fuzz(func(t *testing.T, text string) {
		html := string(renderLog(text))
		balanced(t, html)
		rest := regexp.MustCompile(`<span class="[a-z0-9 ]+">|</span>|<details( open)?>|</details>|</?summary>`).ReplaceAllString(html, "")
		if strings.ContainsAny(rest, "<>\x1b\x00\"'") {
			t.Errorf("%q became %q", text, html)
		}
	})
}

// TestLogLimit: the end of a long log is shown, from a line's beginning on.
func TestLogLimit(t *testing.T) {
	r := example(strings.Repeat("0123456789\n", maxFailed/10))
	html := pageOf(t, r)
	if len(html) > 2*(maxFailed+maxLog) || !strings.Contains(html, "are left out; the whole log is in") || strings.Contains(html, ">456789\n") {
		t.Errorf("%d bytes", len(html))
	}
}

func TestLargePlan(t *testing.T) {
	r := example("")
	for i := range maxNodes + maxBars {
		name := fmt.Sprint("j", i)
		r.Plan.Jobs = append(r.Plan.Jobs, plan.Job{Name: name})
		r.Result.Jobs = append(r.Result.Jobs, exec.JobResult{Name: name, Started: r.Started})
	}
	html := pageOf(t, r)
	if !strings.Contains(html, "too many jobs to be drawn") || !strings.Contains(html, "302 more jobs are left out") {
		t.Error("the drawings are not bounded")
	}
}

func TestJUnit(t *testing.T) {
	r := example("")
	r.Result.Jobs = append(r.Result.Jobs,
		exec.JobResult{Name: "sys", Stage: "s", Status: exec.StatusFailed, Class: exec.ClassSystem, Error: "disk"},
		exec.JobResult{Name: "flaky", Stage: "s", Status: exec.StatusFailed, Allowed: true, Error: "exit code 1"})
	var b bytes.Buffer
	if err := JUnit(&b, r); err != nil {
		t.Fatal(err)
	}
	var got suites
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != evil || got.Tests != 5 || got.Failures != 1 || got.Errors != 1 || got.Skipped != 2 || len(got.Suites) != 2 || got.Time != "10.000" {
		t.Errorf("got %+v", got)
	}
	bad := got.Suites[1].Cases[0]
	if bad.Name != evil || bad.Failure == nil || bad.Failure.Message != evil || bad.Failure.Type != "script" || bad.Failure.Text != evil+"\n\uFFFD\uFFFD" {
		t.Errorf("got %+v, %+v", bad, bad.Failure)
	}
	if c := got.Suites[0].Cases[0]; c.Properties == nil || c.Properties.List[0] != (property{"coverage", "81.5"}) {
		t.Errorf("got %+v", c)
	}
}
