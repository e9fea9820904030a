package resolve

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/expr"
	"github.com/cic-ci/cic/compile/match"
	"github.com/cic-ci/cic/compile/syntax"
)

// MaxIncludes is the number of files that a pipeline may include, nested ones and
// repeated ones counted (specification, section 0).
const MaxIncludes = 150

// MaxBytes is the length of all files of a pipeline together, those that are included
// again counted again.
const MaxBytes = 8 << 20

// Options say what a pipeline file may draw on.
type Options struct {
	// Project is the tree in which local files are looked up; it must not lead out
	// of the project. Nil: there is none.
	Project fs.FS
	// Lookup returns the variables that include and its rules see (specification,
	// section 7).
	Lookup func(name string) (string, bool)
	// Exists and Changed answer rules of include; see their namesakes of job rules.
	// They are needed where such a rule is.
	Exists, Changed func(PathClause) (bool, error)
	// Matcher matches the patterns of rules and inputs; nil: one of its own.
	Matcher *match.Matcher
	// Inputs are those of the pipeline file itself, as texts.
	Inputs map[string]string
	// Passed, if not nil, are inputs of the pipeline file as another file gives them, a
	// mapping: the file is that of another project.
	Passed *syntax.Node
	// Prefix is what positions have before the names of the project's files, to tell
	// them from those of others.
	Prefix string
	// Vendored returns the copy of a file that is not in the project, under the name
	// that diagnostics give it. A missing one is [fs.ErrNotExist].
	Vendored func(Location) (name string, data []byte, err error)
	// Artifact returns a file that a job has made, under the name that diagnostics give
	// it; for [Child] alone.
	Artifact func(job, path string) (name string, data []byte, err error)
	// Stub leaves out what is neither in the project nor vendored, with a warning.
	Stub bool
}

// Location is where a file that is not in the project comes from.
type Location struct {
	// Kind is remote, template, project or component.
	Kind string
	// Name is the address, the template's name, the project's path or the component.
	Name string
	// File and Ref belong to a project; Ref may be empty.
	File, Ref string
}

// String is the location as a person would write it.
func (loc Location) String() string {
	s := loc.Kind + " " + loc.Name
	if loc.File != "" {
		s += " " + loc.File
	}
	if loc.Ref != "" {
		s += " at " + loc.Ref
	}
	return s
}

// loader loads the files of one pipeline.
type loader struct {
	o      Options
	errs   syntax.ErrorList
	merger merger
	stubs  Stubs
	// sources are the texts of all files that were read, by name.
	sources map[string][]byte
	// included are the places where files are included for the first time, by the name
	// that positions in them have.
	included map[string]syntax.Pos
	// path are the files being loaded, each included by the one before.
	path  []place
	count int
	bytes int  // see MaxBytes
	full  bool // that a bound is exceeded is reported
	// filled is the number of bytes that were filled in for inputs.
	filled int
}

// place is a file that is included, and where that is written.
type place struct {
	file   string
	pos    syntax.Pos
	length int
	inputs *syntax.Node // what is passed to it, nil for nothing
	// texts: what is passed are texts, to be read as the type of each input.
	texts  bool
	help   string   // for an input that is missing
	origin Location // empty: this project
	// source is the name that positions in the file have.
	source string
}

// The texts of a diagnostic of [CodeMatching].
const (
	MatchingFault = "matching the regular expressions of this pipeline takes too much work: it stops here"
	MatchingHelp  = "match shorter texts, or with fewer or simpler patterns"
)

func newLoader(o Options) *loader {
	if o.Matcher == nil {
		o.Matcher = match.New(match.Texts)
	}
	return &loader{o: o, sources: map[string][]byte{}, included: map[string]syntax.Pos{}}
}

// holds evaluates the condition of a rule at n.
func (l *loader) holds(e *expr.Expr, n *syntax.Node, lookup expr.Lookup) bool {
	holds := e.Eval(lookup, l.o.Matcher)
	l.checkMatcher(n)
	return holds
}

// checkMatcher reports, once, that all patterns together take too much work; n is
// where that shows.
func (l *loader) checkMatcher(n *syntax.Node) {
	if l.o.Matcher.Report() {
		l.fail(CodeMatching, n, "%s", MatchingFault).Help = MatchingHelp
	}
}

func (l *loader) lookup(name string) (string, bool) {
	if l.o.Lookup == nil {
		return "", false
	}
	return l.o.Lookup(name)
}

