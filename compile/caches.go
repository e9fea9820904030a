package compile

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// caches lowers the caches; one without paths and untracked keeps nothing.
func (l *lowering) caches(e *expander, j *pipeline.Job) []plan.Cache {
	var caches []plan.Cache
	for _, from := range j.Caches {
		c, ok := l.cache(e, j, &from)
		if !ok {
			continue
		}
		same := func(other plan.Cache) bool {
			return other.Key == c.Key && slices.Equal(other.KeyFiles, c.KeyFiles) && other.KeyCommits == c.KeyCommits
		}
		if slices.ContainsFunc(caches, same) {
			diag := at(codeSameCache, from.Key, j, "two caches of the job have the same key: each replaces what the other has saved")
			diag.Severity, diag.Help = syntax.SeverityWarning, "give each a key of its own, or put their paths into one"
			l.diags.report(diag)
		}
		caches = append(caches, c)
	}
	return caches
}

// cache lowers one cache; ok is false for one that cannot be or holds nothing.
func (l *lowering) cache(e *expander, j *pipeline.Job, from *pipeline.Cache) (c plan.Cache, ok bool) {
	c = plan.Cache{
		Key: e.text(from.Key.Value), KeyCommits: from.KeyCommits,
		Paths: l.paths(e, j, "cache:paths", from.Paths), Untracked: from.Untracked,
		Policy: e.text(from.Policy.Value), When: from.When,
	}
	for _, f := range from.KeyFiles {
		c.KeyFiles = append(c.KeyFiles, f.Value)
	}
	if len(c.KeyFiles) == 0 && strings.TrimSpace(c.Key.Value) == "" {
		l.emptyKey(e, j, from.Key, "cache:key")
		return c, false
	}
	if !c.Policy.Template && !slices.Contains(pipeline.CachePolicies, c.Policy.Value) {
		// On GitLab the job fails, once it runs (specification section 23).
		diag := at(codeCachePolicy, from.Policy, j, "cache:policy must be one of %s: the cache is left out", strings.Join(pipeline.CachePolicies, ", "))
		diag.Severity = syntax.SeverityWarning
		diag.Len, diag.Label = max(1, utf8.RuneCountInString(from.Policy.Value)), fmt.Sprintf("expands to %q", c.Policy.Value)
		if missing := e.undefined(from.Policy.Value); missing != "" {
			diag.Help = fmt.Sprintf("variable %q is not defined", missing)
		}
		l.diags.report(diag)
		return c, false
	}
	for _, key := range from.FallbackKeys {
		t := e.text(key.Value)
		if strings.TrimSpace(t.Value) == "" {
			l.emptyKey(e, j, key, "cache:fallback_keys")
			continue
		}
		c.FallbackKeys = append(c.FallbackKeys, t)
	}
	if len(c.Paths) == 0 && !c.Untracked {
		name := from.Key.Value
		if len(c.KeyFiles) > 0 {
			name = strings.Join(c.KeyFiles, ", ")
		}
		diag := at(codeIdleCache, from.Key, j, "the cache %q has no paths and keeps nothing", name)
		diag.Severity, diag.Len = syntax.SeverityWarning, max(1, diag.Len)
		l.diags.report(diag)
		return c, false
	}
	return c, true
}

// emptyKey warns of a key of which nothing is left once its variables are expanded:
// the runner then goes without the cache (specification section 23).
func (l *lowering) emptyKey(e *expander, j *pipeline.Job, key pipeline.Text, keyword string) {
	diag := at(codeCacheKey, key, j, "%s %q is empty once expanded: nothing is cached under it", keyword, key.Value)
	diag.Severity, diag.Len = syntax.SeverityWarning, max(1, utf8.RuneCountInString(key.Value))
	if missing := e.undefined(key.Value); missing != "" {
		diag.Help = fmt.Sprintf("variable %q is not defined", missing)
	}
	l.diags.report(diag)
}
