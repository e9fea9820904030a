package script

import (
	"runtime"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// The parser recurses where commands nest, and a walk of its tree also along a
// pipe or a sum. Without bounds, some hundred kilobytes of opening parentheses or
// of a|a|a would exhaust the stack, which ends the process. No person's script
// comes near the bounds: an arithmetic parenthesis takes some 20 frames, a loop 5;
// a command in a pipe is two nodes deeper than the one before.
const (
	maxFrames = 10_000
	maxNodes  = 20_000
)

// depthError says that the text is nested too deep, near an offset.
type depthError struct{ offset int }

func (*depthError) Error() string { return "commands are nested too deep" }

func parseAs(lang syntax.LangVariant, text string) (*syntax.File, error) {
	r := &boundedReader{Reader: strings.NewReader(text)}
	return syntax.NewParser(syntax.Variant(lang)).Parse(r, "")
}

// boundedReader hands the parser its text, a kilobyte at a time, until it has
// recursed too deep.
type boundedReader struct {
	*strings.Reader
	frame [1]uintptr
}

// Read implements [io.Reader].
func (r *boundedReader) Read(p []byte) (int, error) {
	if runtime.Callers(maxFrames, r.frame[:]) > 0 {
		return 0, &depthError{offset: max(0, int(r.Size())-r.Len()-1)}
	}
	return r.Reader.Read(p)
}

// walk calls f for each node, parents before children, in the order of the text
// as far as the tree has it. It returns an error, without having seen everything,
// for a tree that is too deep.
func walk(file *syntax.File, f func(syntax.Node)) *depthError {
	var tooDeep *depthError
	depth, statement := 0, 0
	syntax.Walk(file, func(n syntax.Node) bool {
		if n == nil { // back from the children of a node
			depth--
			return true
		}
		if tooDeep != nil {
			return false
		}
		if stmt, ok := n.(*syntax.Stmt); ok {
			statement = offset(stmt.Position) // Pos of other nodes would recurse
		}
		if depth == maxNodes {
			tooDeep = &depthError{offset: statement}
			return false
		}
		depth++
		f(n)
		return true
	})
	return tooDeep
}
