package resolve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

const (
	// MaxAncestors is the number of bases that a chain of extends may have
	// (specification, section 0).
	MaxAncestors = 10
	// MaxMerged is the number of entries that all extends of a file may merge: a
	// list of bases behind an alias costs a few bytes for each job.
	MaxMerged = 5_000_000
	// maxSuggestions bounds the search for similar names, which is long for each.
	maxSuggestions = 20
)

// notJobs are the top-level keys that are neither jobs nor hidden entries.
var notJobs = []string{
	"after_script", "before_script", "cache", "default", "image", "include",
	"services", "spec", "stages", "variables", "workflow",
}

// extender resolves the extends of one file. Each entry is resolved once.
type extender struct {
	root    *syntax.Node
	entries map[string]*entry
	errs    *syntax.ErrorList
	*merger
	large bool // reported
	stubs Stubs
	// path are the entries being resolved, each a base of the one before.
	path []*entry
}

// entry is a job or hidden entry.
type entry struct {
	order int // in the file
	key   *syntax.Node
	value *syntax.Node // resolved once done
	state state
	// ancestors is the number of bases of the longest chain.
	ancestors int
	bases     []*syntax.Node
}

type state uint8

const (
	unresolved state = iota
	resolving
	resolved
	failed // an error is reported for it or for one of its bases
)

func newExtender(root *syntax.Node, errs *syntax.ErrorList, m *merger) *extender {
	x := &extender{merger: m, root: root, entries: make(map[string]*entry, len(root.Pairs)), errs: errs}
	for i, p := range root.Pairs {
		if !slices.Contains(notJobs, p.Key.Value) {
			x.entries[p.Key.Value] = &entry{order: i, key: p.Key, value: p.Value}
		}
	}
	return x
}

// extendAll returns the root with all entries resolved.
func (x *extender) extendAll() *syntax.Node {
	pairs := slices.Clone(x.root.Pairs)
	for i, p := range pairs {
		if e := x.entries[p.Key.Value]; e != nil {
			x.resolve(e)
			pairs[i].Value = e.value
		}
	}
	return syntax.NewMapping(x.root.Pos, pairs)
}

// resolve merges the bases of e into it, after resolving each of them.
func (x *extender) resolve(e *entry) {
	extends := e.value.Get("extends")
	if e.state != unresolved || extends == nil {
		return
	}
	e.state = resolving
	x.path = append(x.path, e)
	defer func() { x.path = x.path[:len(x.path)-1] }()

	ok := true
	e.bases, ok = x.names(e, extends)
	var result *syntax.Node
	for _, name := range e.bases {
		base := x.base(e, name)
		if base == nil && len(x.stubs) > 0 && x.entries[name.Value] == nil && x.merged <= MaxMerged {
			continue // which is a warning
		}
		if base == nil {
			ok = false
			continue
		}
		e.ancestors = max(e.ancestors, base.ancestors+1)
		if ok {
			result = x.merge(result, base.value)
		}
	}
	if ok && e.ancestors > MaxAncestors {
		x.tooDeep(e)
		ok = false
	}
	if !ok || e.state == failed {
		e.state = failed
		return
	}
	e.value = x.merge(result, without(e.value, "extends"))
	e.state = resolved
}

// names returns the names that extends holds, and whether they all are names.
func (x *extender) names(e *entry, extends *syntax.Node) ([]*syntax.Node, bool) {
	items := []*syntax.Node{extends}
	switch extends.Kind {
	case syntax.Null:
		return nil, true
	case syntax.Sequence:
		items = extends.Items
	}
	ok := true
	for _, item := range items {
		if item.Kind != syntax.String {
			err := x.errs.Add(CodeExtendsType, item.Pos, len(item.Raw),
				fmt.Sprintf("extends takes the name of a job or a list of names, not %s", item.Kind.WithArticle()))
			err.Job = e.key.Value
			ok = false
		}
	}
	if !ok {
		return nil, false
	}
	return items, true
}

// base returns the resolved entry that e extends by name, nil after an error.
func (x *extender) base(e *entry, name *syntax.Node) *entry {
	base := x.entries[name.Value]
	switch {
	case x.merged > MaxMerged:
		x.tooLarge(e)
		return nil
	case base == nil:
		x.unknown(e, name)
		return nil
	case base.state == resolving:
		x.cycle(base)
		return nil
	case base.value.Kind != syntax.Mapping:
		err := x.errs.Add(CodeBaseNotMapping, name.Pos, len(name.Raw),
			fmt.Sprintf("%q extends %q, which is %s, not a mapping", e.key.Value, name.Value, base.value.Kind.WithArticle()))
		err.Notes = []syntax.Note{{Pos: base.key.Pos, Msg: "defined here"}}
		err.Job = e.key.Value
		return nil
	}
	x.resolve(base)
	if base.state == failed {
		return nil
	}
	return base
}

