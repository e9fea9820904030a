package exec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cic-ci/cic/exec/cachestore"
	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// Caches is where the jobs of a run find what caches hold, and leave it.
type Caches struct {
	// Project holds the caches of the project that runs, and of no other.
	Project *cachestore.Project
	// Digest is what the files of the project that match globs make of a key: a
	// digest of their contents, or of the commits that last changed them; empty if no
	// file matches. It may be called concurrently.
	Digest func(globs []string, commits bool) (string, error)
	// Pull and Push: what the policy of a cache asks for is done.
	Pull, Push bool
}

// jobCache is a cache of one job.
type jobCache struct {
	spec *plan.Cache
	// key is clean. An empty one stands for a cache that is skipped.
	key        string
	pull, push bool
	patterns   workspace.Patterns
	// restored is what was found under key itself, nil for nothing.
	restored *cachestore.Generation
}

// restoreCaches returns the directories of the job's caches that are there, for
// the workspace's layers, later ones on top. That one cannot be read is no failure
// of the job; a policy that is none is.
func (w *worker) restoreCaches() ([]string, error) {
	if w.tree.Caches == nil {
		return nil, nil
	}
	w.caches = nil
	var layers []string
	for i := range w.job.Caches {
		c, err := w.openCache(&w.job.Caches[i])
		if err != nil {
			return nil, err
		}
		if c.key == "" {
			continue
		}
		w.caches = append(w.caches, c)
		if !c.pull {
			continue
		}
		if dir := w.restore(c); dir != "" {
			layers = append(layers, dir)
		}
	}
	return layers, nil
}

// openCache expands what a plan says of a cache.
func (w *worker) openCache(spec *plan.Cache) (*jobCache, error) {
	c := &jobCache{spec: spec, patterns: workspace.Patterns{Untracked: spec.Untracked}}
	policy, err := spec.Policy.Expand(lookup(w.vars))
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	switch policy {
	case "pull-push":
		c.pull, c.push = true, true
	case "pull":
		c.pull = true
	case "push":
		c.push = true
	default:
		return nil, &Error{Class: ClassConfig, Err: fmt.Errorf("cache:policy %q expands to %q, which is none of pull-push, pull and push", spec.Policy, policy)}
	}
	c.pull, c.push = c.pull && w.tree.Caches.Pull, c.push && w.tree.Caches.Push
	if c.patterns.Paths, err = expandAll(spec.Paths, w.vars); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if c.key, err = w.cacheKey(spec); err != nil {
		w.log.Note(true, "a cache is skipped: %v", err)
	}
	return c, nil
}

// cacheKey is the clean key of a cache. Source: specification section 23.
func (w *worker) cacheKey(spec *plan.Cache) (string, error) {
	raw, err := spec.Key.Expand(lookup(w.vars))
	if err != nil {
		return "", err
	}
	if len(spec.KeyFiles) > 0 {
		digest, err := w.tree.Caches.Digest(spec.KeyFiles, spec.KeyCommits)
		if err != nil {
			return "", err
		}
		if digest == "" {
			digest = "default"
		}
		if raw != "" {
			raw += "-"
		}
		raw += digest
	}
	key := cachestore.CleanKey(raw)
	if key == "" {
		return "", fmt.Errorf("nothing is left of its key %q", spec.Key)
	}
	return key, nil
}

// restore looks for what is kept under a cache's key or, failing that, under its
// fallback keys in order, and returns its directory; empty if there is nothing.
func (w *worker) restore(c *jobCache) string {
	keys := append([]string{c.key}, w.fallbackKeys(c)...)
	for i, key := range keys {
		g, err := w.tree.Caches.Project.Restore(key)
		if err != nil {
			w.log.Note(true, "%v", err)
		}
		if g == nil {
			continue
		}
		w.held = append(w.held, g)
		found := ""
		if i == 0 {
			c.restored = g
		} else {
			found = fmt.Sprintf(" is not there; %q", key)
		}
		w.log.Note(false, "cache %q%s restored: %d file(s), %s, saved %s ago", c.key, found, g.Info.Files, ByteSize(g.Size), age(w.r.Now().Sub(g.Saved)))
		return g.Files()
	}
	if len(keys) == 1 {
		w.log.Note(false, "cache %q is not there", c.key)
	} else {
		w.log.Note(false, "cache %q is not there, nor is %s", c.key, joinQuoted(keys[1:]))
	}
	return ""
}

