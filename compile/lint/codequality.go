package lint

import "io"

// issue is an entry of a Code Quality report (GitLab's documentation, "Code
// Quality", report format).
type issue struct {
	Description string        `json:"description"`
	CheckName   string        `json:"check_name"`
	Fingerprint string        `json:"fingerprint"`
	Severity    string        `json:"severity"`
	Location    issueLocation `json:"location"`
}

type issueLocation struct {
	Path  string     `json:"path"`
	Lines issueLines `json:"lines"`
}

type issueLines struct {
	Begin int `json:"begin"`
}

// WriteCodeQuality writes the diagnostics that are not ignored as a Code Quality
// report. One without a place is put at the first line of the pipeline file, as
// the format knows no other.
func (r *Report) WriteCodeQuality(w io.Writer) error {
	issues := []issue{}
	known := fingerprints{}
	for i := range r.Diagnostics {
		d := &r.Diagnostics[i]
		if d.Ignored != "" {
			continue
		}
		severity := "minor"
		if d.Severity == SeverityError {
			severity = "blocker" // there is no pipeline at all
		}
		at := issueLocation{Path: r.Source, Lines: issueLines{Begin: 1}}
		if d.Place != nil {
			at = issueLocation{Path: d.Place.File, Lines: issueLines{Begin: d.Place.Line}}
		}
		issues = append(issues, issue{
			Description: d.Message, CheckName: d.Code, Fingerprint: known.of(d), Severity: severity, Location: at,
		})
	}
	return writeJSON(w, issues)
}
