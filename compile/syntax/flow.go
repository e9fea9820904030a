package syntax

// flowList reads a list in brackets.
func (p *parser) flowList() (*Node, *Error) {
	open := p.peek()
	n, e := p.newNode(Sequence, open)
	if e != nil {
		return nil, e
	}
	e = p.flowItems(tokenListEnd, func() *Error {
		item, e := p.flowItem()
		if e == nil {
			n.Items = append(n.Items, item)
		}
		return e
	})
	return n, e
}

// flowMapping reads a mapping in braces.
func (p *parser) flowMapping() (*Node, *Error) {
	open := p.peek()
	if e := p.count(1, open); e != nil {
		return nil, e
	}
	b := newMappingBuilder(p, p.pos(open))
	e := p.flowItems(tokenMapEnd, func() *Error {
		t := p.peek()
		key, e := p.flowKey()
		if e != nil {
			return e
		}
		return p.flowPair(b, key, t)
	})
	if e != nil {
		return nil, e
	}
	return b.node(), nil
}

// flowItems reads what stands between a bracket or brace and its end: items
// with commas between them, perhaps one behind the last.
func (p *parser) flowItems(end tokenKind, item func() *Error) *Error {
	open := p.next()
	if e := p.enter(open); e != nil {
		return e
	}
	p.flow++
	for p.peek().kind != end {
		if e := p.closed(open); e != nil {
			return e
		}
		if e := item(); e != nil {
			return p.inFlow(open, e)
		}
		if p.peek().kind == tokenComma {
			p.next()
		} else if p.peek().kind != end {
			if e := p.closed(open); e != nil {
				return e
			}
			return p.inFlow(open, p.unexpected(p.peek()))
		}
	}
	p.next()
	p.flow--
	p.leave()
	return nil
}

// closed returns an error if the document ends, and so open has no end.
func (p *parser) closed(open tok) *Error {
	if p.peek().kind != tokenEOF {
		return nil
	}
	p.stop = true
	return p.fail(CodeUnclosed, open, "%q is not closed", open.text)
}

// inFlow adds to a syntax error where the collection around it begins, if that
// is on another line: its end may be what is missing.
func (p *parser) inFlow(open tok, e *Error) *Error {
	if e.Code == CodeSyntax && e.Pos.Line != open.line && len(e.Notes) == 0 {
		e.Notes = append(e.Notes, Note{p.pos(open), `inside of this "` + open.text + `"; is its end missing?`})
	}
	return e
}

// flowItem reads an item of a list in brackets. "a: b" there is a mapping of one
// entry.
func (p *parser) flowItem() (*Node, *Error) {
	t := p.peek()
	n, e := p.flowKey()
	if e != nil || p.peek().kind != tokenColon {
		return n, e
	}
	if e := p.enter(t); e != nil {
		return nil, e
	}
	defer p.leave()
	if e := p.count(1, t); e != nil {
		return nil, e
	}
	b := newMappingBuilder(p, p.pos(t))
	if e := p.flowPair(b, n, t); e != nil {
		return nil, e
	}
	return b.node(), nil
}

// flowKey reads a node, perhaps behind the indicator of a key, or nothing before
// a colon.
func (p *parser) flowKey() (*Node, *Error) {
	if p.peek().kind == tokenKey {
		p.next()
	}
	if t := p.peek(); t.kind == tokenColon {
		return p.newNode(Null, t)
	}
	return p.flowNode()
}

// flowPair reads the colon and the value behind key, if there are any.
func (p *parser) flowPair(b *mappingBuilder, key *Node, t tok) *Error {
	if e := p.keyKind(key, t); e != nil {
		return e
	}
	if p.peek().kind != tokenColon {
		value, e := p.newNode(Null, t)
		if e != nil {
			return e
		}
		return b.add(key, value)
	}
	colon := p.next()
	var value *Node
	var e *Error
	switch p.peek().kind {
	case tokenComma, tokenListEnd, tokenMapEnd:
		value, e = p.newNode(Null, colon)
	default:
		value, e = p.flowNode()
	}
	if e != nil {
		return e
	}
	return b.add(key, value)
}

// flowNode reads a node inside of brackets or braces.
func (p *parser) flowNode() (*Node, *Error) {
	switch p.peek().kind {
	case tokenAnchor, tokenTag:
		return p.withProperties(true, func(last tok) (*Node, *Error) {
			switch p.peek().kind {
			case tokenComma, tokenColon, tokenListEnd, tokenMapEnd:
				return p.newNode(Null, last)
			}
			return p.flowNode()
		})
	}
	return p.simple()
}
