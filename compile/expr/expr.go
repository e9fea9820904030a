// Package expr is the expression language of rules:if: lex, parse, evaluate.
// Source: specification section 9. It depends on the standard library alone.
package expr

// Expr is a parsed expression.
type Expr struct {
	root node
	src  string
}

type node interface{}

// Error is a syntax error; Offset counts characters (runes) from the start.
type Error struct {
	Offset, Len int
	Msg         string
	Help        string
}

// Error returns Msg.
func (e *Error) Error() string { return e.Msg }

// Parse parses src. An error is an *[Error].
func Parse(src string) (*Expr, error) { panic("unimplemented") }

// Lookup returns a variable's value and whether it is defined.
type Lookup func(name string) (string, bool)

// Eval reports whether the expression holds.
func (e *Expr) Eval(lookup Lookup) bool { panic("unimplemented") }

// Variables returns the names that the expression mentions, in order of first
// mention.
func (e *Expr) Variables() []string { panic("unimplemented") }

// String returns the expression in canonical form; parsing it gives an equal
// expression.
func (e *Expr) String() string { panic("unimplemented") }

// MatchPattern reports whether text matches a /regex/flags pattern as only,
// except and =~ do; ok is false if pattern is no valid pattern.
func MatchPattern(pattern, text string) (match, ok bool) { panic("unimplemented") }
