package syntax

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// place says where a node may stand.
type place struct {
	// min is the least column of a block node; anything further left belongs to
	// an enclosing collection. A list under a key may stand at the column of the
	// key: minList.
	min, minList int
	// line is that of the indicator before the node, inline that this is the colon
	// of a key, behind which no block collection may begin.
	line   int
	inline bool
	// at stands for a node that is missing, the token there if it is none.
	at tok
}

// node reads the block node at pl, a null if there is none.
func (p *parser) node(pl place) (*Node, *Error) {
	t := p.peek()
	inline := pl.inline && t.line == pl.line
	switch {
	case t.kind == tokenEOF, t.col < pl.min && (t.kind != tokenEntry || t.col < pl.minList || t.line == pl.line):
		if !pl.at.exists() {
			pl.at = t
		}
		return p.newNode(Null, pl.at)
	case t.kind == tokenEntry:
		if inline {
			return nil, p.fail(CodeSyntax, t, "a list cannot begin behind a key on the same line")
		}
		return p.blockList(t.col)
	case p.atKey():
		if inline {
			return nil, p.nestedColon()
		}
		return p.blockMapping(t.col)
	case t.kind == tokenAnchor, t.kind == tokenTag:
		return p.withProperties(false, func(last tok) (*Node, *Error) {
			if p.peek().kind == tokenEntry && p.peek().line == last.endLine {
				return nil, p.unexpected(p.peek())
			}
			if pl.line == last.line {
				return p.node(pl)
			}
			return p.node(place{min: pl.min, minList: pl.minList, line: last.line, at: last})
		})
	}
	return p.simple()
}

// simple reads a node that is neither a block collection nor has properties.
func (p *parser) simple() (*Node, *Error) {
	switch t := p.peek(); t.kind {
	case tokenPlain, tokenQuoted, tokenBlock:
		return p.scalarOf(p.next(), tok{})
	case tokenAlias:
		return p.alias()
	case tokenListStart:
		return p.flowList()
	case tokenMapStart:
		return p.flowMapping()
	default:
		return nil, p.unexpected(t)
	}
}

// atKey reports whether a key begins at the current token: properties, a scalar
// and a colon on one line, or the indicator of an explicit key.
func (p *parser) atKey() bool {
	i := 0
	line := p.peek().line
	if p.peek().kind == tokenKey || p.peek().kind == tokenColon {
		return true
	}
	for i < maxProperties && (p.scan.look(i).kind == tokenAnchor || p.scan.look(i).kind == tokenTag) {
		i++
	}
	switch p.scan.look(i).kind {
	case tokenPlain, tokenQuoted, tokenAlias:
	default:
		return false
	}
	colon := p.scan.look(i + 1)
	return p.scan.look(i).line == line && colon.kind == tokenColon && colon.line == line
}

// blockMapping reads the mapping whose keys stand in column col.
func (p *parser) blockMapping(col int) (*Node, *Error) {
	t := p.peek()
	if e := p.enter(t); e != nil {
		return nil, e
	}
	defer p.leave()
	b := newMappingBuilder(p, p.pos(t))
	for {
		if e := p.mappingEntry(col, b); e != nil {
			return nil, e
		}
		if t := p.peek(); t.kind == tokenEOF || t.col < col || t.kind == tokenEntry && t.col == col {
			break
		}
	}
	if e := p.count(1, t); e != nil {
		return nil, e
	}
	return b.node(), nil
}

// mappingEntry reads one entry of a block mapping into b, and checks that the
// token behind it is where a token can be.
func (p *parser) mappingEntry(col int, b *mappingBuilder) *Error {
	t := p.peek()
	if e := p.checkIndent(t, col); e != nil {
		return e
	}
	if !p.atKey() {
		if t.kind != tokenPlain && t.kind != tokenQuoted {
			return p.unexpected(t)
		}
		if colon := p.scan.look(1); colon.kind == tokenColon && colon.line == t.endLine {
			return p.longKey(t, colon)
		}
		e := p.fail(CodeSyntax, t, "%s is no key: a colon is missing", quoted(t.text))
		if strings.Contains(t.text, ":") {
			e.Help = "put a space behind the colon"
		}
		return e
	}
	key, colon, e := p.mappingKey(col)
	if e != nil {
		return e
	}
	// Behind the colon of an explicit key a collection may begin on the same line.
	value, e := p.node(place{min: col + 1, minList: col, line: colon.line, inline: t.kind != tokenKey, at: colon})
	if e != nil {
		return e
	}
	if e := p.checkAfter(col); e != nil {
		return e
	}
	return b.add(key, value)
}

