package syntax

import (
	"fmt"
	"slices"
)

// The bounds of what [Parse] accepts, beside [MaxFileSize].
const (
	// MaxDepth is the number of collections that may be nested in one another
	// (specification, section 0).
	MaxDepth = 100
	// MaxValues is the number of values that a file may hold as written, keys
	// included: more than a file of jobs has that is as large as may be. It bounds what
	// a file takes while it is read: about 300 bytes each.
	MaxValues = 350_000
	// MaxMembers is the number of values, keys included, that stand in one list or
	// mapping. A pipeline of 20,000 jobs is below it, while a file that is made of
	// values to take memory is not.
	MaxMembers = 50_000
	// MaxNodes is the number of values of a file, those behind an alias or a merge
	// key counted each time.
	MaxNodes = 1_000_000
)

// example is the help for a file without a pipeline.
const example = "the smallest pipeline is\n\nhello:\n  script:\n    - echo hello"

// File is a pipeline file that was read.
type File struct {
	// Header is the first of several documents, a mapping with the key spec; nil if
	// the file does not begin with one.
	Header *Node
	// Root is the content: the last document behind a header, else the first.
	Root *Node
}

// Parse reads one pipeline file, in which anchors, aliases and merge keys are
// resolved and scalars typed as GitLab does (specification, section 2).
//
// A syntax error spoils one top-level entry: the others are read on, and the tree
// holds what could be read. The file is nil if there is an error that leaves
// nothing to work on. Parse is linear in the size of data and does not panic.
func Parse(file string, data []byte) (*File, ErrorList) {
	src, e := newSource(file, data)
	if e != nil {
		return nil, ErrorList{e}
	}
	p := &parser{src: src, scan: newScanner(src)}
	if !p.nextDocument() {
		var errs ErrorList
		errs.Add(CodeEmpty, Pos{file, 1, 1}, 1, "the file holds no pipeline: it is empty").Help = example
		return nil, errs
	}
	f := &File{Root: p.document()}
	if f.Root == nil {
		return nil, p.errs
	}
	var ignored tok
	read := "only the first document of a file is read"
	if f.Root.GetKey("spec") == nil {
		if p.nextDocument() {
			ignored = p.peek()
		}
	} else {
		read = "only the first and the last document of a file with inputs are read"
		ignored = p.content(f)
	}
	if ignored.exists() {
		w := p.errs.Warn(CodeIgnoredDocument, p.pos(ignored), ignored.width(), read+", this one is ignored")
		w.Help = `remove the "---" above it`
	}
	return f.unlessEmpty(), p.errs
}

// ParseValue reads one value from the command line, which name stands for in positions:
// a scalar has none, as there is no file to look at. It is nil if the text is no value.
func ParseValue(name, text string) *Node {
	f, errs := Parse(name, []byte("value: "+text))
	if f == nil || errs.HasErrors() || f.Header != nil || len(f.Root.Pairs) != 1 {
		return nil
	}
	v := f.Root.Get("value")
	if v != nil && v.IsScalar() {
		return NewScalar(v.Kind, v.Value, Pos{})
	}
	return v
}

// content reads the documents behind a header: the last of them, if there is one,
// is the content. It returns the first token of the first other one, if there is one.
func (p *parser) content(f *File) (ignored tok) {
	header, errs := f.Root, p.errs
	var begin tok
	for p.nextDocument() {
		if begin.exists() && !ignored.exists() {
			ignored = begin
		}
		begin, p.errs = p.peek(), slices.Clip(errs)
		f.Header, f.Root = header, p.document()
	}
	return ignored
}

// unlessEmpty is f, or nil if there is nothing in it to work on.
func (f *File) unlessEmpty() *File {
	if f.Root == nil {
		return nil
	}
	return f
}

// parser makes nodes from the tokens of one document. It descends recursively
// along the indentation; each method takes what it has read.
type parser struct {
	src  *source
	scan *scanner
	// last is the last token taken, if there is one; taken counts them.
	last  tok
	taken int
	// begun: a marker begins the document that is next.
	begun bool
	// depth counts the collections that enclose the current token, flow those of
	// them that are in brackets.
	depth, flow int
	// nodes counts all values, those behind aliases each time; aliased are those.
	nodes, aliased int
	// members counts, by depth, the values in the collection that is open there.
	members [MaxDepth + 1]int
	anchors map[string]*anchor
	errs    ErrorList
	// stop: nothing behind the last error can be read.
	stop bool
}

// anchor is the value of an anchor; node is nil inside of it.
type anchor struct {
	node  *Node
	pos   Pos
	nodes int
}

func (p *parser) peek() tok { return p.scan.look(0) }

// next takes the next token, but not the last of the document.
func (p *parser) next() tok {
	t := p.peek()
	if t.kind != tokenEOF {
		p.last = p.scan.take()
		p.taken++
	}
	return t
}

