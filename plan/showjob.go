package plan

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// ShowJob writes a person's view of one whole job, why it is in the plan, and its
// scripts, of which script returns the text; nil leaves them out. Of a job that
// the plan leaves out it says why. The error says that there is no such job, or
// comes from script or w.
func ShowJob(w io.Writer, p *Plan, name string, script func(Script) ([]byte, error)) error {
	var b bytes.Buffer
	for i := range p.Jobs {
		if p.Jobs[i].Name != name {
			continue
		}
		showRows(&b, p.jobRows(&p.Jobs[i]))
		if err := showScripts(&b, &p.Jobs[i], script); err != nil {
			return err
		}
		_, err := w.Write(b.Bytes())
		return err
	}
	for i := range p.Excluded {
		if p.Excluded[i].Name == name {
			showRows(&b, p.excludedRows(&p.Excluded[i]))
			_, err := w.Write(b.Bytes())
			return err
		}
	}
	return fmt.Errorf("the plan has no job %s", quote(name))
}

// jobRows are the fields of a job, each with a label.
func (p *Plan) jobRows(job *Job) [][2]string {
	var rows [][2]string
	for _, l := range p.jobLeaves(job, p.RuleLines) {
		group, rest := splitPath(l.path)
		for _, value := range l.values {
			text := displayValue(value)
			switch {
			case group == "rules":
				text = Display(value.Value) // quotes are part of rules
			case rest != "":
				text = Display(rest) + " = " + text
			}
			if n, ok := inSeconds(job, l.path); ok {
				text += " (" + seconds(n) + ")"
			}
			rows = append(rows, [2]string{group, text})
		}
		if group == "stage" {
			rows = append(rows, [2]string{"batch", batchOf(p, job.Name)})
		}
	}
	return rows
}

func (p *Plan) excludedRows(e *Excluded) [][2]string {
	rows := [][2]string{{"name", displayValue(Literal(e.Name))}, {"stage", displayValue(Literal(e.Stage))}, {"excluded", Display(e.Reason)}}
	if e.Rules != "" {
		for _, line := range p.RuleLines(e.Rules) {
			rows = append(rows, [2]string{"rules", Display(line)})
		}
	}
	return rows
}

func showRows(b *bytes.Buffer, rows [][2]string) {
	width, last := 0, ""
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	for _, r := range rows {
		label := r[0]
		if label == last {
			label = ""
		}
		fmt.Fprintf(b, "%-*s  %s\n", width, label, r[1])
		last = r[0]
	}
}

func showScripts(b *bytes.Buffer, job *Job, script func(Script) ([]byte, error)) error {
	if script == nil {
		return nil
	}
	for _, s := range job.Scripts() {
		text, err := script(s)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "\n%s\n", Display(s.Path))
		for line := range strings.Lines(string(text)) {
			b.WriteString("  " + Display(strings.TrimSuffix(line, "\n")) + "\n")
		}
	}
	return nil
}

// inSeconds returns the value of a field that is a duration.
func inSeconds(j *Job, path string) (int64, bool) {
	switch path {
	case "timeout":
		return j.Timeout, true
	case "script_timeout":
		return j.ScriptTimeout, true
	case "after_script_timeout":
		return j.AfterScriptTimeout, true
	case "start_in":
		return j.StartIn, true
	case "artifacts.expire_in":
		return j.Artifacts.ExpireIn, true
	}
	return 0, false
}

// splitPath parts a leaf's path at the first field: image.user is image, user.
func splitPath(path string) (group, rest string) {
	i := strings.IndexAny(path, ".[")
	if i < 0 {
		return path, ""
	}
	group, rest = path[:i], strings.TrimPrefix(path[i:], ".")
	switch path {
	case "image.name", "environment.name", "script.path", "after_script.path":
		rest = "" // what the field is mainly about
	}
	return group, rest
}

func batchOf(p *Plan, job string) string {
	for i, batch := range p.Batches {
		for _, name := range batch {
			if name == job {
				return fmt.Sprintf("%d of %d", i+1, len(p.Batches))
			}
		}
	}
	return "none"
}
