package resolve

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// The bounds of interpolation (specification, section 0).
const (
	maxBlockFunctions = 3
	maxBlockLength    = 1 << 10
	maxBlockText      = 1 << 20
)

// MaxFilled is how many bytes of values may be filled in for inputs in all files
// of a pipeline: each value may be long, and stand in many places.
const MaxFilled = 8 << 20

// block is an interpolation: $[[ inputs.NAME | function ]].
var block = regexp.MustCompile(`\$\[\[(.*?)\]\]`)

// interpolator fills in the inputs of one file (specification, section 8.2).
type interpolator struct {
	l      *loader
	values map[string]*syntax.Node
	// origin is where the file is from, componentFields what it may mention of it.
	origin          Location
	componentFields []string
	// done holds what shared nodes have become.
	done map[*syntax.Node]*syntax.Node
}

// node returns the value with its blocks filled in. What holds none is kept.
func (ip *interpolator) node(n *syntax.Node) *syntax.Node {
	if n.IsScalar() {
		if n.Kind != syntax.String || !strings.Contains(n.Value, "$[[") {
			return n
		}
		return ip.scalar(n)
	}
	if made := ip.done[n]; made != nil {
		return made
	}
	made := n
	switch n.Kind {
	case syntax.Mapping:
		pairs := make([]syntax.Pair, len(n.Pairs))
		for i, p := range n.Pairs {
			pairs[i] = syntax.Pair{Key: ip.key(p.Key), Value: ip.node(p.Value)}
		}
		if !slices.Equal(pairs, n.Pairs) {
			made = syntax.NewMapping(n.Pos, ip.distinct(pairs))
		}
	default:
		items := make([]*syntax.Node, len(n.Items))
		for i, item := range n.Items {
			items[i] = ip.node(item)
		}
		if !slices.Equal(items, n.Items) {
			made = &syntax.Node{Kind: n.Kind, Pos: n.Pos, Items: items}
		}
	}
	ip.done[n] = made
	return made
}

// key is the key of a mapping, which is a text whatever the type of the input.
func (ip *interpolator) key(n *syntax.Node) *syntax.Node {
	made := ip.node(n)
	if made != n && made.Kind != syntax.String {
		return n.WithText(inputText(made))
	}
	return made
}

// distinct drops entries whose key a later one repeats, as a file's own keys do,
// and warns of them.
func (ip *interpolator) distinct(pairs []syntax.Pair) []syntax.Pair {
	last := make(map[string]int, len(pairs))
	for i, p := range pairs {
		if first, again := last[p.Key.Value]; again {
			e := ip.l.fail(syntax.CodeDuplicateKey, p.Key, "the key %q is there twice once the inputs are filled in; the last value counts", p.Key.Value)
			e.Severity = syntax.SeverityWarning
			e.Notes = append(e.Notes, syntax.Note{Pos: pairs[first].Key.Pos, Msg: "first here"})
		}
		last[p.Key.Value] = i
	}
	if len(last) == len(pairs) {
		return pairs
	}
	kept := pairs[:0]
	for i, p := range pairs {
		if last[p.Key.Value] == i {
			kept = append(kept, p)
		}
	}
	return kept
}

// scalar fills in the blocks of one text. A text that is nothing but one block
// takes the type of its value. What was filled in is not looked at again.
func (ip *interpolator) scalar(n *syntax.Node) *syntax.Node {
	if len(n.Value) > maxBlockText {
		ip.l.fail(CodeInterpolation, n, "a text with inputs has at most %d KiB", maxBlockText>>10)
		return n
	}
	if m := block.FindStringIndex(n.Value); m != nil && m[0] == 0 && m[1] == len(n.Value) {
		value, ok := ip.block(n, n.Value[3:len(n.Value)-2])
		switch {
		case !ok:
			return n
		case value.IsScalar():
			if value.Kind == syntax.String {
				return n.WithText(value.Value)
			}
			return syntax.NewScalar(value.Kind, value.Value, n.Pos)
		}
		return value
	}
	changed := false
	text := block.ReplaceAllStringFunc(n.Value, func(whole string) string {
		value, ok := ip.block(n, whole[3:len(whole)-2])
		if !ok {
			return whole
		}
		text := inputText(value)
		if !value.IsScalar() && !ip.filled(n, len(text)) {
			return whole
		}
		changed = true
		return text
	})
	if !changed {
		return n
	}
	return n.WithText(text)
}

