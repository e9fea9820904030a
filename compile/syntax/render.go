package syntax

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cic-ci/cic/plan/credential"
)

// RenderOptions control [ErrorList.Render].
type RenderOptions struct {
	Color bool
	// Max is the number of diagnostics to print, the rest is counted; 0: 20.
	Max int
}

// Render prints diagnostics with excerpts, sorted by position, each once; those
// that are ignored are left out. files holds the text of each file by name; a diagnostic in another file is printed
// without excerpt. If there are more than Max, errors are printed rather than
// warnings.
func (l ErrorList) Render(w io.Writer, files map[string][]byte, o RenderOptions) error {
	limit := o.Max
	if limit <= 0 {
		limit = 20
	}
	printed, rest := l.selected(limit)
	r := &renderer{files: files, sources: map[string][]string{}, color: o.Color}
	for i, e := range printed {
		if i > 0 {
			r.out.WriteByte('\n')
		}
		r.diagnostic(e)
	}
	if rest != "" {
		fmt.Fprintf(&r.out, "\n%s\n", rest)
	}
	_, err := w.Write(r.out.Bytes())
	return err
}

// selected returns the diagnostics to print in order, and what to say about
// those that are left out.
func (l ErrorList) selected(limit int) (printed ErrorList, rest string) {
	sorted := slices.DeleteFunc(l.Sorted(), func(e *Error) bool { return e.Ignored != "" })
	if len(sorted) <= limit {
		return sorted, ""
	}
	slices.SortStableFunc(sorted, func(a, b *Error) int { return cmp.Compare(a.Severity, b.Severity) })
	printed = sorted[:limit:limit]
	errors, warnings := 0, 0
	for _, e := range sorted[limit:] {
		if e.Severity == SeverityError {
			errors++
		} else {
			warnings++
		}
	}
	slices.SortStableFunc(printed, compareErrors)
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{errors, "error"}, {warnings, "warning"}} {
		if p.n == 1 {
			parts = append(parts, "1 more "+p.what)
		} else if p.n > 1 {
			parts = append(parts, fmt.Sprintf("%d more %ss", p.n, p.what))
		}
	}
	return printed, "and " + strings.Join(parts, " and ")
}

// Sorted returns the diagnostics by position, each once.
func (l ErrorList) Sorted() ErrorList {
	sorted := slices.Clone(l)
	slices.SortStableFunc(sorted, compareErrors)
	return slices.CompactFunc(sorted, func(a, b *Error) bool { return compareErrors(a, b) == 0 })
}

func compareErrors(a, b *Error) int {
	return cmp.Or(
		strings.Compare(a.Pos.File, b.Pos.File),
		cmp.Compare(a.Pos.Line, b.Pos.Line),
		cmp.Compare(a.Pos.Col, b.Pos.Col),
		cmp.Compare(a.Severity, b.Severity),
		strings.Compare(a.Code, b.Code),
		strings.Compare(a.Msg, b.Msg),
	)
}

type renderer struct {
	out     bytes.Buffer
	files   map[string][]byte
	sources map[string][]string // lines by file
	color   bool
}

// The colours of the parts of a diagnostic (ECMA-48, select graphic rendition).
const (
	styleError   = "1;31"
	styleWarning = "1;33"
	styleNote    = "1;36"
)

func (r *renderer) styled(style, text string) string {
	if !r.color || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// diagnostic prints one diagnostic: where and what, the line, remarks without a
// place, remarks with a place and their lines, the help.
func (r *renderer) diagnostic(e *Error) {
	style, name := styleError, "error"
	if e.Severity == SeverityWarning {
		style, name = styleWarning, "warning"
	}
	if e.Code != "" {
		name += "[" + e.Code + "]"
	}
	gutter := r.gutter(e)
	r.head(e.Pos, r.styled(style, name), e.Msg)
	ruled := r.excerpt(gutter, e.Pos, e.Len, e.Label, style)
	for _, n := range e.Notes {
		if !n.Pos.IsValid() {
			ruled = r.remark(gutter, ruled, "note", n.Msg)
		}
	}
	for _, n := range e.Notes {
		if n.Pos.IsValid() {
			r.head(n.Pos, r.styled(styleNote, "note"), n.Msg)
			ruled = r.excerpt(gutter, n.Pos, 1, "", styleNote)
		}
	}
	if e.Help != "" {
		r.remark(gutter, ruled, "help", e.Help)
	}
}

// gutter returns the width of the column of line numbers.
func (r *renderer) gutter(e *Error) int {
	last := e.Pos.Line
	for _, n := range e.Notes {
		last = max(last, n.Pos.Line)
	}
	return len(fmt.Sprint(last)) + 1
}

func (r *renderer) head(pos Pos, name, msg string) {
	if pos.IsValid() {
		fmt.Fprintf(&r.out, "%s:%d:%d: ", Visible(pos.File), pos.Line, pos.Col)
	}
	fmt.Fprintf(&r.out, "%s: %s\n", name, Visible(msg))
}

// remark prints a line that begins with "=", below a rule if an excerpt is above
// it and has none yet. Further lines of msg are indented.
func (r *renderer) remark(gutter int, excerptAbove bool, name, msg string) bool {
	if excerptAbove {
		fmt.Fprintf(&r.out, "%*s|\n", gutter, "")
	}
	fmt.Fprintf(&r.out, "%*s= %s: ", gutter, "", name)
	for i, line := range strings.Split(msg, "\n") {
		if i > 0 && line != "" {
			fmt.Fprintf(&r.out, "%*s", gutter+2, "")
		}
		r.out.WriteString(Visible(line) + "\n")
	}
	return false
}

// withoutCredentials hides access tokens: what is printed often ends up in a log
// that more people read than the file.
func withoutCredentials(line string) string {
	for {
		name, start, end := credential.Find(line)
		if name == "" {
			return line
		}
		const shown = 4 // of the prefix, as a hint
		line = line[:start+shown] + strings.Repeat("*", end-start-shown) + line[end:]
	}
}

// excerpt prints the line at pos with carets under length characters, and
// reports whether it could.
func (r *renderer) excerpt(gutter int, pos Pos, length int, label, style string) bool {
	lines, ok := r.sources[pos.File]
	if !ok {
		text := bytes.TrimPrefix(r.files[pos.File], []byte("\ufeff"))
		lines = splitLines(string(text))
		for i, line := range lines {
			lines[i] = withoutCredentials(line)
		}
		r.sources[pos.File] = lines
	}
	if !pos.IsValid() || pos.Line > len(lines) {
		return false
	}
	text, indent, carets := excerptLine(lines[pos.Line-1], pos.Col, length)
	mark := strings.Repeat(" ", indent) + r.styled(style, strings.TrimRight(strings.Repeat("^", carets)+" "+Visible(label), " "))
	fmt.Fprintf(&r.out, "%*s|\n", gutter, "")
	fmt.Fprintln(&r.out, strings.TrimRight(fmt.Sprintf("%*d | %s", gutter-1, pos.Line, text), " "))
	fmt.Fprintf(&r.out, "%*s| %s\n", gutter, "", mark)
	return true
}