func (x *extender) unknown(e *entry, name *syntax.Node) {
	err := x.errs.Add(CodeUnknownBase, name.Pos, len([]rune(name.Raw)),
		fmt.Sprintf("%q extends %q, which does not exist", e.key.Value, name.Value))
	err.Label = "no such job"
	err.Job = e.key.Value
	if len(x.stubs) > 0 {
		x.stubs.excuse(err)
		return
	}
	if slices.Contains(notJobs, name.Value) {
		err.Label = "a keyword, not a job"
		return
	}
	if len(*x.errs) > maxSuggestions {
		return
	}
	var candidates []string
	for _, p := range x.root.Pairs {
		if p.Key.Value != e.key.Value && x.entries[p.Key.Value] != nil {
			candidates = append(candidates, p.Key.Value)
		}
	}
	if s := syntax.Suggest(name.Value, candidates); s != "" {
		err.Help = fmt.Sprintf("did you mean %q?", s)
	}
}

// cycle reports the chain of extends from first back to first, closed and
// beginning with the entry that stands first in the file.
func (x *extender) cycle(first *entry) {
	chain := slices.Clone(x.path[slices.Index(x.path, first):])
	least := 0
	for i, e := range chain {
		if e.order < chain[least].order {
			least = i
		}
		e.state = failed
	}
	chain = slices.Concat(chain[least:], chain[:least])
	names := make([]string, 0, len(chain)+1)
	for _, e := range chain {
		names = append(names, e.key.Value)
	}
	names = append(names, names[0])
	if len(names) > 12 {
		names = append(names[:10], "...", names[0])
	}
	at := link(chain[0], chain[1%len(chain)])
	err := x.errs.Add(CodeExtendsCycle, at.Pos, len([]rune(at.Raw)), "extends goes in a circle: "+strings.Join(names, " -> "))
	err.Job = chain[0].key.Value
	for i, e := range chain[1:min(len(chain), 10)] {
		base := chain[(i+2)%len(chain)]
		err.Notes = append(err.Notes, syntax.Note{Pos: link(e, base).Pos,
			Msg: fmt.Sprintf("%q extends %q here", e.key.Value, base.key.Value)})
	}
}

// link returns the node in e's extends that names base.
func link(e, base *entry) *syntax.Node {
	for _, name := range e.bases {
		if name.Value == base.key.Value {
			return name
		}
	}
	return e.key
}

// tooDeep reports a chain that is too long. What extends e has then failed too,
// and is not reported.
func (x *extender) tooDeep(e *entry) {
	var chain []string
	for at := e; at != nil; {
		chain = append(chain, at.key.Value)
		var deepest *entry
		for _, name := range at.bases {
			if base := x.entries[name.Value]; base.ancestors+1 == at.ancestors {
				deepest = base
				break
			}
		}
		at = deepest
	}
	extends := e.value.GetKey("extends")
	err := x.errs.Add(CodeExtendsTooDeep, extends.Pos, len("extends"),
		fmt.Sprintf("%q has more than %d ancestors", e.key.Value, MaxAncestors))
	err.Notes = []syntax.Note{{Msg: "it extends " + strings.Join(chain[1:], " -> ")}}
	err.Job = e.key.Value
}

// tooLarge reports that the bound of merged entries is passed, once.
func (x *extender) tooLarge(e *entry) {
	if x.large {
		return
	}
	x.large = true
	x.errs.Add(CodeExtendsTooLarge, e.key.Pos, len([]rune(e.key.Raw)),
		fmt.Sprintf("the file's extends merge more than %d entries", MaxMerged))
}

// merger merges trees; merged counts entries, to bound what a short file can ask for.
type merger struct{ merged int }

// merge returns base with own on top: mappings are merged key by key, anything
// else of own replaces that of base. Null replaces too: it removes a key, since a
// null keyword is one that is not specified.
func (m *merger) merge(base, own *syntax.Node) *syntax.Node {
	if base == nil || base.Kind != syntax.Mapping || own.Kind != syntax.Mapping {
		return own
	}
	m.merged += len(base.Pairs) + len(own.Pairs)
	pairs := make([]syntax.Pair, 0, len(base.Pairs)+len(own.Pairs))
	for _, p := range base.Pairs {
		if key := own.GetKey(p.Key.Value); key != nil {
			p = syntax.Pair{Key: key, Value: m.merge(p.Value, own.Get(p.Key.Value))}
		}
		pairs = append(pairs, p)
	}
	for _, p := range own.Pairs {
		if base.GetKey(p.Key.Value) == nil {
			pairs = append(pairs, p)
		}
	}
	return syntax.NewMapping(own.Pos, pairs)
}

// without returns a mapping without one of its keys.
func without(n *syntax.Node, key string) *syntax.Node {
	pairs := slices.DeleteFunc(slices.Clone(n.Pairs), func(p syntax.Pair) bool { return p.Key.Value == key })
	return syntax.NewMapping(n.Pos, pairs)
}
