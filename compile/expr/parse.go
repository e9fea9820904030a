package expr

import (
	"fmt"
	"slices"
	"strings"
)

// node is a part of the tree; at is where its text stands.
type node interface{ place() span }

type (
	variable struct {
		name string
		at   span
	}
	str struct {
		value string
		at    span
	}
	pattern struct {
		text   string // as written, with slashes and flags
		source string // the regular expression, which is valid
		at     span
	}
	null    struct{ at span }
	boolean struct {
		value bool
		at    span
	}
	not struct {
		x  node
		at span
	}
	binary struct {
		op          operator
		left, right node
	}
)

func (n *variable) place() span { return n.at }
func (n *str) place() span      { return n.at }
func (n *pattern) place() span  { return n.at }
func (n *null) place() span     { return n.at }
func (n *boolean) place() span  { return n.at }
func (n *not) place() span      { return n.at }
func (n *binary) place() span   { return n.left.place() }

// body returns the text between the slashes.
func (n *pattern) body() string { return n.text[1:strings.LastIndexByte(n.text, '/')] }

type operator uint8

const (
	opOr operator = iota
	opAnd
	opEqual
	opNotEqual
	opMatch
	opNotMatch
)

var operators = [...]string{opOr: "||", opAnd: "&&", opEqual: "==", opNotEqual: "!=", opMatch: "=~", opNotMatch: "!~"}

func (op operator) String() string { return operators[op] }

// level is how tightly op binds, a higher level tighter; operators of one level
// group from the left. Specification section 9.2.
func (op operator) level() int { return min(int(op), int(opEqual)) }

const (
	lowestLevel = int(opOr)
	unaryLevel  = int(opEqual) + 1
)

// parser reads tokens by recursive descent; the limit on tokens bounds its depth.
type parser struct {
	src    string
	tokens []token
	next   int
}

func parse(src string, tokens []token) (node, error) {
	p := &parser{src: src, tokens: tokens}
	root, err := p.binary(lowestLevel)
	if err != nil {
		return nil, err
	}
	if t, ok := p.peek(); ok {
		if t.kind == tokClose {
			return nil, p.fail(t, `")" closes nothing`, "")
		}
		return nil, p.fail(t, fmt.Sprintf("an operator is missing before %s", t.text), "join conditions with && or ||")
	}
	return root, nil
}

func (p *parser) peek() (token, bool) {
	if p.next == len(p.tokens) {
		return token{}, false
	}
	return p.tokens[p.next], true
}

func (p *parser) fail(t token, msg, help string) error {
	return &Error{Offset: t.at.offset, Len: t.at.length, Msg: msg, Help: help}
}

// binary parses operands joined by operators of the given level or tighter.
func (p *parser) binary(level int) (node, error) {
	if level == unaryLevel {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	if err != nil {
		return nil, err
	}
	for {
		t, ok := p.peek()
		if !ok || t.kind != tokOperator {
			return left, nil
		}
		op := operator(slices.Index(operators[:], t.text))
		if op.level() != level {
			return left, nil
		}
		p.next++
		right, err := p.binary(level + 1)
		if err != nil {
			return nil, err
		}
		left = &binary{op: op, left: left, right: right}
	}
}

func (p *parser) unary() (node, error) {
	t, ok := p.peek()
	if !ok {
		last := p.tokens[len(p.tokens)-1]
		return nil, p.fail(last, fmt.Sprintf("a value is missing after %s", last.text), "")
	}
	p.next++
	switch t.kind {
	case tokNot:
		x, err := p.unary()
		if err != nil {
			return nil, err
		}
		return &not{x: x, at: t.at}, nil
	case tokOpen:
		return p.group(t)
	case tokVariable:
		return &variable{name: t.text[1:], at: t.at}, nil
	case tokInput:
		return &variable{name: strings.TrimSpace(t.text[3 : len(t.text)-2]), at: t.at}, nil
	case tokWord:
		return &str{value: t.text, at: t.at}, nil
	case tokString:
		return &str{value: t.text[1 : len(t.text)-1], at: t.at}, nil
	case tokPattern:
		return newPattern(t)
	case tokNull:
		return &null{at: t.at}, nil
	case tokBoolean:
		return &boolean{value: t.text == "true", at: t.at}, nil
	case tokClose:
		return nil, p.fail(t, `a value is missing before ")"`, "")
	}
	if p.next >= 2 && p.tokens[p.next-2].text == t.text {
		return nil, p.fail(t, fmt.Sprintf("operator %s stands twice", t.text), "")
	}
	return nil, p.fail(t, fmt.Sprintf("a value is missing before %s", t.text), "")
}

// group parses what follows the opening parenthesis open.
func (p *parser) group(open token) (node, error) {
	x, err := p.binary(lowestLevel)
	if err != nil {
		return nil, err
	}
	t, ok := p.peek()
	if !ok {
		return nil, p.fail(open, `"(" is not closed`, "")
	}
	if t.kind != tokClose {
		return nil, p.fail(t, fmt.Sprintf("an operator is missing before %s", t.text), "join conditions with && or ||")
	}
	p.next++
	return x, nil
}

// walk calls f for n and everything below it, from left to right.
func walk(n node, f func(node)) {
	f(n)
	switch n := n.(type) {
	case *not:
		walk(n.x, f)
	case *binary:
		walk(n.left, f)
		walk(n.right, f)
	}
}

// format writes n with the parentheses that its structure needs and no more.
func format(n node) string {
	var b strings.Builder
	write(&b, n, lowestLevel)
	return b.String()
}

// write writes n as an operand that must bind at least as tightly as level.
func write(b *strings.Builder, n node, level int) {
	switch n := n.(type) {
	case *variable:
		b.WriteString("$" + n.name)
	case *str:
		quote := `"`
		if strings.Contains(n.value, quote) {
			quote = "'"
		}
		b.WriteString(quote + n.value + quote)
	case *pattern:
		b.WriteString(n.text)
	case *null:
		b.WriteString("null")
	case *boolean:
		fmt.Fprint(b, n.value)
	case *not:
		b.WriteByte('!')
		write(b, n.x, unaryLevel)
	case *binary:
		own := n.op.level()
		if own < level {
			b.WriteByte('(')
			defer b.WriteByte(')')
		}
		write(b, n.left, own)
		b.WriteString(" " + n.op.String() + " ")
		write(b, n.right, own+1)
	}
}
