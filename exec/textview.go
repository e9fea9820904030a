package exec

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// TextView prints a run for people: whole lines, each with its job's name
// before it, and a summary at the end. Its Observe method is an
// [Executor.Observer]. An error of the writer, such as a closed pipe, ends the
// view and nothing else.
type TextView struct {
	// Timestamps puts the time of day before each line of a job.
	Timestamps bool

	w      io.Writer
	colour bool
	buf    bytes.Buffer
	err    error

	prefixOf, prefix string // the last job's
	run              string // the run's id, if it has one
	dry              bool   // nothing is run
}

// NewTextView returns a view. colour says whether escape sequences for colours
// may be printed, the jobs' own included.
func NewTextView(w io.Writer, colour bool) *TextView { return &TextView{w: w, colour: colour} }

// Err returns the first error of the writer.
func (v *TextView) Err() error { return v.err }

// The colours of the view, as SGR parameters.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
	dim    = "2"
)

const ruleWidth = 60

// textBytes is how much output may wait for [TextView.Flush].
const textBytes = 32 << 10

// Flush prints the output that waits.
func (v *TextView) Flush() {
	if v.err == nil && v.buf.Len() > 0 {
		_, v.err = v.w.Write(v.buf.Bytes())
	}
	v.buf.Reset()
}

// Observe prints an event; output may wait for [TextView.Flush] or the next event
// of another kind. It is not safe for concurrent use.
func (v *TextView) Observe(e Event) {
	if v.err != nil {
		return
	}
	switch e.Type {
	case EventRunStarted:
		v.runStarted(&e)
	case EventJobWaiting:
		v.job(&e, v.paint(dim, "Waiting: "+DisplayName(e.Text)))
	case EventJobRequeued:
		v.job(&e, v.paint(dim, "Waiting again: "+DisplayName(e.Text)))
	case EventJobRetried:
		v.job(&e, v.paint(yellow, fmt.Sprintf("! Attempt %d failed: %s (%.1fs); trying again", e.Attempt, oneLine(e.Result.Error), e.Seconds)))
	case EventJobStarted:
		if !v.dry {
			v.job(&e, v.paint(bold, "Starting job..."))
		}
		if e.Image != "" {
			v.job(&e, "Image: "+familiarImage(e.Image))
		}
		v.job(&e, "Stage: "+DisplayName(e.Stage))
	case EventJobOutput:
		v.output(&e)
	case EventJobNote:
		for line := range strings.Lines(e.Text) {
			line = SanitizeTerminal(strings.TrimSuffix(line, "\n"), false)
			if e.Warning {
				v.job(&e, v.paint(yellow, "warning: "+line))
			} else {
				v.job(&e, v.paint(dim, line))
			}
		}
	case EventPipelineStarted:
		v.job(&e, childText(&e))
	case EventPipelineFinished:
		v.job(&e, v.paint(dim, "Child pipeline: "+string(e.Status)))
	case EventJobFinished:
		v.jobFinished(&e)
	case EventRunFinished:
		v.runFinished(e.Summary)
	}
	if e.Type != EventJobOutput || v.buf.Len() > textBytes {
		v.Flush()
	}
}

