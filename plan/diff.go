package plan

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// Diff is what differs between two plans, by meaning: a job that only moved
// within the file does not differ. It has a stable JSON form.
type Diff struct {
	// FormatVersion is that of this form: "1.0".
	FormatVersion string `json:"format_version"`
	// Plan are the changes outside of jobs: context, variables, stages, batches,
	// excluded jobs, warnings.
	Plan []Change `json:"plan,omitempty"`
	// Added and Removed are in plan order.
	Added   []JobSummary `json:"added,omitempty"`
	Removed []JobSummary `json:"removed,omitempty"`
	// Changed are the jobs of both plans that differ, in the new plan's order.
	Changed []JobDiff `json:"changed,omitempty"`
}

// JobSummary names a job that only one of the plans has.
type JobSummary struct {
	Name  string `json:"name"`
	Stage string `json:"stage"`
	// Image is empty of a trigger job; Starts says then what it starts.
	Image  Text   `json:"image,omitzero"`
	Starts string `json:"starts,omitempty"`
}

func summaryOf(j *Job) JobSummary {
	if j.Trigger != nil {
		return JobSummary{Name: j.Name, Stage: j.Stage, Starts: work(j)}
	}
	return JobSummary{Name: j.Name, Stage: j.Stage, Image: j.Image.Name}
}

func (s JobSummary) String() string {
	what := s.Starts
	if what == "" {
		what = "image " + s.Image.Value
	}
	return fmt.Sprintf("job %s (stage %s, %s)", displayValue(Literal(s.Name)), Display(s.Stage), Display(what))
}

// JobDiff is what differs between two jobs of one name.
type JobDiff struct {
	Name    string       `json:"name"`
	Changes []Change     `json:"changes,omitempty"`
	Scripts []ScriptDiff `json:"scripts,omitempty"`
}

// Change is a field, or one element of a list, that differs. Old is absent if it
// was added, New if it was removed.
type Change struct {
	// Field is a path of JSON names: image.user, variables.APP, needs.
	Field string `json:"field"`
	Old   *Text  `json:"old,omitempty"`
	New   *Text  `json:"new,omitempty"`
}