// mappingKey reads a key and its colon.
func (p *parser) mappingKey(col int) (key *Node, colon tok, e *Error) {
	t := p.peek()
	if t.kind == tokenKey {
		p.next()
		if key, e = p.node(place{min: col + 1, minList: col + 1, line: t.line, at: t}); e != nil {
			return nil, tok{}, e
		}
		if p.peek().kind != tokenColon || p.peek().col != col {
			return key, t, p.keyKind(key, t)
		}
		return key, p.next(), p.keyKind(key, t)
	}
	key, e = p.implicitKey()
	if e != nil {
		return nil, tok{}, e
	}
	return key, p.next(), p.keyKind(key, t)
}

// implicitKey reads the key before a colon, null if there is none.
func (p *parser) implicitKey() (*Node, *Error) {
	t := p.peek()
	switch t.kind {
	case tokenColon:
		return p.newNode(Null, t)
	case tokenAnchor, tokenTag:
		return p.withProperties(true, func(tok) (*Node, *Error) { return p.implicitKey() })
	case tokenAlias:
		return p.alias()
	}
	return p.scalarOf(p.next(), tok{})
}

func (p *parser) keyKind(key *Node, t tok) *Error {
	if key.IsScalar() {
		return nil
	}
	return p.fail(CodeKeyNotScalar, t, "a key is a name, not %s", key.Kind.WithArticle())
}

// blockList reads the list whose dashes stand in column col.
func (p *parser) blockList(col int) (*Node, *Error) {
	t := p.peek()
	if e := p.enter(t); e != nil {
		return nil, e
	}
	defer p.leave()
	n, e := p.newNode(Sequence, t)
	if e != nil {
		return nil, e
	}
	for t.kind == tokenEntry && t.col == col {
		if e := p.checkIndent(t, col); e != nil {
			return nil, e
		}
		dash := p.next()
		item, e := p.node(place{min: col + 1, minList: col + 1, line: dash.line, at: dash})
		if e != nil {
			return nil, e
		}
		n.Items = append(n.Items, item)
		if e := p.checkAfter(col); e != nil {
			return nil, e
		}
		t = p.peek()
	}
	return n, nil
}

// checkIndent refuses tabs before a key or a dash, and a key or dash at another
// column than the ones before it.
func (p *parser) checkIndent(t tok, col int) *Error {
	if !t.first {
		return nil
	}
	if e := p.tabError(t.line); e != nil {
		return e
	}
	if t.col != col {
		return p.misaligned(t, col)
	}
	return nil
}

// tabError returns the error of a line that is indented with tabs, else nil.
func (p *parser) tabError(line int) *Error {
	tab := p.src.indentTab(line)
	if tab == 0 {
		return nil
	}
	return &Error{Code: CodeTab, Pos: Pos{p.src.file, line, tab}, Len: 1,
		Msg: "a tab cannot be used for indentation", Label: "tab", Help: "use spaces"}
}

// checkAfter checks the token behind an entry of the collection at column col:
// it begins a line, at that column or further left.
func (p *parser) checkAfter(col int) *Error {
	t := p.peek()
	if t.kind == tokenEOF || t.first && t.col <= col {
		return nil
	}
	if t.first && t.kind != tokenInvalid {
		if e := p.tabError(t.line); e != nil {
			return e
		}
		if p.atKey() || t.kind == tokenEntry {
			return p.misaligned(t, col)
		}
	}
	return p.unexpected(t)
}

func (p *parser) misaligned(t tok, col int) *Error {
	e := p.fail(CodeSyntax, t, "wrong indentation: column %d is not that of a key or list above", t.col)
	if t.col > col {
		e.Notes = []Note{{Msg: fmt.Sprintf("the entries above begin in column %d", col)}}
	}
	e.Help = "entries of one mapping or list begin in the same column"
	return e
}

