package exec

import "time"

// EventType says what an [Event] tells.
type EventType string

// The events of a run, in the order in which they come: run_started; for each
// job job_started, any number of job_output and job_note, job_finished; or,
// for a job that is not run, job_finished alone; at last run_finished.
const (
	EventRunStarted  EventType = "run_started"
	EventJobStarted  EventType = "job_started"
	EventJobOutput   EventType = "job_output"
	EventJobNote     EventType = "job_note"
	EventJobFinished EventType = "job_finished"
	EventRunFinished EventType = "run_finished"
)

// Event is one thing that happened in a run. Fields that do not belong to its
// type are zero and left out of its JSON.
type Event struct {
	Time time.Time `json:"time"`
	Type EventType `json:"type"`

	// Of run_started.
	Source string   `json:"source,omitempty"` // the pipeline file
	Ref    string   `json:"ref,omitempty"`    // branch or tag
	Stages []string `json:"stages,omitempty"`
	Jobs   int      `json:"jobs,omitempty"` // how many the plan holds

	// Of every event of a job.
	Job string `json:"job,omitempty"`
	// Of job_started.
	Stage string `json:"stage,omitempty"`
	Image string `json:"image,omitempty"`
	// Text is a line of output without its newline, or the note.
	Text string `json:"text,omitempty"`
	// Continued: the line is longer than the limit and goes on in the next event.
	Continued bool `json:"continued,omitempty"`
	// Warning: the note is something to look at.
	Warning bool `json:"warning,omitempty"`

	// Of job_finished and run_finished.
	Status Status `json:"status,omitempty"`
	// Seconds is how long it took, by the monotonic clock.
	Seconds float64 `json:"seconds,omitempty"`
	// Died: the run's process died, and another one ends its record.
	Died bool `json:"died,omitempty"`
	// Result is the whole of what is known of a finished job.
	Result *JobResult `json:"result,omitempty"`
	// Summary is the whole of what is known of a finished run. It is not part
	// of the JSON form, which has said it all before.
	Summary *Result `json:"-"`
}
