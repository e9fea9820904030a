package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// DecodeError is a fault of a plan's JSON and its place.
type DecodeError struct {
	// File is set by [ReadDir]; empty from [Decode].
	File string
	// Offset is in bytes from 0. Line is 1-based, Column 1-based in bytes.
	Offset, Line, Column int
	// Path names the value: jobs[3].needs[0]. It may be empty.
	Path string
	Msg  string
}

// Error returns file:line:column: path: message (byte offset).
func (e *DecodeError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
	}
	fmt.Fprintf(&b, "%d:%d: ", e.Line, e.Column)
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	fmt.Fprintf(&b, "%s (byte %d)", e.Msg, e.Offset)
	return b.String()
}

// VersionError says that a plan is of a format that this package cannot read.
type VersionError struct{ Got string }

// Error names both versions.
func (e *VersionError) Error() string {
	if major, _, ok := parseVersion(e.Got); ok && major > formatMajor {
		return fmt.Sprintf("the plan was made by a newer cic: its format is %s, this cic reads %s; use a newer cic", e.Got, FormatVersion)
	}
	return fmt.Sprintf("the plan's format is %s, this cic reads %s; compile the pipeline again", quote(e.Got), FormatVersion)
}

// Decode reads a plan as [Encode] writes it, in any layout, and validates it.
// It refuses what encoding/json lets pass: unknown and duplicate keys, keys in
// another case, null, numbers that do not fit, data after the plan. The version
// is looked at first: another major is a [*VersionError]; a newer minor is a warning,
// and so is each unknown field under it, which is ignored. Other errors are a
// [*DecodeError] or a [ValidationError].
func Decode(data []byte) (*Plan, []string, error) {
	var p Plan
	warnings, err := decode(data, &p)
	if err != nil {
		return nil, nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, nil, err
	}
	if _, minor, _ := parseVersion(p.FormatVersion); minor > formatMinor {
		newer := fmt.Sprintf("the plan was made by a newer cic: its format is %s, this cic reads %s", p.FormatVersion, FormatVersion)
		warnings = append([]string{newer}, warnings...)
	}
	return &p, warnings, nil
}

// DecodeMap is [Decode] for a source map.
func DecodeMap(data []byte) (*SourceMap, []string, error) {
	var m SourceMap
	warnings, err := decode(data, &m)
	if err != nil {
		return nil, nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, nil, err
	}
	return &m, warnings, nil
}

func decode(data []byte, into any) ([]string, error) {
	d := decoder{data: data}
	version, err := d.version()
	if err != nil {
		return nil, err
	}
	major, minor, ok := parseVersion(version)
	if !ok || major != formatMajor {
		return nil, &VersionError{Got: version}
	}
	d.newer = minor > formatMinor
	if err := d.value(reflect.ValueOf(into).Elem(), ""); err != nil {
		return nil, err
	}
	return d.warnings, nil
}

var formatMajor, formatMinor, _ = parseVersion(FormatVersion)

func parseVersion(s string) (major, minor int, ok bool) {
	a, b, _ := strings.Cut(s, ".")
	major, err1 := strconv.Atoi(a)
	minor, err2 := strconv.Atoi(b)
	return major, minor, err1 == nil && err2 == nil && s == fmt.Sprintf("%d.%d", major, minor) && minor >= 0
}

// decoder reads JSON into Go values by their types. encoding/json decides
// whether the text is JSON at all; the rest trusts that.
type decoder struct {
	data     []byte
	pos      int
	newer    bool
	warnings []string
}

func (d *decoder) errorAt(offset int, path, format string, args ...any) error {
	before := d.data[:min(offset, len(d.data))]
	return &DecodeError{
		Offset: offset,
		Line:   1 + bytes.Count(before, []byte("\n")),
		Column: offset - bytes.LastIndexByte(before, '\n'),
		Path:   path,
		Msg:    fmt.Sprintf(format, args...),
	}
}

// version returns the format_version of the data, which it checks to be exactly
// one JSON value of valid UTF-8.
func (d *decoder) version() (string, error) {
	if len(d.data) > MaxPlanSize {
		return "", d.errorAt(MaxPlanSize, "", "larger than %d MiB", MaxPlanSize>>20)
	}
	if !utf8.Valid(d.data) {
		rest := d.data
		for firstRune(rest) >= 0 {
			_, n := utf8.DecodeRune(rest)
			rest = rest[n:]
		}
		return "", d.errorAt(len(d.data)-len(rest), "", "not UTF-8")
	}
	var head struct {
		Version *string `json:"format_version"`
	}
	err := json.Unmarshal(d.data, &head)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax) && strings.Contains(err.Error(), "unexpected end"):
		return "", d.errorAt(len(d.data), "", "the file ends too early: it is cut off")
	case errors.As(err, &syntax):
		// Offset counts the bytes read, the offending one included.
		return "", d.errorAt(max(0, int(syntax.Offset)-1), "", "%s", syntax.Error())
	case err != nil || head.Version == nil:
		return "", d.errorAt(0, "", `not a plan: it has no "format_version"`)
	}
	return *head.Version, nil
}

// firstRune is the first rune of b, -1 where b is not UTF-8 or empty.
func firstRune(b []byte) rune {
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n <= 1 {
		return -1
	}
	return r
}
