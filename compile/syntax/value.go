package syntax

import (
	"fmt"
	"maps"
	"slices"
)

// scalarOf returns the node of a scalar token.
func (p *parser) scalarOf(t tok, tag tok) (*Node, *Error) {
	if t.kind == tokenInvalid {
		return nil, p.invalid(t)
	}
	n, e := p.newNode(String, t)
	if e != nil {
		return nil, e
	}
	n.Value, n.Raw, n.merge = t.text, t.text, t.text == "<<" && !tag.exists()
	switch {
	case t.kind == tokenBlock:
		n.block, n.firstLine = t.literal, int32(t.line+1)
	case t.kind == tokenPlain && !tag.exists():
		return n, p.resolve(n, t)
	}
	if !tag.exists() {
		return n, nil
	}
	return n, p.applyTag(n, tag)
}

// resolve gives a plain scalar its type.
func (p *parser) resolve(n *Node, t tok) *Error {
	var date bool
	n.Kind, n.Value, date = resolvePlain(n.Raw)
	switch {
	case date:
		e := p.fail(CodeDate, t, "the date %s must be in quotes", n.Raw)
		e.Help = fmt.Sprintf("write %q", n.Raw)
		return e
	case n.Kind == String && n.Value != n.Raw && len(p.errs) < maxErrors:
		w := p.errs.Warn(CodeSymbol, p.pos(t), t.width(), fmt.Sprintf("%s is read as the symbol %s: the colon is dropped", quoted(n.Raw), quoted(n.Value)))
		w.Help = "put the value in quotes to keep the colon"
	}
	return nil
}

// alias returns the value of the anchor that the next token names.
func (p *parser) alias() (*Node, *Error) {
	t := p.next()
	a := p.anchors[t.text]
	switch {
	case t.text == "":
		return nil, p.fail(CodeSyntax, t, `"*" needs the name of an anchor behind it; put text that begins with "*" in quotes`)
	case a == nil:
		e := p.fail(CodeUnknownAnchor, t, "no anchor %s is defined above this alias", quoted("&"+t.text))
		if name := p.suggestAnchor(t.text); name != "" {
			e.Help = fmt.Sprintf("did you mean %q?", "*"+name)
		}
		return nil, e
	case a.node == nil:
		e := p.fail(CodeRecursiveAlias, t, "the alias %s stands inside of the value that it names", quoted("*"+t.text))
		e.Notes = []Note{{a.pos, "the value begins here"}}
		return nil, e
	}
	p.aliased += a.nodes
	return a.node, p.count(a.nodes, t)
}

// maxSuggestions is the number of errors from which on nothing is suggested: nobody
// would read it, and each takes a look at all names.
const maxSuggestions = 20

// suggestAnchor returns the anchor that was probably meant, "" for none.
func (p *parser) suggestAnchor(name string) string {
	if len(p.errs) >= maxSuggestions {
		return ""
	}
	return Suggest(name, slices.Sorted(maps.Keys(p.anchors)))
}

// maxProperties is how many a node can have: an anchor and a tag.
const maxProperties = 2

// withProperties reads the anchor and the tag of a node and then the node: with
// read, which is given the last property, or here if it is a scalar. isKey tells
// that a scalar before a colon is the node itself, not a mapping's first key.
func (p *parser) withProperties(isKey bool, read func(last tok) (*Node, *Error)) (*Node, *Error) {
	var last, anchorTok, tagTok tok
	for done := false; !done; {
		t := p.peek()
		switch {
		case t.kind == tokenAnchor && !anchorTok.exists():
			anchorTok = t
			if t.text == "" {
				return nil, p.fail(CodeSyntax, t, `"&" needs the name of an anchor behind it; put text that begins with "&" in quotes`)
			}
		case t.kind == tokenTag && !tagTok.exists():
			tagTok = t
		default:
			done = true
			continue
		}
		last = p.next()
	}
	// More of them are those of the first key of a mapping, on a line of its own.
	if t := p.peek(); (t.kind == tokenAnchor || t.kind == tokenTag) && (isKey || t.line == last.line || !p.atKey()) {
		return nil, p.unexpected(t)
	}
	before := p.nodes
	var a *anchor
	if anchorTok.exists() {
		a = &anchor{pos: p.pos(anchorTok)}
		p.anchors[anchorTok.text] = a
	}
	n, e := p.tagged(isKey, tagTok, last, read)
	if e != nil {
		return nil, e
	}
	if a != nil {
		a.node, a.nodes = n, p.nodes-before
	}
	return n, nil
}

// tagged reads a node behind its properties and applies the tag.
func (p *parser) tagged(isKey bool, tag, last tok, read func(last tok) (*Node, *Error)) (*Node, *Error) {
	if !tag.exists() {
		return read(last)
	}
	switch t := p.peek(); t.kind {
	case tokenPlain, tokenQuoted, tokenBlock:
		if t.line == last.line && (isKey || !p.atKey()) {
			return p.scalarOf(p.next(), tag)
		}
	case tokenAlias:
		return nil, p.fail(CodeSyntax, t, "an alias cannot have a tag")
	}
	n, e := read(last)
	if e != nil {
		return nil, e
	}
	return n, p.applyTag(n, tag)
}

// The standard tags by the kind that they ask for.
var tagKinds = map[string]Kind{
	"!!str": String, "!!int": Int, "!!float": Float, "!!bool": Bool, "!!null": Null, "!!map": Mapping, "!!seq": Sequence,
}

// applyTag gives n, which nothing refers to yet, the type that tag asks for.
// Of the tags that are not standard, GitLab knows !reference alone.
func (p *parser) applyTag(n *Node, t tok) *Error {
	tag := t.text
	kind, known := tagKinds[tag]
	switch {
	case tag == "!reference":
		if n.Kind != Sequence || len(n.Items) == 0 {
			what := n.Kind.WithArticle()
			if n.Kind == Sequence {
				what = "an empty list"
			}
			e := p.fail(CodeTag, t, "!reference needs a list of names, not %s", what)
			e.Help = "write it as !reference [job, keyword]"
			return e
		}
		n.Kind, n.Pos = Reference, p.pos(t)
		return nil
	case tag == "!!merge" && n.Kind == String && n.Value == "<<":
		n.merge = true
		return nil
	case tag == "!" && n.IsScalar():
		kind = String
		if n.Raw != "" && len(p.errs) < maxErrors {
			w := p.errs.Warn(CodeBang, p.pos(t), 1, `the "!" before this value is a tag of YAML: it is dropped`)
			w.Help = "put the whole value in quotes to keep it"
		}
	case !known:
		e := p.fail(CodeTag, t, "unknown tag %s", quoted(tag))
		e.Help = "the only tag of the pipeline language is !reference; put text that begins with \"!\" in quotes"
		return e
	}
	if n.Kind == kind && !n.IsScalar() {
		return nil
	}
	if n.IsScalar() && kind == String {
		n.Kind, n.Value = String, n.Raw
		return nil
	}
	if n.IsScalar() {
		if got, value, date := resolvePlain(n.Raw); got == kind && !date {
			n.Kind, n.Value = got, value
			return nil
		}
	}
	return p.fail(CodeTag, t, "the tag %s does not fit %s", tag, n.Kind.WithArticle())
}
