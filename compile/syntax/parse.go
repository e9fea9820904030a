package syntax

import "fmt"

// The bounds of what [Parse] accepts, beside [MaxFileSize].
const (
	// MaxDepth is the number of collections that may be nested in one another
	// (specification, section 0).
	MaxDepth = 100
	// MaxValues is the number of values that a file may hold as written, keys
	// included. It bounds what a file takes while it is read: about 300 bytes each.
	MaxValues = 300_000
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
	docs := documents(scan(src))
	if len(docs) == 0 {
		var errs ErrorList
		errs.Add(CodeEmpty, Pos{file, 1, 1}, 1, "the file holds no pipeline: it is empty").Help = example
		return nil, errs
	}
	p := &parser{src: src, toks: docs[0], anchors: map[string]*anchor{}}
	f := &File{Root: p.root()}
	if len(docs) == 1 || f.Root == nil {
		return f.unlessEmpty(), p.errs
	}
	ignored, read := docs[1:], "only the first document of a file is read"
	if f.Root.GetKey("spec") != nil {
		content := &parser{src: src, toks: docs[len(docs)-1], anchors: map[string]*anchor{}}
		f.Header, f.Root = f.Root, content.root()
		ignored, p.errs = docs[1:len(docs)-1], append(p.errs, content.errs...)
		read = "only the first and the last document of a file with inputs are read"
	}
	if len(ignored) > 0 {
		first := ignored[0][0]
		w := p.errs.Warn(CodeIgnoredDocument, p.pos(&first), first.width(), read+", this one is ignored")
		w.Help = `remove the "---" above it`
	}
	return f.unlessEmpty(), p.errs
}

// unlessEmpty is f, or nil if there is nothing in it to work on.
func (f *File) unlessEmpty() *File {
	if f.Root == nil {
		return nil
	}
	return f
}

// documents splits tokens at document markers, which it replaces by tokenEOF: the
// last token of each document.
func documents(toks []tok) [][]tok {
	var docs [][]tok
	start, marked := 0, false
	for i := range toks {
		kind := toks[i].kind
		if kind != tokenDocStart && kind != tokenDocEnd && kind != tokenEOF {
			continue
		}
		// What has no token is a document only behind "---": a null.
		if i > start || marked && kind != tokenEOF {
			docs = append(docs, toks[start:i+1])
		}
		toks[i] = tok{kind: tokenEOF, first: true, line: toks[i].line}
		start, marked = i+1, kind == tokenDocStart
	}
	return docs
}

// parser makes nodes from the tokens of one document. It descends recursively
// along the indentation; each method leaves p.i behind what it has read.
type parser struct {
	src  *source
	toks []tok
	i    int
	// depth counts the collections that enclose the current token, flow those of
	// them that are in brackets.
	depth, flow int
	// nodes counts all values, those behind aliases each time; aliased are those.
	nodes, aliased int
	anchors        map[string]*anchor
	errs           ErrorList
	// stop: nothing behind the last error can be read.
	stop bool
}

// anchor is the value of an anchor; node is nil inside of it.
type anchor struct {
	node  *Node
	pos   Pos
	nodes int
}

func (p *parser) peek() *tok { return &p.toks[p.i] }

func (p *parser) next() *tok {
	t := &p.toks[p.i]
	if t.kind != tokenEOF {
		p.i++
	}
	return t
}

func (p *parser) pos(t *tok) Pos { return Pos{p.src.file, t.line, max(t.col, 1)} }

func (p *parser) fail(code string, t *tok, format string, args ...any) *Error {
	return &Error{Code: code, Pos: p.pos(t), Len: t.width(), Msg: fmt.Sprintf(format, args...)}
}

// newNode counts and returns a node.
func (p *parser) newNode(kind Kind, t *tok) (*Node, *Error) {
	if e := p.count(1, t); e != nil {
		return nil, e
	}
	return &Node{Kind: kind, Pos: p.pos(t)}, nil
}

// count adds n to the number of values.
func (p *parser) count(n int, t *tok) *Error {
	p.nodes += n
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
func (p *parser) enter(t *tok) *Error {
	p.depth++
	if p.depth > MaxDepth {
		p.stop = true
		return p.fail(CodeTooDeep, t, "lists and mappings are nested more than %d levels deep", MaxDepth)
	}
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
		start := p.i
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
// begins at token start. If that left a bracket open, the scanner has taken all
// that follows for the content of the bracket, and reading ends.
func (p *parser) skipEntry(start, col int) {
	open := 0
	for p.i = start; p.peek().kind != tokenEOF; p.i++ {
		t := p.peek()
		switch t.kind {
		case tokenListStart, tokenMapStart:
			open++
		case tokenListEnd, tokenMapEnd:
			open--
		case tokenEntry, tokenComma, tokenColon:
		default:
			if p.i > start && t.first && t.col <= col && p.atKey() {
				p.stop = p.stop || open != 0
				return
			}
		}
	}
}
