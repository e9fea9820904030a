package explain

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Write writes the entry for a person.
func (e *Entry) Write(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s (%s): %s\n", e.Code, e.severity(), plain(e.Title))
	for paragraph := range strings.Lines(e.Text) {
		if paragraph = strings.TrimSpace(paragraph); paragraph != "" {
			fmt.Fprintf(&b, "\n%s\n", wrap(plain(paragraph), 80))
		}
	}
	e.Wrong.write(&b, "Wrong")
	e.Right.write(&b, "Right")
	if e.See != "" {
		fmt.Fprintf(&b, "\nIn GitLab's documentation: %s\n", plain(e.See))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (e *Entry) severity() string {
	if e.Warning {
		return "warning"
	}
	return "error"
}

func (x *Example) write(b *bytes.Buffer, name string) {
	for i, f := range x.Files {
		title := f.Name
		if i == 0 {
			title = name
			if len(x.Arguments) > 0 {
				title += ", with " + strings.Join(x.Arguments, " ")
			}
		}
		fmt.Fprintf(b, "\n%s:\n\n", title)
		for line := range strings.Lines(f.Text) {
			b.WriteString("    " + line)
		}
	}
}

// List writes code, severity and title of all entries.
func List(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range Entries() {
		fmt.Fprintf(table, "%s\t%s\t%s\n", e.Code, e.severity(), plain(e.Title))
	}
	return table.Flush()
}

// plain drops the marks of code in Markdown.
func plain(text string) string { return strings.ReplaceAll(text, "`", "") }

// wrap breaks a paragraph into lines of at most width characters.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case column == 0:
		case column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
