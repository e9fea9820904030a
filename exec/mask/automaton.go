package mask

import (
	"encoding/binary"

	"github.com/cic-ci/cic/plan/credential"
)

// window is how many bytes [Masker.seek] looks at to tell whether a pattern may
// begin. Shorter patterns cannot be sought, only followed.
const window = 4

// placeBits gives the size of the table of how patterns begin, a power of two.
const placeBits = 15

// node is a state of the automaton: a prefix of a pattern. Most have one child,
// so that a list takes less room than a table: a node is 24 bytes, and a secret
// of n bytes makes some 20 n of them.
type node struct {
	child, sibling int32
	// fail is the longest proper suffix of this prefix that is a prefix too.
	fail  int32
	depth int32
	// match is the length of the longest pattern that ends here, 0 for none.
	match int32
	label byte
	// shaped: the prefix of a token ends here.
	shaped bool
	// shape is 1 + the index of the token whose prefix this node is, 0 for none.
	shape uint8
}

// automaton finds all patterns in one pass (Aho and Corasick, 1975), and passes
// quickly over what begins none.
type automaton struct {
	nodes []node // the first is the root
	root  [256]int32
	// longest is the length of the longest pattern.
	longest int
	// quick: no pattern is shorter than window, so that they can be sought.
	quick bool
	// places is 1 at the hash of each pattern's first bytes. It fits a processor's
	// first cache.
	places [1 << placeBits]uint8
}

func newAutomaton(patterns []string) *automaton {
	a := &automaton{nodes: make([]node, 1)}
	shortest := window
	for _, p := range patterns {
		at := a.insert(p)
		a.nodes[at].match = int32(len(p))
		shortest, a.longest = min(shortest, len(p)), max(a.longest, len(p))
	}
	for i, s := range credential.Shapes {
		a.nodes[a.insert(s.Prefix)].shape = uint8(i + 1)
		shortest = min(shortest, len(s.Prefix))
	}
	a.link()
	if shortest >= window {
		a.prepareSeek(patterns)
	}
	return a
}

// insert adds a pattern and returns its last node.
func (a *automaton) insert(pattern string) int32 {
	at := int32(0)
	for i := range len(pattern) {
		next := a.childOf(at, pattern[i])
		if next == 0 {
			next = int32(len(a.nodes))
			a.nodes = append(a.nodes, node{label: pattern[i], depth: int32(i + 1), sibling: a.nodes[at].child})
			a.nodes[at].child = next
			if at == 0 {
				a.root[pattern[i]] = next
			}
		}
		at = next
	}
	return at
}

// childOf is the node below another, 0 if there is none.
func (a *automaton) childOf(at int32, label byte) int32 {
	if at == 0 {
		return a.root[label]
	}
	n := a.nodes[at].child
	for n != 0 && a.nodes[n].label != label {
		n = a.nodes[n].sibling
	}
	return n
}

// link sets what follows from shorter prefixes, level by level.
func (a *automaton) link() {
	queue := make([]int32, 1, len(a.nodes))
	for len(queue) > 0 {
		parent := queue[0]
		queue = queue[1:]
		for n := a.nodes[parent].child; n != 0; n = a.nodes[n].sibling {
			node := &a.nodes[n]
			if parent != 0 {
				node.fail = a.next(a.nodes[parent].fail, node.label)
			}
			suffix := &a.nodes[node.fail]
			node.match = max(node.match, suffix.match)
			node.shaped = node.shape != 0 || suffix.shaped
			queue = append(queue, n)
		}
	}
}

// next is the state after one more byte.
func (a *automaton) next(at int32, c byte) int32 {
	for at != 0 {
		if n := a.childOf(at, c); n != 0 {
			return n
		}
		at = a.nodes[at].fail
	}
	return a.root[c]
}

// prepareSeek fills the table of how patterns begin.
func (a *automaton) prepareSeek(patterns []string) {
	a.quick = true
	add := func(p string) {
		a.places[place(binary.LittleEndian.Uint32([]byte(p[:window])))] = 1
	}
	for _, p := range patterns {
		add(p)
	}
	for _, s := range credential.Shapes {
		add(s.Prefix)
	}
}

// place is where the table tells of a pattern's first bytes: a multiplicative hash.
func place(first uint32) uint32 { return first * 0x9E3779B1 >> (32 - placeBits) }

// seek returns the first place at or after i where a pattern may begin, or one
// near the end of p where too little follows to tell. It looks at five places at
// a time, with one branch that is hardly ever taken: that is what makes it quick.
func (a *automaton) seek(p []byte, i int) int {
	rest := p[i:]
	for ; len(rest) >= 8; rest = rest[5:] {
		b := binary.LittleEndian.Uint64(rest)
		if a.places[place(uint32(b))]|a.places[place(uint32(b>>8))]|a.places[place(uint32(b>>16))]|
			a.places[place(uint32(b>>24))]|a.places[place(uint32(b>>32))] != 0 {
			break
		}
	}
	for ; len(rest) >= window; rest = rest[1:] {
		if a.places[place(binary.LittleEndian.Uint32(rest))] != 0 {
			break
		}
	}
	return len(p) - len(rest)
}