// fallbackKeys are the clean keys to look for in place of a cache's own.
func (w *worker) fallbackKeys(c *jobCache) (keys []string) {
	for _, t := range append(slices.Clone(c.spec.FallbackKeys), w.variable("CACHE_FALLBACK_KEY")) {
		raw, err := t.Expand(lookup(w.vars))
		key := cachestore.CleanKey(raw)
		switch {
		case err != nil:
			w.log.Note(true, "cache %q: fallback key: %v", c.key, err)
		case key != "" && key != c.key && !slices.Contains(keys, key):
			keys = append(keys, key)
		}
	}
	return keys
}

// variable is the value of a variable that the pipeline may define.
func (w *worker) variable(name string) plan.Text {
	for _, vars := range []plan.Variables{w.job.Variables, w.plan.Predefined(w.job)} {
		if t, ok := vars.Get(name); ok {
			return t
		}
	}
	return plan.Literal(w.vars[name])
}

// staleCaches are the caches to be saved, now that the job has ended: those that
// its outcome and their policy ask for, and in which it has changed something.
func (w *worker) staleCaches(res *JobResult) (stale []*jobCache) {
	if w.r.hard.Err() != nil {
		return nil
	}
	for _, c := range w.caches {
		if !c.push || !keepArtifacts(c.spec.When, res.Status) {
			continue
		}
		if c.restored != nil && c.restored.Selection == selection(c.patterns) {
			same, err := w.ws.Unchanged(c.patterns, c.restored.Files())
			if err != nil {
				w.log.Note(true, "cache %q: %v", c.key, err)
			}
			if same {
				w.log.Note(false, "cache %q is unchanged", c.key)
				continue
			}
		}
		stale = append(stale, c)
	}
	return stale
}

// saveCaches keeps what the caches are to hold. That it fails is no failure of the
// job. It comes after the artifacts, which others wait for: a cache that cannot be
// saved must not take them along.
func (w *worker) saveCaches(stale []*jobCache) {
	for _, c := range stale {
		if w.r.hard.Err() != nil {
			return
		}
		if err := w.save(c); err != nil {
			w.log.Note(true, "%v", err)
		}
	}
}

func (w *worker) save(c *jobCache) error {
	draft, err := w.tree.Caches.Project.Begin(c.key)
	if err != nil {
		return err
	}
	// Not closed here: a further collection may link to its files.
	w.held = append(w.held, draft)
	m, err := w.ws.Collect(c.patterns, draft.Files())
	if err != nil {
		return fmt.Errorf("save cache %q: %w", c.key, err)
	}
	for _, warning := range m.Warnings {
		w.log.Note(true, "cache %q: %s", c.key, warning)
	}
	if len(m.Files) == 0 {
		w.log.Note(false, "cache %q is not saved: there is nothing to keep", c.key)
		return nil
	}
	info := cachestore.Info{Size: m.Size, Disk: m.Disk, Selection: selection(c.patterns)}
	for _, f := range m.Files {
		if f.Type != "dir" {
			info.Files++
		}
	}
	if err := draft.Commit(info); err != nil {
		return err
	}
	w.log.Note(false, "cache %q saved: %d file(s), %s", c.key, info.Files, ByteSize(info.Size))
	return nil
}

// releaseCaches gives up what the workspace used, once it is gone.
func (w *worker) releaseCaches() error {
	var errs []error
	for _, h := range w.held {
		errs = append(errs, h.Close())
	}
	w.held, w.caches = nil, nil
	return errors.Join(errs...)
}

// selection is [cachestore.Info.Selection] for patterns.
func selection(p workspace.Patterns) string {
	data, err := json.Marshal(p)
	if err != nil { // strings and a boolean: never
		panic(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// age prints a duration for people, by its largest unit: 12s, 5m, 3h, 40d.
func age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