// block evaluates the inside of one block. It is false after an error, and for
// what a later pass fills in: matrix values in needs (specification, section 8.3).
func (ip *interpolator) block(n *syntax.Node, inside string) (*syntax.Node, bool) {
	if ip.l.filled > MaxFilled { // that is reported
		return nil, false
	}
	if len(inside) > maxBlockLength {
		ip.l.fail(CodeInterpolation, n, "the inside of $[[ ]] has at most %d bytes", maxBlockLength)
		return nil, false
	}
	parts := strings.Split(inside, "|")
	path := strings.TrimSpace(parts[0])
	context, name, _ := strings.Cut(path, ".")
	switch {
	case context == "matrix":
		return nil, false
	case context == "component":
		value, ok := ip.component(n, name)
		return ip.apply(n, path, value, parts[1:], ok)
	case context != "inputs" || !inputName.MatchString(name):
		ip.l.fail(CodeInterpolation, n, "$[[ %s ]] names no input", path).Help = "write $[[ inputs.NAME ]]"
		return nil, false
	}
	value := ip.values[name]
	if value == nil {
		e := ip.l.fail(CodeInterpolation, n, "input %q is not declared in this file", name)
		ip.l.suggest(e, name, func() []string { return slices.Sorted(maps.Keys(ip.values)) })
		return nil, false
	}
	return ip.apply(n, path, value, parts[1:], true)
}

// apply puts the value of a block through its functions; not ok without a value.
func (ip *interpolator) apply(n *syntax.Node, path string, value *syntax.Node, calls []string, ok bool) (*syntax.Node, bool) {
	if !ok {
		return nil, false
	}
	if len(calls) > maxBlockFunctions {
		ip.l.fail(CodeInterpolation, n, "a block has at most %d functions", maxBlockFunctions)
		return nil, false
	}
	if !ip.filled(n, len(value.Value)) {
		return nil, false
	}
	for _, call := range calls {
		if value.Kind != syntax.String {
			ip.l.fail(CodeInterpolation, n, "functions work on texts, but %q is %s", path, value.Kind.WithArticle())
			return nil, false
		}
		text, err := ip.call(strings.TrimSpace(call), value.Value)
		if err != nil {
			ip.l.fail(CodeInterpolation, n, "%v", err)
			return nil, false
		}
		value = n.WithText(text)
		if !ip.filled(n, len(text)) {
			return nil, false
		}
	}
	return value, true
}

// filled counts what is filled in, and reports whether it may be.
func (ip *interpolator) filled(n *syntax.Node, bytes int) bool {
	before := ip.l.filled
	ip.l.filled += bytes
	if before <= MaxFilled && ip.l.filled > MaxFilled {
		ip.l.fail(CodeInterpolation, n, "the inputs of the pipeline are longer than %d MiB once they are filled in", MaxFilled>>20)
	}
	return ip.l.filled <= MaxFilled
}

// truncateCall is a call of truncate with offset and length.
var truncateCall = regexp.MustCompile(`^truncate\(\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\)$`)

// call applies one function.
func (ip *interpolator) call(call, text string) (string, error) {
	switch m := truncateCall.FindStringSubmatch(call); {
	case call == "expand_vars":
		return expandVariables(text, ip.l.lookup), nil
	case call == "posix_escape":
		return posixEscape(text), nil
	case m != nil:
		offset, _ := strconv.Atoi(m[1]) // digits only
		length, _ := strconv.Atoi(m[2])
		runes := []rune(text)
		offset = min(offset, len(runes))
		return string(runes[offset:min(offset+length, len(runes))]), nil
	}
	return "", fmt.Errorf("no function is called %q: there are expand_vars, truncate(offset, length) and posix_escape", call)
}

// shellSafe are the characters that posix_escape leaves alone.
const shellSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.,:+/@"

// posixEscape puts a backslash before each character that a shell may take for
// more than itself; a newline is quoted, an empty text too.
func posixEscape(text string) string {
	if text == "" {
		return "''"
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString("'\n'")
			continue
		case r < 0x80 && !strings.ContainsRune(shellSafe, r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// variableReference is $NAME or ${NAME}.
var variableReference = regexp.MustCompile(`\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})`)

// expandVariables replaces references once; a name that lookup does not know
// becomes empty.
func expandVariables(text string, lookup func(string) (string, bool)) string {
	if !strings.Contains(text, "$") {
		return text
	}
	return variableReference.ReplaceAllStringFunc(text, func(ref string) string {
		value, _ := lookup(strings.Trim(ref, "${}"))
		return value
	})
}
