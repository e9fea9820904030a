package expr

import (
	"strings"

	"github.com/cic-ci/cic/compile/match"
)

// value is what a part of an expression evaluates to: null, a boolean, a string
// or a pattern. Values of one type are equal if all fields are; source is derived.
type value struct {
	kind valueKind
	text string // of a string; of a pattern, as written
	bool bool
	// source is the regular expression of a pattern.
	source string
}

type valueKind uint8

const (
	isNull valueKind = iota
	isBool
	isString
	isPattern
)

func boolValue(b bool) value { return value{kind: isBool, bool: b} }

// present is the test of a whole expression and of !: blank text is absent.
func (v value) present() bool {
	switch v.kind {
	case isBool:
		return v.bool
	case isString:
		return strings.TrimSpace(v.text) != ""
	}
	return v.kind == isPattern
}

// truthy is the test of && and ||: only null and false fail it, "" passes.
func (v value) truthy() bool { return v.kind > isBool || v.bool }

// equal compares without conversion: null equals null alone, a string never
// equals a boolean.
func (v value) equal(w value) bool {
	return v.kind == w.kind && v.text == w.text && v.bool == w.bool
}

// String returns v as the left side of =~ sees it; null is the empty text.
func (v value) String() string {
	if v.kind == isBool {
		if v.bool {
			return "true"
		}
		return "false"
	}
	return v.text
}

// evaluator computes values. Specification section 9.3.
type evaluator struct {
	lookup  Lookup
	matcher *match.Matcher
	// failed: an operator met an operand that it cannot be applied to.
	failed bool
}

func (ev *evaluator) eval(n node) value {
	switch n := n.(type) {
	case *variable:
		if text, ok := ev.lookup(n.name); ok {
			return value{kind: isString, text: text}
		}
	case *str:
		return value{kind: isString, text: n.value}
	case *pattern:
		return value{kind: isPattern, text: n.text, source: n.source}
	case *boolean:
		return boolValue(n.value)
	case *not:
		return boolValue(!ev.eval(n.x).present())
	case *binary:
		return ev.binary(n)
	}
	return value{}
}

func (ev *evaluator) binary(n *binary) value {
	left := ev.eval(n.left)
	// && and || give back an operand, not a boolean, so "" || "x" is "".
	if n.op == opAnd && !left.truthy() || n.op == opOr && left.truthy() {
		return left
	}
	right := ev.eval(n.right)
	switch n.op {
	case opEqual:
		return boolValue(left.equal(right))
	case opNotEqual:
		return boolValue(!left.equal(right))
	case opMatch:
		return boolValue(ev.match(left, right))
	case opNotMatch:
		return boolValue(!ev.match(left, right))
	}
	return right
}

// match is =~: an unanchored search. A right side that is a string and no valid
// pattern is searched for the left one, GitLab's substring test with its sides
// swapped.
func (ev *evaluator) match(left, right value) bool {
	text := left.String()
	switch right.kind {
	case isPattern:
		matches, err := ev.matcher.Match(right.source, text)
		return matches && err == nil // Parse has checked it
	case isString:
		if !ev.matcher.Spend(1 + len(right.text)/32) { // of looking for the slashes
			return false
		}
		if matches, ok := MatchPattern(ev.matcher, right.text, text); ok {
			return matches
		}
		return ev.matcher.Spend(1+len(right.text)/8) && strings.Contains(right.text, text)
	case isBool:
		if right.bool {
			ev.failed = true
		}
	}
	return false
}