// nextDocument goes to the first token of the next document, and reports whether
// there is one. What has no token is a document only between two markers: a null.
func (p *parser) nextDocument() bool {
	for p.peek().kind == tokenEOF && p.peek().marker {
		if p.begun {
			return true
		}
		p.begun = p.scan.take().starts
	}
	return p.peek().kind != tokenEOF
}

// document reads a document and goes to its end.
func (p *parser) document() *Node {
	p.anchors, p.last, p.depth, p.flow, p.nodes, p.aliased, p.stop = map[string]*anchor{}, tok{}, 0, 0, 0, 0, false
	p.members = [MaxDepth + 1]int{}
	n := p.root()
	for p.peek().kind != tokenEOF {
		p.scan.take()
	}
	p.begun = p.peek().marker && p.scan.take().starts
	return n
}

func (p *parser) pos(t tok) Pos { return Pos{p.src.file, t.line, max(t.col, 1)} }

func (p *parser) fail(code string, t tok, format string, args ...any) *Error {
	return &Error{Code: code, Pos: p.pos(t), Len: t.width(), Msg: fmt.Sprintf(format, args...)}
}

// newNode counts and returns a node.
func (p *parser) newNode(kind Kind, t tok) (*Node, *Error) {
	if e := p.count(1, t); e != nil {
		return nil, e
	}
	return &Node{Kind: kind, Pos: p.pos(t)}, nil
}

// count adds n to the number of values.
func (p *parser) count(n int, t tok) *Error {
	p.nodes += n
	if p.members[p.depth]++; p.members[p.depth] > MaxMembers {
		p.stop = true
		e := p.fail(CodeTooManyNodes, t, "a list or mapping has more than %d values", MaxMembers)
		e.Help = "split the pipeline into several files"
		return e
	}
	if p.nodes-p.aliased > MaxValues {
		p.stop = true
		e := p.fail(CodeTooManyNodes, t, "the file has more than %d values", MaxValues)
		e.Help = "split the pipeline into several files"
		return e
	}
	if p.nodes <= MaxNodes {
		return nil
	}
	p.stop = true
	return p.fail(CodeTooManyNodes, t, "the file has more than %d values once aliases are expanded", MaxNodes)
}

// enter counts a collection that begins at t; leave must follow.
func (p *parser) enter(t tok) *Error {
	p.depth++
	if p.depth > MaxDepth {
		p.stop = true
		return p.fail(CodeTooDeep, t, "lists and mappings are nested more than %d levels deep", MaxDepth)
	}
	p.members[p.depth] = 0
	return nil
}

func (p *parser) leave() { p.depth-- }

// root reads a document. Entries of its mapping are read independently of one
// another.
func (p *parser) root() *Node {
	t := p.peek()
	if t.kind == tokenTag || t.kind == tokenAnchor || !p.atKey() {
		return p.unusualRoot()
	}
	b := newMappingBuilder(p, p.pos(t))
	col := t.col
	p.depth = 1
	for p.peek().kind != tokenEOF && !p.stop {
		start := p.taken
		if e := p.mappingEntry(col, b); e != nil {
			p.errs = append(p.errs, e)
			p.stop = p.stop || len(p.errs) >= maxErrors
			p.depth, p.flow = 1, 0
			p.skipEntry(start, col)
		}
	}
	if p.stop {
		return nil
	}
	return b.node()
}

// unusualRoot reads a document that does not begin with a key: it is a mapping
// in braces or with a tag or an anchor, or no mapping.
func (p *parser) unusualRoot() *Node {
	t := p.peek()
	n, e := p.node(place{line: -1})
	if e == nil && p.peek().kind != tokenEOF {
		e = p.unexpected(p.peek())
	}
	switch {
	case e != nil && n != nil && n.IsScalar():
		// Text where a key should be: the missing colon is the better message.
		e = p.fail(CodeSyntax, t, "%s is no key: a colon is missing", quoted(t.text))
	case e == nil && n.Kind == Null:
		e = p.fail(CodeEmpty, t, "the file holds no pipeline: it is empty")
		e.Help = example
	case e == nil && n.Kind != Mapping:
		e = p.fail(CodeNotMapping, t, "a pipeline is a mapping of job names to jobs, but this file is %s", n.Kind.WithArticle())
		e.Help = example
	}
	if e != nil {
		p.errs = append(p.errs, e)
		return nil
	}
	return n
}

// skipEntry goes on to the next top-level entry after an error in the one that
// began when start tokens had been taken. If a bracket is open there, the scanner
// takes all that follows for the content of the bracket, and reading ends.
func (p *parser) skipEntry(start, col int) {
	for ; p.peek().kind != tokenEOF; p.next() {
		t := p.peek()
		if p.taken > start && t.first && t.col <= col && p.atKey() && t.kind != tokenColon {
			break
		}
	}
	p.stop = p.stop || p.peek().inside
}
