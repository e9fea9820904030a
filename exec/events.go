package exec

import (
	"encoding/json"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// EventType says what an [Event] tells.
type EventType string

// The events of a run, in the order in which they come: run_started; for each
// job perhaps job_waiting, up to once a gate; job_started, any number of job_output
// and job_note, job_finished; or, for a job that is not run, job_finished alone;
// at last run_finished. A job that is run again has job_retried in the place of
// job_finished, and then begins with job_started once more. A manual job that
// a person starts late, or that is canceled after all, and those that were skipped
// for it, have job_requeued after their job_finished and begin anew. A trigger job
// has pipeline_started after its job_started; pipeline_finished comes when the last
// job of that child pipeline is done.
const (
	EventRunStarted  EventType = "run_started"
	EventJobStarted  EventType = "job_started"
	EventJobOutput   EventType = "job_output"
	EventJobNote     EventType = "job_note"
	EventJobFinished EventType = "job_finished"

	EventJobWaiting  EventType = "job_waiting"
	EventJobRetried  EventType = "job_retried"
	EventJobRequeued EventType = "job_requeued"

	EventPipelineStarted  EventType = "pipeline_started"
	EventPipelineFinished EventType = "pipeline_finished"

	EventRunFinished EventType = "run_finished"
)

// EventVersion is the version of the format of events. It grows where what a
// reader knows changes its meaning; new types of events and new fields leave it.
const EventVersion = 1

// Event is one thing that happened in a run. Fields that do not belong to its
// type are zero and left out of its JSON.
type Event struct {
	// Version is [EventVersion] in what is written.
	Version int       `json:"version,omitempty"`
	Time    time.Time `json:"time"`
	Type    EventType `json:"type"`

	// Of run_started.
	Run    string   `json:"run,omitempty"`    // the run's id, empty where nothing is kept
	Source string   `json:"source,omitempty"` // the pipeline file
	Ref    string   `json:"ref,omitempty"`    // branch or tag
	Stages []string `json:"stages,omitempty"`
	// Jobs is how many the plan holds; of pipeline_started, how many more these are
	// than it held before. Stages are of pipeline_started too.
	Jobs int `json:"jobs,omitempty"`
	// DryRun: no job runs, and each passes.
	DryRun bool `json:"dry_run,omitempty"`
	// Project is the project's directory, by which runs of one project are known.
	Project string `json:"project,omitempty"`

	// Of every event of a job or of a child pipeline: the trigger job of that.
	Job string `json:"job,omitempty"`
	// Of job_started.
	Stage string `json:"stage,omitempty"`
	Image string `json:"image,omitempty"`
	// Attempt counts the attempts of a job from 1; of job_started and job_retried.
	Attempt int `json:"attempt,omitempty"`
	// Text is a line of output without its newline, the note, or why a job waits or
	// begins anew.
	Text string `json:"text,omitempty"`
	// TextBytes is Text where that is not UTF-8, which it stands for then with
	// replacement characters.
	TextBytes []byte `json:"text_bytes,omitempty"`
	// Continued: the line is longer than the limit and goes on in the next event.
	Continued bool `json:"continued,omitempty"`
	// Warning: the note is something to look at.
	Warning bool `json:"warning,omitempty"`

	// Of job_finished, pipeline_finished, run_finished, job_retried and job_waiting: scheduled or
	// waiting_for_resource.
	Status Status `json:"status,omitempty"`
	// Seconds is how long it took, by the monotonic clock.
	Seconds float64 `json:"seconds,omitempty"`
	// Died: the run's process died, and another one ends its record.
	Died bool `json:"died,omitempty"`
	// Result is the whole of what is known of a finished job, or of an attempt.
	Result *JobResult `json:"result,omitempty"`
	// Summary is the whole of what is known of a finished run. It is not part
	// of the JSON form, which has said it all before.
	Summary *Result `json:"-"`
}

// written is the event as it is stored and sent.
func (e Event) written() Event {
	e.Version = EventVersion
	if !utf8.ValidString(e.Text) {
		e.TextBytes, e.Text = []byte(e.Text), strings.ToValidUTF8(e.Text, "\uFFFD")
	}
	return e
}

// EventWriter writes a run's events as NDJSON: one JSON object a line. Its
// Observe method is an [Executor.Observer].
type EventWriter struct {
	enc *json.Encoder
	err error
}

// NewEventWriter returns a writer of events.
func NewEventWriter(w io.Writer) *EventWriter {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &EventWriter{enc: enc}
}

// Observe writes an event. After an error of the writer it writes no more.
func (w *EventWriter) Observe(e Event) {
	if w.err == nil {
		w.err = w.enc.Encode(e.written())
	}
}

// Err returns the first error of the writer.
func (w *EventWriter) Err() error { return w.err }
