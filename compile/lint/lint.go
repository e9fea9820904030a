// Package lint writes the diagnostics of a compilation for other programs: as
// JSON of its own form, as SARIF, as a Code Quality report of GitLab, and as
// workflow commands of GitHub Actions.
//
// A [Report] holds all that they need; each format is a function of it alone, in
// a file of its own.
package lint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/cic-ci/cic/compile/syntax"
)

// FormatVersion is the version of the JSON form of a [Report], "MAJOR.MINOR".
const FormatVersion = "1.0"

// The severities of a [Diagnostic].
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// Report is what a compilation found.
type Report struct {
	FormatVersion string `json:"format_version"`
	// Source is the pipeline file.
	Source string `json:"source"`
	// Errors and Warnings are how many of each there are; what is ignored does not count.
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	// Pipelines are those that were tried.
	Pipelines []Pipeline `json:"pipelines"`
	// Diagnostics are sorted by file, line and column.
	Diagnostics []Diagnostic `json:"diagnostics"`
}

// Pipeline is what the file makes for one ref and event.
type Pipeline struct {
	Event string `json:"event"`
	Ref   string `json:"ref"`
	// RefType is "branch" or "tag".
	RefType string `json:"ref_type"`
	// Jobs are the names of its jobs in plan order: none if it does not compile, or
	// if the rules leave none.
	Jobs []string `json:"jobs"`
}

// Diagnostic is one error or warning.
type Diagnostic struct {
	// Severity is error or warning.
	Severity string `json:"severity"`
	// Code is stable; cic explain tells about it.
	Code    string `json:"code"`
	Message string `json:"message"`
	// Place is left out where the diagnostic has none, such as one of an option.
	Place *Place `json:"place,omitempty"`
	// Notes are further places that contributed, and remarks.
	Notes []Note `json:"notes,omitempty"`
	// Help says how to mend it.
	Help string `json:"help,omitempty"`
	// Job is the job concerned.
	Job string `json:"job,omitempty"`
	// Ignored says what silences the warning: "comment" or "option".
	Ignored string `json:"ignored,omitempty"`
}

// Place is a stretch of a line. Lines and columns begin at 1; columns count
// characters (Unicode code points), and EndColumn is that behind the last one. The
// other columns are the same ones in bytes of UTF-8 and in units of UTF-16, by which
// editors go.
type Place struct {
	// File is relative to the project, with forward slashes, if it lies there.
	File           string `json:"file"`
	Line           int    `json:"line"`
	Column         int    `json:"column"`
	EndColumn      int    `json:"end_column"`
	ByteColumn     int    `json:"byte_column"`
	ByteEndColumn  int    `json:"byte_end_column"`
	UTF16Column    int    `json:"utf16_column"`
	UTF16EndColumn int    `json:"utf16_end_column"`
}

// Note is a remark, at a further place or none.
type Note struct {
	Message string `json:"message"`
	Place   *Place `json:"place,omitempty"`
}

// NewReport reports on the pipeline file source, which diagnostics name called. sources
// are the texts of the files by the names that diagnostics use.
func NewReport(source, called string, list syntax.ErrorList, sources map[string][]byte, pipelines []Pipeline) *Report {
	units := &columns{sources: sources, lines: map[string][]string{}}
	r := &Report{FormatVersion: FormatVersion, Source: source, Pipelines: pipelines, Diagnostics: []Diagnostic{}}
	place := func(pos syntax.Pos, length int) *Place {
		if !pos.IsValid() {
			return nil
		}
		file := pos.File
		if file == called {
			file = source
		}
		p := &Place{File: file, Line: pos.Line, Column: pos.Col, EndColumn: pos.Col + max(length, 1)}
		units.fill(p, pos.File)
		return p
	}
	for _, e := range list.Sorted() {
		d := Diagnostic{
			Severity: SeverityError, Code: e.Code, Message: e.Msg, Place: place(e.Pos, e.Len),
			Help: e.Help, Job: e.Job, Ignored: string(e.Ignored),
		}
		switch {
		case e.Severity == syntax.SeverityError:
			r.Errors++
		case e.Ignored == "":
			r.Warnings++
			fallthrough
		default:
			d.Severity = SeverityWarning
		}
		for _, n := range e.Notes {
			d.Notes = append(d.Notes, Note{Message: n.Msg, Place: place(n.Pos, 1)})
		}
		r.Diagnostics = append(r.Diagnostics, d)
	}
	return r
}

// WriteJSON writes the report itself.
func (r *Report) WriteJSON(w io.Writer) error { return writeJSON(w, r) }

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// fingerprints tells findings apart, and knows one again after lines have moved:
// they go by code, file and message, and count what is the same in all of them.
type fingerprints map[string]int

func (f fingerprints) of(d *Diagnostic) string {
	file := ""
	if d.Place != nil {
		file = d.Place.File
	}
	same := d.Code + "\x00" + file + "\x00" + d.Message
	f[same]++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", same, f[same]))
	return hex.EncodeToString(sum[:16])
}
