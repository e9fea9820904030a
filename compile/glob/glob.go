// Package glob matches paths as rules:changes and rules:exists do: like Ruby's
// File.fnmatch with the flags PATHNAME, DOTMATCH and EXTGLOB (specification,
// section 10.1). It depends on the standard library alone.
package glob

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxComparisons is the number of patterns times paths from which on a clause is
// taken to hold without looking (specification, section 0).
const MaxComparisons = 50_000

// What a pattern may be at most: its alternatives, and their length together in bytes.
const (
	maxBraces = 1_000
	maxLength = 64 << 10
)

// Pattern is a compiled pattern.
type Pattern struct {
	// prefix is the literal text that the pattern begins with: most patterns name a
	// directory, and most paths are not in it.
	prefix       string
	alternatives [][]element
	// Length is that of all alternatives together in bytes, which compiling took.
	Length int
}

// anyOne is the class of ?.
var anyOne = &class{negated: true}

// Compile compiles a pattern. What is no valid pattern matches nothing. An error says
// that it is too large.
func Compile(pattern string) (Pattern, error) {
	expanded, err := expandBraces(pattern)
	if err != nil {
		return Pattern{Length: maxLength}, err
	}
	p := Pattern{prefix: pattern}
	if special := strings.IndexAny(pattern, `*?[{\`); special >= 0 {
		p.prefix = pattern[:special]
	}
	for _, text := range expanded {
		p.Length += len(text)
		if elements, ok := translate(text); ok {
			p.alternatives = append(p.alternatives, elements)
		}
	}
	return p, nil
}

// Match reports whether a whole path matches, and in how many steps that was found.
func (p Pattern) Match(path string) (matches bool, steps int) {
	steps = 1
	if !strings.HasPrefix(path, p.prefix) {
		return false, steps
	}
	for _, elements := range p.alternatives {
		matches, n := match(elements, path)
		if steps += n; matches {
			return true, steps
		}
	}
	return false, steps
}

// expandBraces returns the alternatives of {a,b}, which may be nested. A brace
// without its partner stands for itself.
func expandBraces(pattern string) (done []string, err error) {
	length := len(pattern)
	for todo := []string{pattern}; len(todo) > 0; {
		if len(done)+len(todo) > maxBraces {
			return nil, fmt.Errorf("the braces of a pattern make more than %d others", maxBraces)
		}
		if length > maxLength {
			return nil, fmt.Errorf("a pattern is longer than %d bytes, with what its braces make", maxLength)
		}
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		open, parts, end := firstBraces(p)
		if parts == nil {
			done = append(done, p)
			continue
		}
		length -= len(p)
		for _, part := range parts {
			if length += open + len(part) + len(p) - end; length > maxLength {
				break
			}
			todo = append(todo, p[:open]+part+p[end:])
		}
	}
	return done, nil
}

// firstBraces finds the first {...}: where it opens, its parts, and what is behind it.
func firstBraces(p string) (open int, parts []string, end int) {
	depth, start := 0, 0
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '{':
			if depth == 0 {
				open, start, parts = i, i+1, nil
			}
			depth++
		case ',':
			if depth == 1 {
				parts = append(parts, p[start:i])
				start = i + 1
			}
		case '}':
			if depth == 0 {
				continue
			}
			if depth--; depth == 0 {
				return open, append(parts, p[start:i]), i + 1
			}
		}
	}
	return 0, nil, 0
}

// translate makes elements of a pattern without braces; ok is false for no pattern.
func translate(p string) (elements []element, ok bool) {
	var literal strings.Builder
	add := func(e element) {
		if literal.Len() > 0 {
			elements = append(elements, element{kind: isLiteral, literal: literal.String()})
			literal.Reset()
		}
		elements = append(elements, e)
	}
	for i := 0; i < len(p); {
		atStart := i == 0 || p[i-1] == '/'
		switch c := p[i]; {
		case c == '*' && atStart && strings.HasPrefix(p[i:], "**/"):
			for strings.HasPrefix(p[i:], "**/") {
				i += 3
			}
			add(element{kind: isDirectories})
		case c == '*':
			for i < len(p) && p[i] == '*' {
				i++
			}
			add(element{kind: isAny})
		case c == '?':
			i++
			add(element{kind: isOne, class: anyOne})
		case c == '[':
			set, length, ok := bracket(p[i:])
			if !ok {
				return nil, false
			}
			add(element{kind: isOne, class: set})
			i += length
		case c == '\\' && i+1 < len(p):
			literal.WriteByte(p[i+1])
			i += 2
		default:
			literal.WriteByte(c)
			i++
		}
	}
	if literal.Len() > 0 {
		elements = append(elements, element{kind: isLiteral, literal: literal.String()})
	}
	return elements, true
}

// bracket reads [abc], [a-z], [!a] or [^a].
func bracket(p string) (set *class, length int, ok bool) {
	set = &class{}
	i := 1
	if i < len(p) && (p[i] == '!' || p[i] == '^') {
		set.negated = true
		i++
	}
	one := func() rune {
		if p[i] == '\\' && i+1 < len(p) {
			i++
		}
		r, size := utf8.DecodeRuneInString(p[i:])
		i += size
		return r
	}
	for start := i; i < len(p) && (p[i] != ']' || i == start); {
		first := one()
		last := first
		if i+1 < len(p) && p[i] == '-' && p[i+1] != ']' {
			i++
			last = one()
		}
		if last < first {
			return nil, 0, false
		}
		set.ranges = append(set.ranges, [2]rune{first, last})
	}
	return set, i + 1, i < len(p)
}
