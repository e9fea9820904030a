package plan

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName bounds the names of jobs, stages and environments, in characters.
const MaxName = 255

// MaxTimeout bounds the time limits of a job, in seconds.
const MaxTimeout = 30 * 24 * 3600

// Limits of a plan, beyond those of its size. They follow GitLab's limits
// (specification section 0) where it has one.
const (
	maxJobs      = 100_000
	maxText      = 1 << 20 // bytes of any other string
	maxStartIn   = 7 * 24 * 3600
	maxProblems  = 1000 // collected; a hostile plan has no end of them
	shownDefects = 20
)

// Problem is one violated invariant.
type Problem struct {
	// Path names the value: jobs[3] "test": needs[0].
	Path string
	Msg  string

	// place sorts: 0 before the jobs, 1+i for job i, then what follows the jobs.
	place int
}

// ValidationError holds every violated invariant of a plan, in plan order.
type ValidationError []Problem

// Error lists the problems, one a line, the first twenty of them.
func (e ValidationError) Error() string {
	var b strings.Builder
	b.WriteString("invalid plan:")
	for _, p := range e[:min(len(e), shownDefects)] {
		fmt.Fprintf(&b, "\n\t%s: %s", p.Path, p.Msg)
	}
	if more := len(e) - shownDefects; more > 0 {
		fmt.Fprintf(&b, "\n\tand %d more", more)
	}
	return b.String()
}

// Validate checks every invariant that this package states of a plan. The error
// is a [ValidationError].
func (p *Plan) Validate() error {
	v := &validator{}
	top := scope{v: v}
	if len(p.Jobs) > maxJobs {
		top.field("jobs").fail("%d jobs are more than %d", len(p.Jobs), maxJobs)
		return v.err()
	}
	v.head(top, p)
	v.structure(top, p)
	sound := len(v.problems) == 0 // names and edges: enough for a graph
	paths, files := make(map[string]bool), make(map[string]bool)
	for i := range p.Jobs {
		s := top.job(i, p.Jobs[i].Name)
		v.job(s, &p.Jobs[i], paths)
		name := FileName(p.Jobs[i].Name)
		if files[name] {
			s.fail("shares its file name %s with another job", name)
		}
		files[name] = true
	}
	if sound {
		v.graph(top, p)
	}
	v.tail(top, p)
	v.rules(top, p)
	return v.err()
}

var warningCode = regexp.MustCompile(`^CIC[0-9]{4}$`)

type validator struct{ problems ValidationError }

