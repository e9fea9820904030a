// Package glob matches paths as rules:changes and rules:exists do: like Ruby's
// File.fnmatch with the flags PATHNAME, DOTMATCH and EXTGLOB (specification,
// section 10.1). It depends on the standard library alone.
package glob

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// MaxComparisons is the number of patterns times paths from which on a clause is
// taken to hold without looking (specification, section 0).
const MaxComparisons = 50_000

// maxBraces bounds the alternatives of one pattern.
const maxBraces = 1_000

// TooMany reports whether there are so many comparisons that none is made.
func TooMany(patterns, paths []string) bool { return len(patterns)*len(paths) > MaxComparisons }

// MatchAny reports whether any of the patterns matches any of the paths.
func MatchAny(patterns, paths []string) bool {
	if TooMany(patterns, paths) {
		return true
	}
	for _, pattern := range patterns {
		p := Compile(pattern)
		for _, path := range paths {
			if p.Match(path) {
				return true
			}
		}
	}
	return false
}

// Pattern is a compiled pattern.
type Pattern struct {
	re *regexp.Regexp // nil: the pattern is not valid and matches nothing
	// prefix is the literal text that the pattern begins with: most patterns name a
	// directory, and most paths are not in it.
	prefix string
}

// Compile compiles a pattern. Whatever is no valid pattern matches nothing.
func Compile(pattern string) Pattern {
	var alternatives []string
	for _, p := range expandBraces(pattern) {
		re, ok := translate(p)
		if ok {
			alternatives = append(alternatives, re)
		}
	}
	if len(alternatives) == 0 {
		return Pattern{}
	}
	re, err := regexp.Compile(`(?s)^(?:` + strings.Join(alternatives, "|") + `)$`)
	if err != nil {
		return Pattern{}
	}
	prefix := pattern
	if special := strings.IndexAny(pattern, `*?[{\`); special >= 0 {
		prefix = pattern[:special]
	}
	return Pattern{re: re, prefix: prefix}
}

// Match reports whether a whole path matches.
func (p Pattern) Match(path string) bool {
	return p.re != nil && strings.HasPrefix(path, p.prefix) && p.re.MatchString(path)
}

// expandBraces returns the alternatives of {a,b}, which may be nested. A brace
// without its partner stands for itself.
func expandBraces(pattern string) []string {
	done, todo := []string{}, []string{pattern}
	for len(todo) > 0 && len(done)+len(todo) <= maxBraces {
		p := todo[0]
		todo = todo[1:]
		open, parts, end := firstBraces(p)
		if parts == nil {
			done = append(done, p)
			continue
		}
		var next []string
		for _, part := range parts {
			next = append(next, p[:open]+part+p[end:])
		}
		todo = append(next, todo...)
	}
	return append(done, todo...)
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

// translate makes a regular expression of a pattern without braces.
func translate(p string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(p); {
		atStart := i == 0 || p[i-1] == '/'
		switch c := p[i]; {
		case c == '*' && atStart && strings.HasPrefix(p[i:], "**/"):
			// Zero or more directories.
			for strings.HasPrefix(p[i:], "**/") {
				i += 3
			}
			b.WriteString(`(?:[^/]+/)*`)
		case c == '*':
			for i < len(p) && p[i] == '*' {
				i++
			}
			b.WriteString(`[^/]*`)
		case c == '?':
			i++
			b.WriteString(`[^/]`)
		case c == '[':
			class, length, ok := bracket(p[i:])
			if !ok {
				return "", false
			}
			b.WriteString(class)
			i += length
		case c == '\\' && i+1 < len(p):
			_, size := utf8.DecodeRuneInString(p[i+1:])
			b.WriteString(regexp.QuoteMeta(p[i+1 : i+1+size]))
			i += 1 + size
		default:
			_, size := utf8.DecodeRuneInString(p[i:])
			b.WriteString(regexp.QuoteMeta(p[i : i+size]))
			i += size
		}
	}
	return b.String(), true
}

// bracket translates [abc], [a-z], [!a] or [^a], which never match a slash.
func bracket(p string) (class string, length int, ok bool) {
	i, negated := 1, false
	if i < len(p) && (p[i] == '!' || p[i] == '^') {
		negated, i = true, i+1
	}
	start := i
	var b strings.Builder
	for ; i < len(p) && (p[i] != ']' || i == start); i++ {
		switch c := p[i]; {
		case c == '\\' && i+1 < len(p):
			i++
			b.WriteString(regexp.QuoteMeta(p[i : i+1]))
		case c == '[' || c == ']' || c == '^' || c == '&' || c == '~':
			b.WriteString(`\` + string(c))
		default:
			b.WriteByte(c)
		}
	}
	if i >= len(p) {
		return "", 0, false
	}
	if negated {
		return `[^/` + b.String() + `]`, i + 1, true
	}
	return `[` + b.String() + `]`, i + 1, true
}
