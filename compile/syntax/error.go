package syntax

import "slices"

// Severity tells whether a diagnostic stops the compilation.
type Severity uint8

// The severities.
const (
	SeverityError Severity = iota
	SeverityWarning
)

// Error is the compiler's only diagnostic. Msg is lower case, without a final
// full stop, and names things in double quotes: job "test" needs "biuld", which
// does not exist. Untrusted text in it is quoted with strconv.Quote rules.
type Error struct {
	Severity Severity
	// Code is stable: CIC1xxx syntax, 2xxx schema, 3xxx graph, 4xxx plan, 5xxx
	// policy, 6xxx run time.
	Code string
	Pos  Pos
	// Len is the number of characters to underline, at least 1 is drawn.
	Len int
	Msg string
	// Label stands behind the carets: no such job. May be empty.
	Label string
	// Notes are further places that contributed.
	Notes []Note
	// Help says how to mend it: did you mean "build"? May be empty.
	Help string
	// Job is the job concerned, if any; it is not printed but recorded.
	Job string
	// Ignored says what silences a warning; empty: it counts.
	Ignored Ignored
}

// Ignored says what silences a warning.
type Ignored string

// What can silence a warning; the words are those that a plan records.
const (
	IgnoredByComment Ignored = "comment"
	IgnoredByOption  Ignored = "option"
)

// Note is a further place or remark. Pos may be no place.
type Note struct {
	Pos Pos
	Msg string
}

// Error returns "file:line:col: message", without excerpt.
func (e *Error) Error() string {
	if !e.Pos.IsValid() {
		return e.Msg
	}
	return e.Pos.String() + ": " + e.Msg
}

// ErrorList collects the diagnostics of a pass.
type ErrorList []*Error

// Add appends an error and returns it, so that the caller can add notes.
func (l *ErrorList) Add(code string, pos Pos, length int, msg string) *Error {
	e := &Error{Code: code, Pos: pos, Len: length, Msg: msg}
	*l = append(*l, e)
	return e
}

// Warn appends a warning and returns it.
func (l *ErrorList) Warn(code string, pos Pos, length int, msg string) *Error {
	e := l.Add(code, pos, length, msg)
	e.Severity = SeverityWarning
	return e
}

// HasErrors reports whether the list holds an error, warnings aside.
func (l ErrorList) HasErrors() bool {
	return slices.ContainsFunc(l, func(e *Error) bool { return e.Severity == SeverityError })
}
