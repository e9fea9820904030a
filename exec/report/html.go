package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/cic-ci/cic/exec"
)

//go:embed report.html
var pageText string

//go:embed report.css
var styleSheet string

var pageTemplate = template.Must(template.New("report").Parse(pageText))

// view is what the page shows.
type view struct {
	Title, Verdict, Status, ID, Source, Ref string
	Policy                                  string
	Style                                   template.CSS
	Started, Duration                       string
	Counts                                  []count
	Timeline                                *timeline
	Graph                                   *drawing
	Jobs                                    []job
	Excluded                                []excluded
}

type count struct {
	Status string
	Jobs   int
}

type excluded struct {
	Name, Reason string
	Rules        []string
}

// job is a job on the page.
type job struct {
	Name, Anchor, Stage, Status, Class, Image   string
	Text, Help, Reason, Error, Duration, Exit   string
	Artifacts, Coverage, Tests, Started, Cutoff string
	Open                                        bool
	Attempts                                    []string
	Log                                         template.HTML
}

// HTML writes a run as one page that needs nothing else: no script, no image, no
// font. Its policy (CSP) allows its own style sheet and nothing more.
func HTML(w io.Writer, r *Run) error {
	sum := sha256.Sum256([]byte(styleSheet))
	v := &view{
		Title: r.Plan.Name, ID: r.ID, Source: r.Plan.Source, Ref: r.Plan.Context.Ref,
		Policy:  "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
		Style:   template.CSS(styleSheet),
		Status:  string(r.Result.Status),
		Started: r.Started.UTC().Format("2006-01-02 15:04:05 UTC"), Duration: seconds(r.Result.Duration) + " s",
		Timeline: newTimeline(r),
	}
	if v.Title == "" {
		v.Title = r.Plan.Source
	}
	anchors := map[string]string{}
	for i := range r.Result.Jobs {
		anchors[r.Result.Jobs[i].Name] = fmt.Sprintf("job-%d", i+1)
	}
	v.Graph = newDrawing(r, anchors)
	v.Counts = counts(r.Result.Jobs)
	budget := int64(maxAllLogs)
	for _, j := range order(r.Result.Jobs) {
		shown, err := newJob(r, j, &budget)
		if err != nil {
			return fmt.Errorf("job %q: %w", j.Name, err)
		}
		shown.Anchor = anchors[j.Name]
		v.Jobs = append(v.Jobs, *shown)
	}
	for _, e := range r.Plan.Excluded {
		left := excluded{Name: e.Name, Reason: e.Reason}
		if e.Rules != "" {
			left.Rules = r.Plan.RuleLines(e.Rules)
		}
		v.Excluded = append(v.Excluded, left)
	}
	return pageTemplate.Execute(w, v)
}

func counts(jobs []exec.JobResult) []count {
	var list []count
	for i := range jobs {
		name := class(&jobs[i])
		at := slices.IndexFunc(list, func(c count) bool { return c.Status == name })
		if at < 0 {
			at = len(list)
			list = append(list, count{Status: name})
		}
		list[at].Jobs++
	}
	return list
}

// class is the status of a job as a CSS class: a failure that is allowed is a
// warning.
func class(j *exec.JobResult) string {
	if j.Status == exec.StatusFailed && j.Allowed {
		return "warning"
	}
	return string(j.Status)
}

func byStart(jobs []exec.JobResult) []*exec.JobResult {
	var list []*exec.JobResult
	for i := range jobs {
		if !jobs[i].Started.IsZero() {
			list = append(list, &jobs[i])
		}
	}
	slices.SortStableFunc(list, func(a, b *exec.JobResult) int { return a.Started.Compare(b.Started) })
	return list
}

// newJob gathers what the page shows of a job. budget is what may still be read
// of logs.
func newJob(r *Run, j *exec.JobResult, budget *int64) (*job, error) {
	out := &job{
		Name: j.Name, Stage: j.Stage, Status: string(j.Status), Class: class(j), Error: j.Error, Help: j.Help, Reason: j.Reason,
		Open: j.Failed(),
	}
	for i := range r.Plan.Jobs {
		if r.Plan.Jobs[i].Name == j.Name {
			out.Image = r.Plan.Jobs[i].Image.Name.String()
		}
	}
	if j.ExitCode != 0 {
		out.Exit = fmt.Sprint(j.ExitCode)
	}
	if !j.Started.IsZero() {
		out.Duration, out.Started = seconds(j.Duration)+" s", j.Started.UTC().Format(time.TimeOnly)
	}
	for i, a := range j.Attempts {
		out.Attempts = append(out.Attempts, strings.TrimSpace(fmt.Sprintf("%d: %s after %s s %s", i+1, a.Status, seconds(a.Duration), a.Error)))
	}
	if j.Artifacts > 0 {
		out.Artifacts = fmt.Sprintf("%d, %s", j.Artifacts, exec.ByteSize(j.ArtifactBytes))
	}
	if j.Coverage != nil {
		out.Coverage = fmt.Sprintf("%g %%", *j.Coverage)
	}
	var err error
	if out.Tests, err = tests(r, j); err != nil {
		return nil, err
	}
	return out, out.readLog(r, j, budget)
}

// readLog takes the end of the job's log, as far as there is room.
func (o *job) readLog(r *Run, j *exec.JobResult, budget *int64) (err error) {
	if r.Log == nil || j.Log == "" {
		return nil
	}
	limit := int64(maxLog)
	if j.Failed() {
		limit = maxFailed
	}
	limit = min(limit, *budget)
	log, err := r.Log(j.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer log.Close()
	html, left, err := logHTML(log, limit)
	if err != nil {
		return err
	}
	*budget -= int64(len(html))
	*budget = max(*budget, 0)
	o.Log = html
	if left > 0 {
		o.Cutoff = fmt.Sprintf("the first %s are left out; the whole log is in %s", exec.ByteSize(left), j.Log)
	}
	return nil
}

// tests sums up the JUnit reports of a job; one that cannot be read is said to be so.
func tests(r *Run, j *exec.JobResult) (string, error) {
	if r.Tests == nil || j.Reports["junit"] == 0 {
		return "", nil
	}
	files, err := r.Tests(j.Name)
	if err != nil {
		return "", err
	}
	var sum Tests
	var notes []string
	for _, f := range files {
		if err := sum.count(f); err != nil {
			notes = append(notes, fmt.Sprintf("a report cannot be read: %v", err))
		}
		if err := f.Close(); err != nil {
			return "", err
		}
	}
	text := fmt.Sprintf("%d, %d failed, %d skipped", sum.Total, sum.Failed, sum.Skipped)
	return strings.Join(append([]string{text}, notes...), "; "), nil
}