// load parses one file, fills in its inputs, and merges it over what it includes.
// It is nil if nothing could be read.
func (l *loader) load(name string, data []byte, at place) *syntax.Node {
	f := l.parse(name, data, at)
	if f == nil {
		return nil
	}
	root := f.Root
	switch {
	case f.Header != nil:
		ip := &interpolator{l: l, origin: at.origin, done: map[*syntax.Node]*syntax.Node{}}
		var inputs []*input
		inputs, ip.componentFields = l.header(f.Header)
		ip.values = l.values(inputs, at.inputs, at)
		root = ip.node(root)
	case at.inputs != nil && len(at.inputs.Pairs) > 0:
		l.fail(CodeInput, at.inputs.Pairs[0].Key, "%s declares no inputs: it has no \"spec\"", name)
	}
	include := root.Get("include")
	if include == nil {
		return root
	}
	own := without(root, "include")
	if include.Kind == syntax.Null {
		return own
	}
	return l.merger.merge(l.include(include), own)
}

// parse parses one file; it is nil if nothing could be read, or too much has been.
func (l *loader) parse(name string, data []byte, at place) *syntax.File {
	if l.bytes += len(data); l.bytes > MaxBytes {
		l.reportFull(at, "the files of the pipeline, each time they are included, are larger than %d MiB", MaxBytes>>20)
		return nil
	}
	l.sources[name] = data
	f, errs := syntax.Parse(name, data)
	for _, e := range errs {
		l.add(e)
	}
	return f
}

// reportFull reports, once, that more is included than may be.
func (l *loader) reportFull(at place, format string, limit int) {
	if !l.full {
		l.full = true
		l.failAt(CodeIncludeLimit, at.pos, at.length, format, limit)
	}
}

// enter counts a file and refuses one that includes itself; leave must follow if
// it is true.
func (l *loader) enter(at place) bool {
	for i, p := range l.path {
		if p.file == at.file {
			var chain []string
			for _, link := range l.path[i:] {
				chain = append(chain, link.file)
			}
			l.failAt(CodeIncludeCycle, at.pos, at.length, "include goes in a circle: %s -> %s", strings.Join(chain, " -> "), at.file)
			return false
		}
	}
	if l.count++; l.count > MaxIncludes {
		l.reportFull(at, "the pipeline includes more than %d files", MaxIncludes)
		return false
	}
	l.path = append(l.path, at)
	return true
}

// leave is the end of what enter begins. The files of a child pipeline are not included
// by any other: who starts it says so.
func (l *loader) leave() {
	at := l.path[len(l.path)-1]
	l.path = l.path[:len(l.path)-1]
	if _, again := l.included[at.source]; !again && l.path[len(l.path)-1].file != "" {
		l.included[at.source] = at.pos
	}
}

// fail reports an error at a node.
func (l *loader) fail(code string, n *syntax.Node, format string, args ...any) *syntax.Error {
	length := 1
	if n.IsScalar() {
		text, _, _ := strings.Cut(n.Raw, "\n")
		length = max(1, utf8.RuneCountInString(text))
	}
	return l.failAt(code, n.Pos, length, format, args...)
}

func (l *loader) failAt(code string, pos syntax.Pos, length int, format string, args ...any) *syntax.Error {
	return l.add(&syntax.Error{Code: code, Pos: pos, Len: length, Msg: fmt.Sprintf(format, args...)})
}

func (l *loader) warnAt(code string, pos syntax.Pos, length int, format string, args ...any) *syntax.Error {
	e := l.failAt(code, pos, length, format, args...)
	e.Severity = syntax.SeverityWarning
	return e
}

// add reports a diagnostic, and by which way its file was included.
func (l *loader) add(e *syntax.Error) *syntax.Error {
	noted := 0
	for i := len(l.path) - 1; i > 0 && noted < maxTraced; i-- {
		if at := l.path[i]; noted > 0 || at.source == e.Pos.File {
			e.Notes = append(e.Notes, syntax.Note{Pos: at.pos, Msg: includedHere})
			noted++
		}
	}
	l.errs = append(l.errs, e)
	return e
}

// unknownKey reports a key that a mapping cannot have.
func (l *loader) unknownKey(key *syntax.Node, where string, known ...string) {
	e := l.fail(CodeUnknownKey, key, "%s has no key %q", where, key.Value)
	l.suggest(e, key.Value, func() []string { return known })
}

// suggest adds what was probably meant, unless there are so many diagnostics that
// nobody would read it.
func (l *loader) suggest(e *syntax.Error, name string, known func() []string) {
	if len(l.errs) > maxSuggestions {
		return
	}
	if s := syntax.Suggest(name, known()); s != "" {
		e.Help = fmt.Sprintf("did you mean %q?", s)
	}
}

// mappingOrNull reports whether n is a mapping or nothing, and an error if not.
func (l *loader) mappingOrNull(n *syntax.Node, what string) bool {
	if n.Kind == syntax.Mapping || n.Kind == syntax.Null {
		return true
	}
	l.fail(CodeSpec, n, "%s is a mapping, not %s", what, n.Kind.WithArticle())
	return false
}
