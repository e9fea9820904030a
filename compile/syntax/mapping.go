package syntax

import "fmt"

// indexFrom is the number of entries from which a mapping has an index.
const indexFrom = 16

// maxErrors bounds what one file can report.
const maxErrors = 1000

// NewMapping returns a mapping with the given entries, whose keys must differ.
// Unlike one made by hand, a large one finds its entries without a search.
func NewMapping(pos Pos, pairs []Pair) *Node {
	n := &Node{Kind: Mapping, Pos: pos, Pairs: pairs}
	if len(pairs) >= indexFrom {
		n.index = make(map[string]int, len(pairs))
		for i := range pairs {
			n.index[pairs[i].Key.Value] = i
		}
	}
	return n
}

// mappingBuilder collects the entries of a mapping. Of equal keys the last one
// counts, at the place of the first one, as in Ruby's hashes; an explicit key
// beats a merged one wherever it stands (YAML 1.1 merge type).
type mappingBuilder struct {
	p    *parser
	n    *Node
	from []keySource // parallel to n.Pairs
}

// keySource tells where an entry comes from.
type keySource bool

const (
	fromMerge keySource = false
	explicit  keySource = true
)

func newMappingBuilder(p *parser, pos Pos) *mappingBuilder {
	return &mappingBuilder{p: p, n: &Node{Kind: Mapping, Pos: pos}}
}

func (b *mappingBuilder) node() *Node { return b.n }

// add adds an entry of the source text.
func (b *mappingBuilder) add(key, value *Node) *Error {
	if key.merge {
		return b.merge(key, value)
	}
	if i := b.find(key.Value); i >= 0 && b.from[i] == explicit {
		b.warnDuplicate(b.n.Pairs[i].Key, key)
	}
	b.put(Pair{key, value}, explicit)
	return nil
}

func (b *mappingBuilder) warnDuplicate(first, again *Node) {
	if len(b.p.errs) >= maxErrors {
		return
	}
	w := b.p.errs.Warn(CodeDuplicateKey, again.Pos, len([]rune(again.Raw)),
		fmt.Sprintf("the key %s is defined twice; the last value counts", quoted(again.Raw)))
	w.Notes = []Note{{first.Pos, "first defined here"}}
}

// merge adds the entries of the value of a merge key: a mapping, or a list of
// mappings of which the first one wins.
func (b *mappingBuilder) merge(key, value *Node) *Error {
	maps := []*Node{value}
	if value.Kind == Sequence {
		maps = value.Items
	}
	for i := len(maps) - 1; i >= 0; i-- {
		if maps[i].Kind != Mapping {
			e := &Error{Code: CodeMergeValue, Pos: key.Pos, Len: 2,
				Msg: fmt.Sprintf(`"<<" merges mappings, but its value is %s`, value.Kind.WithArticle())}
			if value.Kind == Sequence {
				e.Msg = fmt.Sprintf(`"<<" merges mappings, but item %d of its list is %s`, i+1, maps[i].Kind.WithArticle())
			}
			return e
		}
		for _, pair := range maps[i].Pairs {
			b.warnMergeBehind(key, pair)
			b.put(pair, fromMerge)
		}
	}
	return nil
}

// warnMergeBehind warns of a merge key behind a key that it brings too, with
// another value: there the loader of GitLab is at odds with the merge type of
// YAML 1.1, which the specification follows (section 2).
func (b *mappingBuilder) warnMergeBehind(merge *Node, pair Pair) {
	i := b.find(pair.Key.Value)
	if i < 0 || b.from[i] != explicit || sameScalar(b.n.Pairs[i].Value, pair.Value) || len(b.p.errs) >= maxErrors {
		return
	}
	w := b.p.errs.Warn(CodeMergeBehind, merge.Pos, 2,
		fmt.Sprintf("%s keeps its value, but GitLab takes that of a \"<<\" behind it", quoted(pair.Key.Raw)))
	w.Notes = []Note{{b.n.Pairs[i].Key.Pos, "defined here"}}
	w.Help = `write "<<" before the keys that are to differ from what it merges`
}

// sameScalar reports whether a and b are one node, or scalars of the same kind and
// value. It does not compare lists and mappings, which aliases can make large.
func sameScalar(a, b *Node) bool {
	return a == b || a.IsScalar() && a.Kind == b.Kind && a.Value == b.Value
}

func (b *mappingBuilder) find(key string) int { return b.n.find(key) }

func (b *mappingBuilder) put(pair Pair, from keySource) {
	n := b.n
	i := b.find(pair.Key.Value)
	switch {
	case i < 0:
		n.Pairs = append(n.Pairs, pair)
		b.from = append(b.from, from)
		n.addToIndex()
	case from == explicit || b.from[i] == fromMerge:
		n.Pairs[i] = pair
		b.from[i] = from
	}
}

// addToIndex enters the last entry into the index of a mapping that has one, or
// is large enough to have one.
func (n *Node) addToIndex() {
	last := len(n.Pairs) - 1
	switch {
	case n.index != nil:
		n.index[n.Pairs[last].Key.Value] = last
	case len(n.Pairs) >= indexFrom:
		n.index = make(map[string]int, 2*len(n.Pairs))
		for i := range n.Pairs {
			n.index[n.Pairs[i].Key.Value] = i
		}
	}
}

// find returns the index of the entry for key in n.Pairs, or -1.
func (n *Node) find(key string) int {
	if n.index != nil {
		if i, ok := n.index[key]; ok {
			return i
		}
		return -1
	}
	for i := range n.Pairs {
		if n.Pairs[i].Key.Value == key {
			return i
		}
	}
	return -1
}
