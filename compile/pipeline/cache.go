package pipeline

import (
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// Limits of specification 0 and 23; that of files is the newest release's.
const (
	maxCaches       = 4
	maxFallbackKeys = 5
	maxKeyFiles     = 10
	maxKeyCommits   = 2
)

// CachePolicies are the values of cache:policy.
var CachePolicies = []string{"pull-push", "pull", "push"}

// caches decodes cache: a mapping or a list of mappings (specification 23). Lists
// within it, from references, are flattened, as those of needs; the limit counts
// such a list once, as the server does.
func (d *decoder) caches(n *syntax.Node) []Cache {
	switch {
	case n.Kind == syntax.Mapping && len(n.Pairs) == 0:
		return nil
	case n.Kind == syntax.Mapping:
		return []Cache{d.cache(n)}
	case n.Kind != syntax.Sequence:
		d.wrongType(n, "cache", "a mapping or a list of mappings")
		return nil
	}
	if len(n.Items) > maxCaches {
		d.fail(CodeLimit, n, "a job has at most %d caches, this list has %d", maxCaches, len(n.Items))
	}
	caches := make([]Cache, 0, len(n.Items))
	d.nested(n, "cache", 1, func(item *syntax.Node) { caches = append(caches, d.cache(item)) })
	return caches
}

func (d *decoder) cache(n *syntax.Node) Cache {
	c := Cache{
		Key:    Text{Value: "default", Pos: n.Pos},
		Policy: Text{Value: "pull-push", Pos: n.Pos},
		When:   "on_success",
	}
	ok := d.fields(n, inCache, "cache", func(key, value *syntax.Node) { d.cacheField(&c, key, value) })
	if !ok {
		d.wrongType(n, "cache[]", "a mapping")
	}
	return c
}

func (d *decoder) cacheField(c *Cache, key, value *syntax.Node) {
	switch what := path("cache", key.Value); key.Value {
	case "key":
		d.cacheKey(c, value)
	case "paths":
		c.Paths = d.texts(value, what, d.text)
	case "untracked":
		c.Untracked = d.boolean(value, what)
	case "unprotect":
		// Refs are not protected here, so that there is one cache for all of them
		// as it is: remarked upon once, as tags are.
		if d.boolean(value, what) {
			d.noEffect(key, what, "protected and other refs share their caches")
		}
	case "when":
		if t, ok := d.word(value, what, artifactWhen); ok {
			c.When = t.Value
		}
	case "policy":
		d.cachePolicy(c, value)
	case "fallback_keys":
		d.fallbackKeys(c, value)
	}
}

// cachePolicy decodes a policy. One with variables is for the caller to check
// once they are expanded.
func (d *decoder) cachePolicy(c *Cache, n *syntax.Node) {
	const what = "cache:policy"
	if n.Kind == syntax.String && strings.Contains(n.Value, "$") {
		if t, ok := d.text(n, what); ok {
			c.Policy = t
		}
	} else if t, ok := d.word(n, what, CachePolicies); ok {
		c.Policy = t
	}
}

func (d *decoder) fallbackKeys(c *Cache, n *syntax.Node) {
	const what = "cache:fallback_keys"
	if n.Kind == syntax.Sequence && len(n.Items) > maxFallbackKeys {
		d.fail(CodeLimit, n, "%q has at most %d entries, this list has %d", what, maxFallbackKeys, len(n.Items))
	}
	d.list(n, what, wantStrings, func(item *syntax.Node) {
		if t, ok := d.keyText(item, what+"[]"); ok {
			c.FallbackKeys = append(c.FallbackKeys, t)
		}
	})
}

// cacheKey decodes a key: a text, or files whose contents or commits make it.
func (d *decoder) cacheKey(c *Cache, n *syntax.Node) {
	if n.Kind != syntax.Mapping {
		if t, ok := d.keyText(n, "cache:key"); ok {
			c.Key = t
		}
		return
	}
	c.Key = Text{Pos: n.Pos}
	d.fields(n, inCacheKey, "cache:key", func(key, value *syntax.Node) {
		switch what := path("cache:key", key.Value); key.Value {
		case "files":
			c.KeyFiles = d.keyFiles(value, what, maxKeyFiles)
		case "files_commits":
			c.KeyFiles, c.KeyCommits = d.keyFiles(value, what, maxKeyCommits), true
		case "prefix":
			if t, ok := d.keyText(value, what); ok {
				c.Key = t
			}
		}
	})
	files, commits := n.Get("files"), n.Get("files_commits")
	if specified(files) && specified(commits) {
		e := d.fail(CodeConflict, n.GetKey("files_commits"), `"files_commits" cannot be used together with "files"`)
		e.Notes = append(e.Notes, syntax.Note{Pos: n.GetKey("files").Pos, Msg: `"files" is here`})
	}
	if !specified(files) && !specified(commits) {
		d.require(n, inCacheKey, "cache:key", "files")
	}
}

// keyText decodes a key, a prefix or a fallback key. The restrictions hold for
// the text as written: a variable in it may well hold a slash.
func (d *decoder) keyText(n *syntax.Node, what string) (Text, bool) {
	if !n.IsScalar() || n.Kind == syntax.Null {
		d.wrongType(n, what, "a string or a number")
		return Text{}, false
	}
	t, ok := d.scalar(n, what)
	plain := strings.NewReplacer("%2F", "/", "%2f", "/", "%2E", ".", "%2e", ".").Replace(t.Value)
	switch {
	case !ok:
	case strings.TrimSpace(plain) == "":
		d.fail(CodeMissing, n, "%s must not be empty", subject(what))
	case strings.Contains(plain, "/"):
		d.fail(CodeValue, n, `%s must not contain "/"`, subject(what))
	case plain == ".", plain == "..":
		d.fail(CodeValue, n, "%s must not be %q", subject(what), t.Value)
	default:
		return t, true
	}
	return Text{}, false
}

// keyFiles decodes the files of a key: paths and globs of the project, in which
// no variables are expanded.
func (d *decoder) keyFiles(n *syntax.Node, what string, most int) []Text {
	if n.Kind == syntax.Sequence && (len(n.Items) == 0 || len(n.Items) > most) {
		d.fail(CodeLimit, n, "%q has from 1 to %d entries, this list has %d", what, most, len(n.Items))
	}
	files := d.texts(n, what, d.filledText)
	for _, item := range n.Items {
		switch {
		case item.Kind != syntax.String:
		case strings.HasPrefix(item.Value, "/"), slices.Contains(strings.Split(item.Value, "/"), ".."):
			d.fail(CodePath, item, "%s must be inside the project, not %q", subject(what+"[]"), item.Value).Help =
				"write the path relative to the project"
		case strings.Contains(item.Value, "$"):
			d.warn(CodeNoEffect, item, "no variable is expanded in %q", what)
		}
	}
	return files
}