func (v *validator) err() error {
	if len(v.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(v.problems, func(a, b Problem) int { return a.place - b.place })
	return v.problems
}

// scope is a place in the plan; its path is only put together for a message.
type scope struct {
	v     *validator
	up    *scope
	name  string
	index int // -1 for none
	label string
	place int // as in Problem
	// open: dotenv reports may set any variable, so that any may be mentioned.
	open bool
}

func (s scope) field(name string) scope {
	return scope{v: s.v, up: &s, name: name, index: -1, place: s.place, open: s.open}
}

func (s scope) element(name string, index int) scope {
	return scope{v: s.v, up: &s, name: name, index: index, place: s.place, open: s.open}
}

// job is the place of job i, to be called on the top.
func (s scope) job(i int, name string) scope {
	return scope{v: s.v, up: &s, name: "jobs", index: i, label: name, place: 1 + i}
}

func (s scope) key(key string) scope { return s.field("[" + quote(key) + "]") }

func (s scope) path() string {
	if s.up == nil {
		return ""
	}
	path := s.up.path()
	if path != "" && s.name != "" && s.name[0] != '[' && !strings.HasSuffix(path, ": ") {
		path += "."
	}
	path += s.name
	if s.index >= 0 {
		path += fmt.Sprintf("[%d]", s.index)
	}
	if s.label != "" {
		path += " " + quote(s.label) + ": "
	}
	return path
}

func (s scope) fail(format string, args ...any) {
	if len(s.v.problems) < maxProblems {
		path := strings.TrimSuffix(s.path(), ": ")
		s.v.problems = append(s.v.problems, Problem{path, fmt.Sprintf(format, args...), s.place})
	}
}

// text checks free text: UTF-8 without NUL, of bounded length.
func (s scope) text(text string) {
	switch {
	case !utf8.ValidString(text):
		s.fail("%s is not UTF-8", quote(text))
	case strings.ContainsRune(text, 0):
		s.fail("%s holds a NUL", quote(text))
	case len(text) > maxText:
		s.fail("longer than %d bytes", maxText)
	}
}

// named checks a name that people and logs see: not empty, on one line.
func (s scope) named(name string) {
	if name == "" {
		s.fail("must not be empty")
		return
	}
	s.line(name)
	if utf8.RuneCountInString(name) > MaxName {
		s.fail("longer than %d characters", MaxName)
	}
}

// line checks text without control characters.
func (s scope) line(text string) {
	if strings.ContainsFunc(text, unicode.IsControl) {
		s.fail("%s holds a control character", quote(text))
		return
	}
	s.text(text)
}

// word checks an enumerated value.
func (s scope) word(word string, allowed ...string) {
	if !slices.Contains(allowed, word) {
		s.fail("%s is none of %s", quote(word), strings.Join(allowed, ", "))
	}
}

// unique checks that no element of a list repeats.
func (s scope) unique(list []string) {
	seen := make(map[string]bool, len(list))
	for i, name := range list {
		if seen[name] {
			s.element("", i).fail("%s is there twice", quote(name))
		}
		seen[name] = true
	}
}

// identifiers checks a list of distinct variable names.
func (s scope) identifiers(names []string) {
	s.unique(names)
	for i, name := range names {
		s.element("", i).identifier(name)
	}
}

func (s scope) identifier(name string) {
	if !IsIdentifier(name) || len(name) > MaxName {
		s.fail("%s cannot be a variable's name: want [A-Za-z_][A-Za-z0-9_]*, at most %d bytes", quote(name), MaxName)
	}
}

// template checks a text: a template must be well-formed and mention only what
// the executor knows.
func (s scope) template(t Text) {
	s.text(t.Value)
	if !t.Template {
		return
	}
	segments, err := t.Segments()
	if err != nil {
		s.fail("%v", err)
	}
	for _, seg := range segments {
		if seg.Var && !RuntimeVariable(seg.Text) && !s.open {
			s.fail("template mentions %s, which is not known at run time", seg.Text)
		}
	}
}

// required checks a template that must not be empty.
func (s scope) required(t Text) {
	if t.Value == "" {
		s.fail("must not be empty")
	}
	s.template(t)
}

// variables checks names, order and values.
func (s scope) variables(vs Variables) {
	for i, v := range vs {
		at := s.key(v.Name)
		at.identifier(v.Name)
		if i > 0 && vs[i-1].Name >= v.Name {
			at.fail("variables must be sorted by name and distinct")
		}
		at.template(v.Value)
	}
}

// head checks what stands before the jobs.
func (v *validator) head(s scope, p *Plan) {
	if major, _, ok := parseVersion(p.FormatVersion); !ok || major != formatMajor {
		s.field("format_version").fail("%s is not a version of format %d", quote(p.FormatVersion), formatMajor)
	}
	s.field("name").line(p.Name)
	s.field("source").required(Literal(p.Source))
	s.field("source").line(p.Source)
	v.context(s.field("context"), &p.Context)
	s.field("variables").variables(p.Variables)
	s.autoCancel(p.AutoCancel)
}

func (s scope) autoCancel(a *AutoCancel) {
	if a != nil {
		at := s.field("auto_cancel")
		at.field("on_job_failure").word(a.OnJobFailure, onFailure...)
		at.field("on_new_commit").word(a.OnNewCommit, onNewCommit...)
	}
}

func (v *validator) context(s scope, c *Context) {
	s.field("ref").line(c.Ref)
	s.field("ref_type").word(c.RefType, "branch", "tag")
	s.field("event").named(c.Event)
	s.field("target_branch").line(c.TargetBranch)
	if c.TargetBranch != "" && c.Event != EventMergeRequest {
		s.field("target_branch").fail("only a %s has one", EventMergeRequest)
	}
	for _, name := range sortedKeys(c.Options) {
		s.field("options").key(name).named(name)
		s.field("options").key(name).line(c.Options[name])
	}
	s.field("given").identifiers(c.Given)
	for _, name := range sortedKeys(c.Read) {
		s.field("read").key(name).identifier(name)
		if value := c.Read[name]; value != nil {
			s.field("read").key(name).text(*value)
		}
	}
}

// tail checks what stands after the jobs.
func (v *validator) tail(s scope, p *Plan) {
	s.place = 1 + len(p.Jobs)
	jobs := make(map[string]bool, len(p.Jobs))
	for i := range p.Jobs {
		jobs[p.Jobs[i].Name] = true
	}
	for i, x := range p.Excluded {
		at := s.element("excluded", i)
		at.field("name").named(x.Name)
		at.field("stage").named(x.Stage)
		at.field("reason").required(Literal(x.Reason))
		if jobs[x.Name] {
			at.fail("%s is also a job of the plan", quote(x.Name))
		}
	}
	for i, w := range p.Warnings {
		at := s.element("warnings", i)
		if !warningCode.MatchString(w.Code) {
			at.field("code").fail("%s is not CIC and four digits", quote(w.Code))
		}
		at.field("job").line(w.Job)
		at.field("message").required(Literal(w.Message))
		at.field("ignored").word(w.Ignored, "", "comment", "option")
	}
}

// Validate checks every invariant that this package states of a source map.
func (m *SourceMap) Validate() error {
	v := &validator{}
	top := scope{v: v}
	if major, _, ok := parseVersion(m.FormatVersion); !ok || major != formatMajor {
		top.field("format_version").fail("%s is not a version of format %d", quote(m.FormatVersion), formatMajor)
	}
	for i, file := range m.Files {
		top.element("files", i).required(Literal(file))
	}
	for _, path := range sortedKeys(m.Sources) {
		s := top.field("sources").key(path)
		if !fs.ValidPath(path) {
			s.fail("%s is not a path below the project", quote(path))
		}
		s.sha256(m.Sources[path])
	}
	for _, path := range sortedKeys(m.Scripts) {
		lines := m.Scripts[path]
		s := top.field("scripts").key(path)
		s.scriptPath(path)
		if len(lines) == 0 {
			s.fail("must not be empty")
		}
		for i, line := range lines {
			switch {
			case line.Script < 1 || line.Line < 1:
				s.element("", i).fail("lines count from 1")
			case i > 0 && lines[i-1].Script >= line.Script:
				s.element("", i).fail("lines of the script must ascend")
			case line.File < 0 || line.File >= len(m.Files):
				s.element("", i).fail("file %d does not exist", line.File)
			}
		}
	}
	return v.err()
}
