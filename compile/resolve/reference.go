package resolve

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// MaxReferences is how deep references may be nested: a value that is referred
// to may hold references itself (specification, section 0).
const MaxReferences = 10

// referencer replaces each !reference by what it refers to. A node is resolved
// once, however many places share it; what holds no reference is kept as it is.
type referencer struct {
	root *syntax.Node
	errs *syntax.ErrorList
	done map[*syntax.Node]*resolution
	// path are the references being resolved, each found in the value of the one before.
	path  []*syntax.Node
	stubs Stubs
}

// resolution is what a node has become.
type resolution struct {
	node *syntax.Node // nil after an error
	// levels is how deep references were nested below the node.
	levels int
	// size is the number of values of the node once all is expanded.
	size int
}

// references returns the tree without references (specification, section 6.2).
// They see the tree as it is after extends.
func references(root *syntax.Node, errs *syntax.ErrorList, s Stubs) *syntax.Node {
	r := &referencer{root: root, errs: errs, done: map[*syntax.Node]*resolution{}, stubs: s}
	pairs := slices.Clone(root.Pairs)
	size := 0
	for i, p := range pairs {
		if p.Key.Value == "include" { // resolved before, and not a place for references
			continue
		}
		res := r.resolve(p.Value)
		if res.node == nil {
			continue
		}
		pairs[i].Value = res.node
		if stubbed(p.Value, res.node) && !slices.Contains(notJobs, p.Key.Value) && !strings.HasPrefix(p.Key.Value, ".") {
			pairs[i].Value = syntax.NewMapping(p.Value.Pos, nil) // a job of which nothing is known
		}
		if size += res.size; size > syntax.MaxNodes {
			errs.Add(CodeReferenceTooLarge, p.Key.Pos, len([]rune(p.Key.Raw)),
				fmt.Sprintf("the pipeline has more than %d values once references are resolved", syntax.MaxNodes))
			break
		}
	}
	return syntax.NewMapping(root.Pos, r.withoutStubbedPairs(root.Pairs, pairs))
}

func (r *referencer) resolve(n *syntax.Node) *resolution {
	if n.IsScalar() {
		return &resolution{node: n, size: 1}
	}
	if res := r.done[n]; res != nil {
		return res
	}
	var res *resolution
	switch n.Kind {
	case syntax.Reference:
		res = r.reference(n)
	case syntax.Mapping:
		res = r.mapping(n)
	default:
		res = r.sequence(n)
	}
	r.done[n] = res
	return res
}

func (r *referencer) mapping(n *syntax.Node) *resolution {
	res := &resolution{node: n, size: 1}
	var pairs []syntax.Pair
	for i, p := range n.Pairs {
		value := r.resolve(p.Value)
		res.add(value)
		if value.node != p.Value && pairs == nil {
			pairs = slices.Clone(n.Pairs)
		}
		if pairs != nil {
			pairs[i].Value = value.node
		}
	}
	if pairs != nil && res.node != nil {
		res.node = syntax.NewMapping(n.Pos, r.withoutStubbedPairs(n.Pairs, pairs))
	}
	return res
}

func (r *referencer) sequence(n *syntax.Node) *resolution {
	res := &resolution{node: n, size: 1}
	var items []*syntax.Node
	for i, item := range n.Items {
		value := r.resolve(item)
		res.add(value)
		if value.node != item && items == nil {
			items = slices.Clone(n.Items)
		}
		if items != nil {
			items[i] = value.node
		}
	}
	if items != nil && res.node != nil {
		res.node = &syntax.Node{Kind: syntax.Sequence, Pos: n.Pos, Items: r.withoutStubbed(n.Items, items)}
	}
	return res
}

// withoutStubbed are the items of a list less those that refer to a file which is left
// out. from are the same before references were followed.
func (r *referencer) withoutStubbed(from, items []*syntax.Node) []*syntax.Node {
	if len(r.stubs) == 0 {
		return items
	}
	var left []*syntax.Node
	for i, item := range items {
		if !stubbed(from[i], item) {
			left = append(left, item)
		}
	}
	return left
}

// withoutStubbedPairs is withoutStubbed for the entries of a mapping.
func (r *referencer) withoutStubbedPairs(from, pairs []syntax.Pair) []syntax.Pair {
	if len(r.stubs) == 0 {
		return pairs
	}
	var left []syntax.Pair
	for i, p := range pairs {
		if !stubbed(from[i].Value, p.Value) {
			left = append(left, p)
		}
	}
	return left
}

// stubbed reports whether a value was a reference to what a file that is left out may
// hold: others are not empty.
func stubbed(from, value *syntax.Node) bool {
	return from.Kind == syntax.Reference && value.Kind == syntax.Null
}

