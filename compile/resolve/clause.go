package resolve

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/syntax"
)

// PathClause is the clause exists or changes of a rule of include, its variables put
// in (specification, sections 10.1 and 10.2).
type PathClause struct {
	Patterns []string
	// Regexp, if not empty, stands instead of patterns.
	Regexp string
	// CompareTo is the ref that changes are from, empty for the usual one.
	CompareTo string
}

// exists evaluates a clause. Of the files of other projects nothing is known here, so
// that none is taken to exist.
func (l *loader) exists(n *syntax.Node) bool {
	clause, ok := l.pathClause(n, "exists", "paths", "regexp", "project", "ref")
	if !ok {
		return false
	}
	if project, ref := specified(n, "project"), specified(n, "ref"); project != nil {
		elsewhere := fmt.Sprintf("project %q", expandVariables(project.Value, l.lookup))
		if ref != nil {
			elsewhere += fmt.Sprintf(" at %q", expandVariables(ref.Value, l.lookup))
		}
		l.warnAt(CodeUnknownFiles, project.Pos, utf8.RuneCountInString(project.Value), "include:rules:exists: the files of %s are not known here: the clause does not hold", elsewhere)
		return false
	} else if ref != nil {
		l.fail(CodeIncludeRules, ref, `include:rules:exists: "ref" needs "project"`)
		return false
	}
	found, err := l.o.Exists(clause)
	if err != nil {
		l.fail(CodeIncludeRules, n, "include:rules:exists: %v", err)
	}
	return found
}

// specified is the value of a key, nil also for null, which is none (specification 2).
func specified(n *syntax.Node, key string) *syntax.Node {
	if value := n.Get(key); value != nil && value.Kind != syntax.Null {
		return value
	}
	return nil
}

func (l *loader) changes(n *syntax.Node) bool {
	clause, ok := l.pathClause(n, "changes", "paths", "regexp", "compare_to")
	if !ok {
		return false
	}
	matches, err := l.o.Changed(clause)
	if err != nil {
		l.fail(CodeIncludeRules, n, "include:rules:changes: %v", err)
	}
	return matches
}

// pathClause decodes a list of globs, or a mapping with these keys.
func (l *loader) pathClause(n *syntax.Node, what string, keys ...string) (c PathClause, ok bool) {
	if n.Kind != syntax.Mapping {
		c.Patterns, ok = l.patterns(n, what)
		return c, ok
	}
	texts := map[string]string{}
	for _, key := range keys[1:] {
		if value := specified(n, key); value != nil {
			if value.Kind != syntax.String || value.Value == "" {
				l.fail(CodeIncludeRules, value, "include:rules:%s:%s is a text, not %s", what, key, value.Kind.WithArticle())
				return c, false
			}
			texts[key] = expandVariables(value.Value, l.lookup)
		}
	}
	for _, p := range n.Pairs {
		if p.Key.Value != keys[0] && !slices.Contains(keys, p.Key.Value) {
			l.unknownKey(p.Key, "include:rules:"+what, keys...)
			return c, false
		}
	}
	c.Regexp, c.CompareTo = texts["regexp"], texts["compare_to"]
	paths := specified(n, "paths")
	switch {
	case paths != nil && c.Regexp != "":
		l.fail(CodeIncludeRules, n, `include:rules:%s has "paths" or "regexp", not both`, what)
		return c, false
	case c.Regexp != "":
		return c, true
	case paths == nil:
		l.fail(CodeIncludeRules, n, `include:rules:%s needs "paths"`, what)
		return c, false
	}
	c.Patterns, ok = l.patterns(paths, what)
	return c, ok
}

// patterns decodes a list of globs; exists takes a single one too.
func (l *loader) patterns(n *syntax.Node, what string) (patterns []string, ok bool) {
	items := n.Items
	switch {
	case n.Kind == syntax.String && what == "exists":
		items = []*syntax.Node{n}
	case n.Kind != syntax.Sequence:
		l.fail(CodeIncludeRules, n, "include:rules:%s is a list of patterns, not %s", what, n.Kind.WithArticle())
		return nil, false
	}
	for _, item := range items {
		if item.Kind != syntax.String {
			l.fail(CodeIncludeRules, item, "a pattern is a text, not %s", item.Kind.WithArticle())
			return nil, false
		}
		patterns = append(patterns, expandVariables(item.Value, l.lookup))
	}
	return patterns, true
}
