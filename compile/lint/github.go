package lint

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// WriteGitHub writes a workflow command for each diagnostic that is not ignored,
// which GitHub Actions shows beside the line ("Workflow commands for GitHub
// Actions", setting an error message).
func (r *Report) WriteGitHub(w io.Writer) error {
	var b bytes.Buffer
	for i := range r.Diagnostics {
		d := &r.Diagnostics[i]
		if d.Ignored != "" {
			continue
		}
		b.WriteString("::" + d.Severity + " ")
		if p := d.Place; p != nil {
			fmt.Fprintf(&b, "file=%s,line=%d,col=%d,endColumn=%d,", property(p.File), p.Line, p.Column, p.EndColumn)
		}
		message := d.Message
		if d.Help != "" {
			message += "\nhelp: " + d.Help
		}
		fmt.Fprintf(&b, "title=%s::%s\n", property(d.Code), oneLine(message))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// What a command cannot hold as it is: in its message, and in its properties.
var (
	commandMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// oneLine escapes a message of several lines for the one line of a command.
func oneLine(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = syntax.Visible(line)
	}
	return commandMessage.Replace(strings.Join(lines, "\n"))
}

func property(text string) string { return commandProperty.Replace(syntax.Visible(text)) }