// ScriptDiff is a script that differs. A side that has none is empty.
type ScriptDiff struct {
	// Field is script or after_script.
	Field string `json:"field"`
	// Path is that of the new script, or of the old one where there is no new one.
	Path string `json:"path"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// Empty reports whether the plans mean the same.
func (d *Diff) Empty() bool {
	return len(d.Plan) == 0 && len(d.Added) == 0 && len(d.Removed) == 0 && len(d.Changed) == 0
}

// Compare compares two plans. script returns the text of a script of the old or
// the new plan, and is called only where digests differ; its error is returned.
func Compare(old, new *Plan, script func(old bool, path string) ([]byte, error)) (*Diff, error) {
	d := &Diff{FormatVersion: "1.0"}
	d.Plan = changes(leavesOf(old.comparable()), leavesOf(new.comparable()))
	oldJobs := make(map[string]*Job, len(old.Jobs))
	for i := range old.Jobs {
		oldJobs[old.Jobs[i].Name] = &old.Jobs[i]
	}
	var kept []string
	for i := range new.Jobs {
		j := &new.Jobs[i]
		was, ok := oldJobs[j.Name]
		if !ok {
			d.Added = append(d.Added, summaryOf(j))
			continue
		}
		kept = append(kept, j.Name)
		if err := d.compareJob(old, new, was, j, script); err != nil {
			return nil, err
		}
	}
	d.compareOrder(old.Jobs, kept)
	return d, nil
}

// compareOrder finds the removed jobs, and whether the kept ones, given in the
// new plan's order, stand in another order: it decides whose artifacts win.
func (d *Diff) compareOrder(old []Job, kept []string) {
	isKept := make(map[string]bool, len(kept))
	for _, name := range kept {
		isKept[name] = true
	}
	next, same := 0, true
	for i := range old {
		j := &old[i]
		if !isKept[j.Name] {
			d.Removed = append(d.Removed, summaryOf(j))
			continue
		}
		if same && j.Name != kept[next] {
			a, b := Literal(j.Name), Literal(kept[next])
			d.Plan = append(d.Plan, Change{"jobs.order", &a, &b})
			same = false
		}
		next++
	}
}

// compareJob compares two jobs, each with its plan.
func (d *Diff) compareJob(oldPlan, newPlan *Plan, old, new *Job, script func(bool, string) ([]byte, error)) error {
	if reflect.DeepEqual(old, new) {
		return nil
	}
	jd := JobDiff{Name: new.Name, Changes: changes(oldPlan.jobLeaves(old, oldPlan.ruleTexts), newPlan.jobLeaves(new, newPlan.ruleTexts))}
	// Two digests say nothing to a person; the texts follow.
	jd.Changes = slices.DeleteFunc(jd.Changes, func(c Change) bool {
		return c.Old != nil && c.New != nil && strings.HasSuffix(c.Field, "script.sha256")
	})
	for _, s := range []struct {
		field    string
		old, new *Script
	}{{"script", old.script(), new.script()}, {"after_script", old.AfterScript, new.AfterScript}} {
		if s.old != nil && s.new != nil && s.old.SHA256 == s.new.SHA256 || s.old == s.new {
			continue
		}
		diff := ScriptDiff{Field: s.field}
		for _, side := range []struct {
			isOld  bool
			script *Script
			text   *string
		}{{true, s.old, &diff.Old}, {false, s.new, &diff.New}} {
			if side.script == nil {
				continue
			}
			text, err := script(side.isOld, side.script.Path)
			if err != nil {
				return err
			}
			diff.Path, *side.text = side.script.Path, string(text)
		}
		jd.Scripts = append(jd.Scripts, diff)
	}
	if len(jd.Changes)+len(jd.Scripts) > 0 {
		d.Changed = append(d.Changed, jd)
	}
	return nil
}

// changes compares leaves by path; the result keeps the fields' order of the new
// side.
func changes(old, new []leaf) []Change {
	was := make(map[string]leaf, len(old))
	for _, l := range old {
		was[l.path] = l
	}
	rank := make(map[string]int)
	var list []Change
	compare := func(path string, a, b leaf) {
		group, _ := splitPath(path)
		if _, ok := rank[group]; !ok {
			rank[group] = len(rank)
		}
		list = append(list, valueChanges(path, a, b)...)
	}
	for _, l := range new {
		compare(l.path, was[l.path], l)
		delete(was, l.path)
	}
	for _, l := range old {
		if _, gone := was[l.path]; gone {
			compare(l.path, l, leaf{})
		}
	}
	slices.SortStableFunc(list, func(a, b Change) int {
		groupA, _ := splitPath(a.Field)
		groupB, _ := splitPath(b.Field)
		return cmp.Or(rank[groupA]-rank[groupB], strings.Compare(a.Field, b.Field))
	})
	return list
}

// valueChanges compares two leaves of one path. Elements of a list are added and
// removed; if only their order differs, both orders are given.
func valueChanges(path string, old, new leaf) []Change {
	if slices.Equal(old.values, new.values) {
		return nil
	}
	if !old.list && !new.list && len(old.values) == 1 && len(new.values) == 1 {
		return []Change{{path, &old.values[0], &new.values[0]}}
	}
	excess := make(map[Text]int)
	for _, v := range new.values {
		excess[v]++
	}
	var list []Change
	for _, v := range old.values {
		if excess[v]--; excess[v] < 0 {
			list = append(list, Change{Field: path, Old: &v})
		}
	}
	for _, v := range new.values {
		if excess[v] > 0 {
			excess[v]--
			list = append(list, Change{Field: path, New: &v})
		}
	}
	if len(list) == 0 {
		a, b := joined(old.values), joined(new.values)
		list = append(list, Change{path, &a, &b})
	}
	return list
}

func joined(values []Text) Text {
	var parts []string
	for _, v := range values {
		parts = append(parts, displayValue(v))
	}
	return Literal(strings.Join(parts, ", "))
}

// WriteText writes the difference for a person. unified returns the unified diff
// of two versions of a named script.
func (d *Diff) WriteText(w io.Writer, unified func(name string, old, new []byte) []byte) error {
	var b bytes.Buffer
	writeChanges(&b, "", d.Plan)
	for _, j := range d.Removed {
		fmt.Fprintf(&b, "- %s\n", j)
	}
	for _, j := range d.Added {
		fmt.Fprintf(&b, "+ %s\n", j)
	}
	for _, j := range d.Changed {
		fmt.Fprintf(&b, "~ job %s\n", displayValue(Literal(j.Name)))
		writeChanges(&b, "    ", j.Changes)
		for _, s := range j.Scripts {
			for line := range strings.Lines(string(unified(s.Path, []byte(s.Old), []byte(s.New)))) {
				b.WriteString("    " + Display(strings.TrimSuffix(line, "\n")) + "\n")
			}
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func writeChanges(b *bytes.Buffer, indent string, list []Change) {
	for _, c := range list {
		field := indent + Display(c.Field)
		switch {
		case c.Old == nil:
			fmt.Fprintf(b, "%s: + %s\n", field, displayValue(*c.New))
		case c.New == nil:
			fmt.Fprintf(b, "%s: - %s\n", field, displayValue(*c.Old))
		default:
			fmt.Fprintf(b, "%s: %s -> %s\n", field, displayValue(*c.Old), displayValue(*c.New))
		}
	}
}
