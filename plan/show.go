package plan

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Show writes a person's view of a plan: its source and context, the batches
// with each job's stage, image and edges, then what is excluded and the
// warnings. The text is the same everywhere; it is no interface.
func Show(w io.Writer, p *Plan) error {
	var b bytes.Buffer
	into := ""
	if p.Context.TargetBranch != "" {
		into = " into " + p.Context.TargetBranch
	}
	fmt.Fprintf(&b, "%s for %s %s, event %s\n", Display(p.Source), Display(p.Context.RefType), Display(p.Context.Ref+into), Display(p.Context.Event))
	if p.Name != "" {
		fmt.Fprintf(&b, "name: %s\n", Display(p.Name))
	}
	if a := p.AutoCancel; a != nil {
		for _, l := range leavesOf(*a) {
			fmt.Fprintf(&b, "auto_cancel %s: %s\n", l.path, displayValue(l.values[0]))
		}
	}
	for _, line := range p.ruleLines(p.Workflow) {
		fmt.Fprintf(&b, "workflow rule %s\n", Display(line))
	}
	for _, l := range leavesOf(p.Context) {
		if name, isOption := strings.CutPrefix(l.path, "options"); isOption {
			fmt.Fprintf(&b, "option %s: %s\n", Display(strings.Trim(name, `.[]"`)), displayValue(l.values[0]))
		}
	}
	fmt.Fprintf(&b, "%s in %s\n", count(len(p.Jobs), "job"), count(len(p.Batches), "batch"))
	showBatches(&b, p)
	showSecrets(&b, p.Jobs)
	showExcluded(&b, p)
	if len(p.Warnings) > 0 {
		b.WriteString("\nWarnings\n")
		for _, warning := range p.Warnings {
			fmt.Fprintf(&b, "  %s\n", Display(warning.String()))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "ch"):
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func showBatches(b *bytes.Buffer, p *Plan) {
	jobs := make(map[string]*Job, len(p.Jobs))
	for i := range p.Jobs {
		jobs[p.Jobs[i].Name] = &p.Jobs[i]
	}
	var rows table
	for i, batch := range p.Batches {
		rows.heading(fmt.Sprintf("\nBatch %d", i+1))
		for _, name := range batch {
			if j := jobs[name]; j != nil {
				stages := p.Stages
				if c := p.Pipeline(j.Pipeline); c != nil {
					stages = c.Stages
				}
				first := len(stages) > 0 && j.Stage == stages[0]
				rows.add(j.Name, j.Stage, work(j), strings.Join(remarks(j, first), ", "))
			}
		}
	}
	rows.write(b)
}

// shortImage leaves out what a reference without a host means, and most of a digest: the
// view of a job has it whole.
func shortImage(name Text) string {
	short := strings.TrimPrefix(strings.TrimPrefix(name.Value, "docker.io/"), "library/")
	return imageDigest.ReplaceAllString(short, "$1…")
}

// imageDigest is the digest of a reference; as much as people compare is kept.
var imageDigest = regexp.MustCompile(`(@sha256:[0-9a-f]{12})[0-9a-f]{52}$`)

// work is a job's image, or what pipeline it starts.
func work(j *Job) string {
	t := j.Trigger
	if t == nil {
		return shortImage(j.Image.Name)
	}
	if t.Reason != "" {
		return "starts nothing: " + t.Reason
	}
	var files []string
	if t.Project != nil {
		files = append(files, fmt.Sprintf("project %s at %s", t.Project.Value, t.Branch.Value))
	}
	for _, f := range t.Include {
		files = append(files, f.String())
	}
	text := "starts " + strings.Join(files, " + ")
	if t.Strategy != "" {
		text += ", waits for it"
	}
	return text
}

// remarks says when a job runs, where that is not simply after the stages before.
func remarks(j *Job, firstStage bool) []string {
	var list []string
	switch {
	case len(j.Needs) > 0:
		list = append(list, "needs "+needed(j.Needs))
	case !j.AfterStages && !firstStage:
		list = append(list, "needs nothing")
	}
	switch j.When {
	case "on_success":
	case "delayed":
		list = append(list, "delayed by "+seconds(j.StartIn))
	case "manual":
		list = append(list, "manual")
		if !j.AllowFailure {
			list = append(list, "blocking") // later stages wait for a person
		}
	default:
		list = append(list, j.When)
	}
	if j.AllowFailure || len(j.AllowFailureExitCodes) > 0 {
		list = append(list, "may fail")
	}
	return append(list, requests(j)...)
}

// requests are what the job does only where the command line grants it.
func requests(j *Job) []string {
	var list []string
	if j.Privileged {
		list = append(list, "privileged")
	}
	if slices.ContainsFunc(j.Services, func(s Service) bool { return s.Privileged }) {
		list = append(list, "privileged service")
	}
	for _, device := range j.Devices {
		list = append(list, "device "+device)
	}
	if j.HostNetwork {
		list = append(list, "host network")
	}
	return list
}

// needed lists the needs, cut where a line would grow without end.
func needed(needs []Need) string {
	const limit = 4
	var names []string
	for _, n := range needs[:min(len(needs), limit)] {
		names = append(names, n.Job)
	}
	if more := len(needs) - limit; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// showSecrets tells which jobs need which secrets, and which names they read that
// nothing defines, so that a secret of that name would reach them.
func showSecrets(b *bytes.Buffer, jobs []Job) {
	var needed, read table
	for i := range jobs {
		j := &jobs[i]
		var names []string
		for _, s := range j.Secrets {
			if s.File {
				s.Name += " (a file)"
			}
			names = append(names, s.Name)
		}
		if len(names) > 0 {
			needed.add(j.Name, strings.Join(names, ", "))
		}
		if len(j.Reads) > 0 {
			read.add(j.Name, strings.Join(j.Reads, ", "))
		}
	}
	for _, section := range []struct {
		heading string
		rows    table
	}{
		{"Secrets that must be given", needed},
		{"Variables that are not set here, and can be given as secrets", read},
	} {
		if len(section.rows.rows) > 0 {
			fmt.Fprintf(b, "\n%s\n", section.heading)
			section.rows.write(b)
		}
	}
}

// showExcluded tells what is left out and why. Neighbours that the same rules leave
// out share them.
func showExcluded(b *bytes.Buffer, p *Plan) {
	if len(p.Excluded) == 0 {
		return
	}
	var rows table
	rows.heading("\nExcluded")
	for i := range p.Excluded {
		e := &p.Excluded[i]
		rows.add(e.Name, e.Stage, e.Reason)
		if e.Rules == "" || i+1 < len(p.Excluded) && p.Excluded[i+1].Rules == e.Rules {
			continue
		}
		for _, line := range p.RuleLines(e.Rules) {
			rows.heading("      " + Display(line))
		}
	}
	rows.write(b)
}

// seconds writes a duration the way pipelines do: 1h30m.
func seconds(n int64) string {
	if n > int64(1<<62/time.Second) {
		return strconv.FormatInt(n, 10) + "s"
	}
	s := (time.Duration(n) * time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// table aligns columns over several sections.
type table struct {
	rows []row
}

type row struct {
	heading string
	cells   []string
}

func (t *table) heading(text string) { t.rows = append(t.rows, row{heading: text}) }

func (t *table) add(cells ...string) {
	for i, cell := range cells {
		cells[i] = Display(cell)
	}
	t.rows = append(t.rows, row{cells: cells})
}

// widest is the column width up to which cells are aligned; longer ones stick out.
const widest = 40

func (t *table) write(b *bytes.Buffer) {
	var widths []int
	for _, r := range t.rows {
		for i, cell := range r.cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], min(utf8.RuneCountInString(cell), widest))
		}
	}
	for _, r := range t.rows {
		line := r.heading
		for i, cell := range r.cells {
			line += "  " + cell + strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)))
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}