// nestedColon is the error of a key behind a key on the same line.
func (p *parser) nestedColon() *Error {
	if p.peek().kind == tokenKey {
		return p.unexpected(p.peek())
	}
	for p.peek().kind != tokenColon {
		p.next()
	}
	e := p.fail(CodeSyntax, p.peek(), "a second \": \" in a value without quotes")
	e.Help = "put the value in quotes"
	return e
}

// unexpected is the error of a token that cannot stand where it does.
func (p *parser) unexpected(t tok) *Error {
	last := p.last
	e := p.misplaced(t, last)
	closed := last.kind == tokenListEnd || last.kind == tokenMapEnd
	if e.Help == "" && p.flow == 0 && closed && last.endLine == t.line && t.kind != tokenEOF {
		e.Help = fmt.Sprintf("the value ends with the %q: put all of it in quotes if text is meant", last.text)
	}
	return e
}

// misplaced is the error of t, which cannot stand behind last.
func (p *parser) misplaced(t, last tok) *Error {
	switch {
	case p.flow == 0 && t.kind == tokenColon && (last.kind == tokenPlain || last.kind == tokenQuoted) && last.endLine > last.line:
		return p.longKey(last, t)
	case last.kind == tokenBlock && t.first && t.kind != tokenEOF:
		return p.blockEnd(t.line)
	}
	switch t.kind {
	case tokenInvalid:
		return p.invalid(t)
	case tokenEOF:
		return p.fail(CodeSyntax, t, "unexpected end of the file")
	case tokenQuoted, tokenPlain:
		return p.strayText(t, last)
	case tokenBlock:
		return p.fail(CodeSyntax, t, "a block of text cannot begin here")
	case tokenAnchor:
		return p.fail(CodeSyntax, t, "unexpected anchor %s", quoted("&"+t.text))
	case tokenAlias:
		return p.fail(CodeSyntax, t, "unexpected alias %s", quoted("*"+t.text))
	}
	e := p.fail(CodeSyntax, t, "unexpected %s", quoted(t.text))
	if last.kind == tokenPlain && (t.kind == tokenListStart || t.kind == tokenMapStart) {
		e.Help = fmt.Sprintf("inside of brackets, put text with a %q in quotes", t.text)
	}
	return e
}

// longKey is the error of t, a scalar over several lines, before colon. Mostly it is
// not meant as one key: what the first line lacks is told by how the last is indented.
func (p *parser) longKey(t, colon tok) *Error {
	line := []rune(p.src.line(t.line))
	before, first := strings.TrimSpace(string(line[:t.col-1])), strings.TrimSpace(string(line[t.col-1:]))
	last := p.src.line(colon.line)
	if t.kind == tokenPlain && strings.HasSuffix(before, ":") {
		e := p.fail(CodeSyntax, colon, `unexpected ":": the line belongs to the text %s that begins above`, quoted(first))
		e.Help = "indent the line as its key above, or put the text in quotes"
		return e
	}
	e := p.fail(CodeSyntax, t, "a key must stand on one line: %s does not", quoted(t.text))
	if t.kind == tokenPlain && len(last)-len(strings.TrimLeft(last, " ")) < t.col {
		e.Msg = quoted(first) + " is no key: a colon is missing"
	}
	e.Len = utf8.RuneCountInString(first)
	return e
}

// strayText reports a text where none can be; last is the token before it.
func (p *parser) strayText(t, last tok) *Error {
	text := t.text
	if t.endLine > t.line { // the lines below are read as part of it
		text = strings.TrimSpace(string([]rune(p.src.line(t.line))[t.col-1:]))
	}
	e := p.fail(CodeSyntax, t, "unexpected text %s", quoted(text))
	if last.kind == tokenQuoted && last.endLine == t.line {
		e.Help = "a value that begins with a quote ends with it: put quotes of the other kind around the whole value"
	}
	return e
}

// invalid is the error of an invalid token. Behind a quote that is not closed
// nothing can be read.
func (p *parser) invalid(t tok) *Error {
	p.stop = p.stop || t.problem.Code == CodeUnclosed
	return t.problem
}

// quoted returns text as a message shows it: in quotes, and cut if it is long.
func quoted(text string) string {
	if r := []rune(text); len(r) > 60 {
		text = string(r[:60]) + "..."
	}
	return strconv.Quote(text)
}