// add counts a part of the value.
func (res *resolution) add(part *resolution) {
	if part.node == nil {
		res.node = nil
		return
	}
	res.levels = max(res.levels, part.levels)
	res.size = min(res.size+part.size, syntax.MaxNodes+1)
}

// reference follows one reference.
func (r *referencer) reference(n *syntax.Node) *resolution {
	none := &resolution{}
	if slices.Contains(r.path, n) {
		r.circle(n)
		return none
	}
	target := r.find(n)
	if target == nil && len(r.stubs) > 0 {
		// As if the value were empty; the list or the keyword around it goes without.
		return &resolution{node: &syntax.Node{Kind: syntax.Null, Pos: n.Pos}, size: 1}
	}
	if target == nil {
		return none
	}
	r.path = append(r.path, n)
	value := r.resolve(target)
	r.path = r.path[:len(r.path)-1]
	if value.node == nil {
		return none
	}
	if value.levels+1 > MaxReferences {
		r.errs.Add(CodeReferenceTooDeep, n.Pos, 1, fmt.Sprintf("%s leads through more than %d references", referenceText(n), MaxReferences))
		return none
	}
	return &resolution{node: value.node, levels: value.levels + 1, size: value.size}
}

// find returns the value that a reference names, nil after an error.
func (r *referencer) find(n *syntax.Node) *syntax.Node {
	if len(n.Items) == 0 {
		r.errs.Add(CodeReference, n.Pos, 1, "!reference takes the name of a job and of its keys, but the list is empty").
			Help = "such as !reference [.base, script]"
		return nil
	}
	at := r.root
	for i, item := range n.Items {
		if !item.IsScalar() || item.Kind == syntax.Null {
			r.errs.Add(CodeReference, item.Pos, 1, fmt.Sprintf("!reference takes names, not %s", item.Kind.WithArticle())).
				Help = "such as !reference [.base, script]"
			return nil
		}
		next := child(at, item)
		if next == nil || next.Kind == syntax.Null {
			r.missing(n, i, at)
			return nil
		}
		at = next
	}
	return at
}

// child is the entry of a mapping, or the element of a list by its number from 0.
func child(n, key *syntax.Node) *syntax.Node {
	if n.Kind == syntax.Sequence && key.Kind == syntax.Int {
		if i, err := strconv.Atoi(key.Value); err == nil && 0 <= i && i < len(n.Items) {
			return n.Items[i]
		}
	}
	return n.Get(key.Value)
}

// missing reports that item i of a reference leads nowhere from at.
func (r *referencer) missing(n *syntax.Node, i int, at *syntax.Node) {
	item := n.Items[i]
	e := r.errs.Add(CodeReference, item.Pos, len([]rune(item.Raw)), fmt.Sprintf("%s: ", referenceText(n)))
	if at.Kind == syntax.Reference {
		e.Msg += fmt.Sprintf("%q is a reference itself, and nothing inside of it can be named", n.Items[i-1].Value)
		return
	}
	defer r.stubs.excuse(e)
	switch {
	case i == 0:
		e.Msg += fmt.Sprintf("%q does not exist", item.Value)
	case at.Kind == syntax.Mapping:
		e.Msg += fmt.Sprintf("%q has no %q", n.Items[i-1].Value, item.Value)
	default:
		e.Msg += fmt.Sprintf("%q is %s, which has no %q", n.Items[i-1].Value, at.Kind.WithArticle(), item.Value)
		return
	}
	if len(*r.errs) > maxSuggestions {
		return
	}
	var names []string
	for _, p := range at.Pairs {
		names = append(names, p.Key.Value)
	}
	if s := syntax.Suggest(item.Value, names); s != "" {
		e.Help = fmt.Sprintf("did you mean %q?", s)
	}
}

// circle reports references that lead back to n.
func (r *referencer) circle(n *syntax.Node) {
	chain := r.path[slices.Index(r.path, n):]
	e := r.errs.Add(CodeReferenceCircle, n.Pos, 1, referenceText(n)+" is part of a circle")
	for i, link := range chain[1:min(len(chain), MaxReferences)] {
		e.Notes = append(e.Notes, syntax.Note{Pos: link.Pos,
			Msg: fmt.Sprintf("%s leads to %s", referenceText(chain[i]), referenceText(link))})
	}
}

// referenceText is a reference as it is written.
func referenceText(n *syntax.Node) string {
	var names []string
	for _, item := range n.Items {
		names = append(names, item.Value)
	}
	return fmt.Sprintf("!reference [%s]", strings.Join(names, ", "))
}
