// Package expr is the expression language of rules:if: lex, parse, evaluate.
// Source: specification section 9. It depends on the standard library alone.
//
// Read lex.go for the tokens, parse.go for the grammar, eval.go for what the
// operators mean, pattern.go for /regex/flags. An [Expr] never changes after
// [Parse] and may be used by several goroutines.
package expr

import (
	"slices"

	"github.com/cic-ci/cic/compile/match"
)

// Expr is a parsed expression.
type Expr struct {
	root node
	src  string
}

// Error is a syntax error; Offset counts characters (runes) from the start.
type Error struct {
	Offset, Len int
	Msg         string
	Help        string
}

// Error returns Msg.
func (e *Error) Error() string { return e.Msg }

// Parse parses src. An error is an *[Error].
func Parse(src string) (*Expr, error) { return parseWith(src, lexemes) }

// ParseInputs is [Parse] for the rules of inputs, where $[[ inputs.NAME ]] is a
// variable called inputs.NAME (specification section 8.1).
func ParseInputs(src string) (*Expr, error) { return parseWith(src, inputLexemes) }

func parseWith(src string, lexemes []lexeme) (*Expr, error) {
	tokens, err := lex(src, lexemes)
	if err != nil {
		return nil, err
	}
	root, err := parse(src, tokens)
	if err != nil {
		return nil, err
	}
	return &Expr{root: root, src: src}, nil
}

// Lookup returns a variable's value and whether it is defined.
type Lookup func(name string) (string, bool)

// Eval reports whether the expression holds: whether its value is present, that
// is neither null nor false nor blank. An operator that cannot be applied to its
// operands (a boolean as pattern) makes the whole expression false. Patterns are
// matched within the budget of m: once it is spent, the result does not count.
func (e *Expr) Eval(lookup Lookup, m *match.Matcher) bool {
	ev := evaluator{lookup: lookup, matcher: m}
	v := ev.eval(e.root)
	return !ev.failed && v.present()
}

// Variables returns the names that the expression mentions, in order of first
// mention.
func (e *Expr) Variables() []string {
	var names []string
	walk(e.root, func(n node) {
		if v, ok := n.(*variable); ok && !slices.Contains(names, v.name) {
			names = append(names, v.name)
		}
	})
	return names
}

// String returns the expression in canonical form; parsing it gives an equal
// expression.
func (e *Expr) String() string { return format(e.root) }

// Warnings returns the places where the expression is valid but can hardly mean
// what it says: a =~ whose right side is a string and no pattern (a substring
// test with its sides swapped), a comparison with true or false (a variable is
// a string, so never equal), a pattern of one character (GitLab refuses it).
// Their order is that of the places.
func (e *Expr) Warnings() []Error {
	var found []Error
	walk(e.root, func(n node) {
		switch n := n.(type) {
		case *binary:
			found = append(found, n.warnings()...)
		case *pattern:
			if len([]rune(n.body())) == 1 {
				found = append(found, Error{Offset: n.at.offset, Len: n.at.length,
					Msg:  "GitLab refuses a pattern of one character",
					Help: "write /(?:" + n.body() + ")/"})
			}
		}
	})
	slices.SortStableFunc(found, func(a, b Error) int { return a.Offset - b.Offset })
	return found
}

func (b *binary) warnings() []Error {
	switch b.op {
	case opMatch, opNotMatch:
		if s, ok := b.right.(*str); ok {
			if !isValidPattern(s.value) {
				return []Error{{Offset: s.at.offset, Len: s.at.length,
					Msg:  "the right side of " + b.op.String() + " is no pattern, so this asks whether it contains the left side",
					Help: "write a pattern between slashes, such as /^main$/"}}
			}
		}
	case opEqual, opNotEqual:
		for _, side := range []node{b.left, b.right} {
			if t, ok := side.(*boolean); ok {
				return []Error{{Offset: t.at.offset, Len: t.at.length,
					Msg:  "a variable never equals " + format(t) + ", because its value is a string",
					Help: "quote it: " + `"` + format(t) + `"`}}
			}
		}
	}
	return nil
}
