// Package syntax turns YAML bytes into a tree of [Node] with positions, and
// holds the one diagnostic type of the compiler, [Error].
//
// It reads YAML as libyaml and Psych do, the parser and the loader of GitLab: the
// YAML library reads what stands on a line (lex.go), a scanner makes tokens of the
// file of it (scan.go), a parser nodes (parse.go). Nothing behind it
// knows of YAML 1.1 scalars, duplicate keys, merge keys or limits. Read node.go,
// then error.go, then parse.go.
package syntax

import "fmt"

// Pos is a place in a pipeline file. Line and Col are 1-based; Col counts
// characters (runes). The zero Pos is no place.
type Pos struct {
	File string
	Line int
	Col  int
}

// IsValid reports whether p is a place.
func (p Pos) IsValid() bool { return p.Line > 0 }

// String returns "file:line:col", or "-" for no place.
func (p Pos) String() string {
	if !p.IsValid() {
		return "-"
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Kind is the type of a node as GitLab's YAML 1.1 loader sees it.
type Kind uint8

// The kinds. Reference is a sequence that carries the tag !reference.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	Mapping
	Sequence
	Reference
)

var kindNames = [...]string{"null", "boolean", "integer", "float", "string", "mapping", "list", "!reference"}

// String returns the name of the kind as diagnostics use it.
func (k Kind) String() string { return kindNames[k] }

// WithArticle returns the name of the kind as a sentence needs it: "a list", "an
// integer", "null".
func (k Kind) WithArticle() string {
	switch k {
	case Null:
		return k.String()
	case Int:
		return "an " + k.String()
	}
	return "a " + k.String()
}

// Node is a resolved YAML value: anchors, aliases and merge keys are gone, each
// scalar has its type. A node may be shared by several parents (an alias), so
// no pass may change a node that it did not make.
type Node struct {
	Kind Kind
	// block: a block scalar, whose first line is firstLine of the source (see LinePos).
	// These stand here as files have many nodes.
	block bool
	// merge: as a key, it merges.
	merge     bool
	firstLine int32
	// Pos is where the value begins; for the value of an alias, where the
	// anchored value begins.
	Pos Pos
	// Value is a scalar's text as GitLab would print it: "true" for yes, "8" for
	// 010, "1.20" for the string "1.20". For a plain float it is the source text.
	Value string
	// Raw is a scalar's source text for a plain scalar, else equal to Value.
	Raw string
	// Pairs are a mapping's entries in source order, each key once.
	Pairs []Pair
	// Items are a sequence's members.
	Items []*Node
	// index of the entries by key, for a large mapping.
	index map[string]int
}

// Pair is an entry of a mapping. Key is a scalar.
type Pair struct {
	Key   *Node
	Value *Node
}

// Get returns the value for key, nil if there is none or n is no mapping.
func (n *Node) Get(key string) *Node {
	if p := n.pair(key); p != nil {
		return p.Value
	}
	return nil
}

// GetKey returns the key node of an entry, nil if there is none.
func (n *Node) GetKey(key string) *Node {
	if p := n.pair(key); p != nil {
		return p.Key
	}
	return nil
}

func (n *Node) pair(key string) *Pair {
	if n == nil || n.Kind != Mapping {
		return nil
	}
	if i := n.find(key); i >= 0 {
		return &n.Pairs[i]
	}
	return nil
}

// NewScalar returns a scalar that stands at pos.
func NewScalar(kind Kind, value string, pos Pos) *Node {
	return &Node{Kind: kind, Value: value, Raw: value, Pos: pos}
}

// WithText returns a string with the place of n, line by line if n is a block.
func (n *Node) WithText(text string) *Node {
	return &Node{Kind: String, Value: text, Raw: text, Pos: n.Pos, firstLine: n.firstLine, block: n.block}
}

// IsScalar reports whether n is null, a boolean, a number or a string.
func (n *Node) IsScalar() bool { return n.Kind <= String }

// LinePos returns the position of line i (0-based) of a scalar's Value: for a
// literal block the line itself, for anything else the node's own position.
func (n *Node) LinePos(i int) Pos {
	if !n.block || i < 0 {
		return n.Pos
	}
	return Pos{File: n.Pos.File, Line: int(n.firstLine) + i, Col: 1}
}
