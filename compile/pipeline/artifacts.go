package pipeline

import (
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// Limits of specification 0 and 24.
const (
	maxCaches   = 4
	maxExpireIn = 100 * year
)

// artifacts decodes artifacts (specification 24); nil if they collect nothing.
func (d *decoder) artifacts(n *syntax.Node) *Artifacts {
	a := &Artifacts{When: "on_success"}
	ok := d.fields(n, inArtifacts, "artifacts", func(key, value *syntax.Node) {
		switch what := path("artifacts", key.Value); key.Value {
		case "name":
			if t, ok := d.text(value, what); ok {
				a.Name = &t
			}
		case "paths":
			a.Paths = d.paths(value, what)
		case "exclude":
			a.Exclude = d.paths(value, what)
		case "untracked":
			a.Untracked = d.boolean(value, what)
		case "when":
			if t, ok := d.word(value, what, artifactWhen); ok {
				a.When = t.Value
			}
		case "expire_in":
			if value.Kind != syntax.String || value.Value != "never" {
				a.ExpireIn = d.duration(value, what, maxExpireIn)
			}
		}
	})
	if !ok {
		d.wrongType(n, "artifacts", "a mapping")
		return nil
	}
	if len(a.Paths) == 0 && !a.Untracked {
		return nil
	}
	d.wholeTree(n.Get("paths"), a)
	return a
}

// paths decodes a list of paths and globs inside the project. A ".." is refused
// wherever it stands: behind a wildcard it cannot be told what it leaves. Paths
// that mention variables are for the caller to check once they are expanded.
func (d *decoder) paths(n *syntax.Node, what string) []Text {
	paths := d.texts(n, what, d.filledText)
	for _, item := range n.Items {
		switch {
		case item.Kind != syntax.String, strings.ContainsAny(item.Value, "$%"):
		case strings.HasPrefix(item.Value, "/"):
			d.fail(CodePath, item, "%s must be inside the project, not the absolute path %q", subject(what+"[]"), item.Value).Help =
				"write the path relative to the project"
		case slices.Contains(strings.Split(item.Value, "/"), ".."):
			d.fail(CodePath, item, "%s must be inside the project: %q contains \"..\"", subject(what+"[]"), item.Value)
		}
	}
	return paths
}

// wholeTree warns of a pattern that takes everything, the repository's own data
// included, unless that is excluded.
func (d *decoder) wholeTree(paths *syntax.Node, a *Artifacts) {
	excluded := func(t Text) bool { return strings.HasPrefix(strings.TrimPrefix(t.Value, "**/"), ".git/") }
	if paths == nil || slices.ContainsFunc(a.Exclude, excluded) {
		return
	}
	for _, item := range paths.Items {
		switch strings.TrimPrefix(item.Value, "./") {
		case "**", "**/*", "*", ".", "":
			if item.Kind == syntax.String && item.Value != "" {
				d.warn(CodeWholeTree, item, "%q collects the directory .git as well", item.Value).Help =
					`add exclude: [".git/**/*"]`
			}
		}
	}
}

// caches decodes cache: a mapping or a list of mappings (specification 23).
func (d *decoder) caches(n *syntax.Node) []Cache {
	items := []*syntax.Node{n}
	switch {
	case n.Kind == syntax.Sequence:
		items = n.Items
	case n.Kind != syntax.Mapping:
		d.wrongType(n, "cache", "a mapping or a list of mappings")
		return nil
	case len(n.Pairs) == 0:
		return nil
	}
	if len(items) > maxCaches {
		d.fail(CodeLimit, n, "a job has at most %d caches, this list has %d", maxCaches, len(items))
	}
	caches := make([]Cache, 0, len(items))
	for _, item := range items {
		c := Cache{Key: Text{Value: "default", Pos: item.Pos}}
		ok := d.fields(item, inCache, "cache", func(key, value *syntax.Node) {
			switch key.Value {
			case "key":
				d.cacheKey(&c, value)
			case "paths":
				c.Paths = d.paths(value, "cache:paths")
			}
		})
		if !ok {
			d.wrongType(item, "cache[]", "a mapping")
		}
		caches = append(caches, c)
	}
	return caches
}

// cacheKey decodes a key. The restrictions hold for the text as written: a
// variable in it may well hold a slash.
func (d *decoder) cacheKey(c *Cache, n *syntax.Node) {
	if n.Kind == syntax.Mapping {
		d.fields(n, inCacheKey, "cache:key", func(_, _ *syntax.Node) {})
		return
	}
	if !n.IsScalar() {
		d.wrongType(n, "cache:key", "a string or a number")
		return
	}
	t, ok := d.scalar(n, "cache:key")
	plain := strings.NewReplacer("%2F", "/", "%2f", "/", "%2E", ".", "%2e", ".").Replace(t.Value)
	switch {
	case !ok:
	case strings.TrimSpace(plain) == "":
		d.fail(CodeMissing, n, `"cache:key" must not be empty`)
	case strings.Contains(plain, "/"):
		d.fail(CodeValue, n, `"cache:key" must not contain "/"`)
	case plain == ".", plain == "..":
		d.fail(CodeValue, n, `"cache:key" must not be %q`, t.Value)
	default:
		c.Key = t
	}
}