func (v *TextView) paint(sgr, text string) string {
	if !v.colour {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (v *TextView) line(format string, args ...any) { fmt.Fprintf(&v.buf, format+"\n", args...) }

// job prints a line of a job. Most lines follow one of the same job.
func (v *TextView) job(e *Event, text string) {
	if v.prefix == "" || v.prefixOf != e.Job {
		v.prefixOf, v.prefix = e.Job, v.paint(dim, "["+DisplayName(e.Job)+"]")+" "
	}
	if v.Timestamps {
		v.buf.WriteString(e.Time.Format("15:04:05.000 "))
	}
	v.buf.WriteString(v.prefix)
	v.buf.WriteString(text)
	v.buf.WriteByte('\n')
}

// output prints a line of output. The header of a section stands out; the
// markers themselves are not shown.
func (v *TextView) output(e *Event) {
	marks, text := ParseMarks(e.Text)
	shown := SanitizeTerminal(text, v.colour)
	if len(marks) == 0 {
		v.job(e, shown)
		return
	}
	if last := marks[len(marks)-1]; last.Start && strings.TrimSpace(shown) == "" {
		shown = last.Name
	}
	if strings.TrimSpace(shown) != "" {
		v.job(e, v.paint(bold, "▸ "+shown))
	}
}

func (v *TextView) runStarted(e *Event) {
	if v.run = e.Run; v.run != "" {
		v.line("Run: %s", v.run)
	}
	v.dry = e.DryRun
	ref := ""
	if e.Ref != "" {
		ref = " on " + DisplayName(e.Ref)
	}
	v.line("Starting pipeline from %s%s", DisplayName(e.Source), ref)
	stages := make([]string, len(e.Stages))
	for i, s := range e.Stages {
		stages[i] = DisplayName(s)
	}
	if len(stages) > 0 {
		v.line("Stages: %s", strings.Join(stages, " → "))
	}
	v.line("Found %d job(s)\n", e.Jobs)
}

func (v *TextView) jobFinished(e *Event) {
	res := e.Result
	switch {
	case v.dry && e.Status == StatusSuccess:
	case res.Reused != "" && !e.Result.Started.IsZero():
		v.job(e, v.paint(dim, "✓ Job not run again")) // its log says why
	case res.Reused != "":
		v.job(e, v.paint(dim, "✓ "+DisplayName(res.Reason)))
	case e.Status == StatusSuccess:
		v.job(e, v.paint(green, fmt.Sprintf("✓ Job completed successfully (%.1fs)", e.Seconds)))
	case e.Status == StatusFailed:
		text, sgr := "✗ Job failed: ", red
		if res.Allowed {
			text, sgr = "! Job failed, which is allowed: ", yellow
		}
		v.job(e, v.paint(sgr, fmt.Sprintf("%s%s (%.1fs)", text, oneLine(res.Error), e.Seconds)))
		for line := range strings.Lines(res.Help) {
			v.job(e, "help: "+SanitizeTerminal(strings.TrimSuffix(line, "\n"), false))
		}
	case e.Status == StatusCanceled && !res.Started.IsZero():
		v.job(e, v.paint(yellow, fmt.Sprintf("✗ Job canceled: %s (%.1fs)", oneLine(res.Error), e.Seconds)))
	}
}

// runFinished prints the summary: of each failed job the last lines of its
// output and where the rest is, then what was not run and why, then the verdict.
func (v *TextView) runFinished(r *Result) {
	if len(r.Jobs) == 0 {
		v.line("No jobs to run.")
		return
	}
	counts := r.Counts()
	var failed, aside []JobResult
	for i := range r.Jobs {
		switch j := &r.Jobs[i]; {
		case counts[i]:
			failed = append(failed, *j)
		case j.Failed():
			aside = append(aside, *j)
		default:
			continue
		}
		v.failure(&r.Jobs[i])
	}
	v.line("\n%s", strings.Repeat("=", ruleWidth))
	v.line("%s", v.verdict(r))
	if !v.dry {
		v.line("  Duration: %.1fs", r.Duration.Seconds())
	}
	executed := 0
	for i := range r.Jobs {
		if j := &r.Jobs[i]; !j.Started.IsZero() && j.Reused == "" {
			executed++
		}
	}
	if v.dry {
		v.line("  Jobs that would run: %d", executed)
	} else {
		v.line("  Jobs executed: %d", executed)
	}
	v.list("Jobs not run again", r.Jobs, func(j *JobResult) bool { return j.Reused != "" })
	v.list("Failed jobs", failed, (*JobResult).Failed)
	v.list("Failed in child pipelines that do not count", aside, (*JobResult).Failed)
	v.list("Failed as allowed", r.Jobs, func(j *JobResult) bool { return j.Status == StatusFailed && j.Allowed })
	for i := range r.Jobs {
		if j := &r.Jobs[i]; j.Started.IsZero() && j.Reused == "" {
			v.line("  %s: %s (%s)", notRun(j.Status), DisplayName(j.Name), DisplayName(j.Reason))
		}
	}
	v.line("%s", strings.Repeat("=", ruleWidth))
}

// oneLine is the text of an error, of which several that were joined are lines.
func oneLine(text string) string {
	return SanitizeTerminal(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "), false)
}

func (v *TextView) failure(j *JobResult) {
	v.line("\n%s", v.paint(red, fmt.Sprintf("✗ %s: %s", DisplayName(j.Name), oneLine(j.Error))))
	if len(j.Tail) > 0 {
		v.line("  last lines of its output:")
	}
	for _, line := range j.Tail {
		v.line("  | %s", SanitizeTerminal(line, v.colour))
	}
	if j.Log != "" {
		v.line("  log: %s", DisplayName(j.Log))
	}
	if v.run == "" {
		return
	}
	if j.Kept {
		v.line("  a shell in its workspace: cic shell %s %s", v.run, shellWord(DisplayName(j.Name)))
	}
	v.line("  to go on from here: cic exec --resume %s", v.run)
}

func (v *TextView) verdict(r *Result) string {
	failed := slices.Contains(r.Counts(), true)
	switch {
	case r.TimedOut:
		return v.paint(red, "✗ Pipeline timed out: "+DisplayName(r.Stopped))
	case r.Interrupted && r.Stopped != "":
		return v.paint(yellow, "✗ Pipeline canceled: "+DisplayName(r.Stopped))
	case r.Interrupted:
		return v.paint(yellow, "✗ Pipeline interrupted")
	case failed && r.Status == StatusManual:
		return v.paint(red, "✗ Pipeline failed, and is blocked on a manual job")
	case failed, r.Status == StatusFailed, r.Status == StatusCanceled:
		return v.paint(red, "✗ Pipeline failed")
	case r.Status == StatusManual:
		return v.paint(yellow, "! Pipeline blocked on a manual job")
	case r.Status == StatusSkipped:
		return v.paint(yellow, "! Pipeline skipped: no job ran")
	case v.dry:
		return "Dry run: nothing was run"
	}
	return v.paint(green, "✓ Pipeline completed successfully!")
}

func (v *TextView) list(title string, jobs []JobResult, pick func(*JobResult) bool) {
	var names []string
	for i := range jobs {
		if pick(&jobs[i]) {
			names = append(names, DisplayName(jobs[i].Name))
		}
	}
	if len(names) > 0 {
		v.line("  %s: %s", title, strings.Join(names, ", "))
	}
}

// notRun names the state of a job that was not run.
func notRun(s Status) string {
	switch s {
	case StatusSkipped:
		return "Skipped"
	case StatusManual:
		return "Manual, not started"
	case StatusCanceled:
		return "Canceled"
	}
	return "Not started"
}

// familiarImage leaves out what Docker users do not write.
func familiarImage(ref string) string {
	for _, prefix := range []string{"docker.io/library/", "docker.io/"} {
		if short, ok := strings.CutPrefix(ref, prefix); ok {
			return DisplayName(short)
		}
	}
	return DisplayName(ref)
}
