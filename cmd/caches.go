package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/cachestore"
	"github.com/cic-ci/cic/plan"
)

// defaultCacheSize bounds what all caches together take of the disk.
const defaultCacheSize = "20GiB"

// cacheFlags say what becomes of caches in a run.
func cacheFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "cache", Value: "on", Usage: "on; pull: caches are not saved; push: they are not restored; off: neither"},
		cacheSizeFlag("cache-size", "after the run, remove the caches not used for longest beyond `SIZE`"),
	}
}

func cacheSizeFlag(name, usage string) cli.Flag {
	return &cli.StringFlag{Name: name, EnvVars: []string{"CIC_CACHE_SIZE"}, Value: defaultCacheSize, Usage: usage}
}

// sizeFlag is the value in bytes of a flag that bounds a size; 0 leaves nothing.
func sizeFlag(c *cli.Context, name string) (int64, error) {
	if c.String(name) == "0" {
		return 0, nil
	}
	n, err := plan.ParseSize(c.String(name))
	if err != nil {
		return 0, usage("--%s: %v", name, err)
	}
	return n, nil
}

// cacheModes are the values of --cache: whether it pulls and pushes.
var cacheModes = map[string]struct{ pull, push bool }{
	"on": {true, true}, "pull": {true, false}, "push": {false, true}, "off": {},
}

func checkCacheFlags(c *cli.Context) error {
	if mode := c.String("cache"); cacheModes[mode] == (struct{ pull, push bool }{}) && mode != "off" {
		return usage("--cache is on, pull, push or off, not %q", mode)
	}
	_, err := sizeFlag(c, "cache-size")
	return err
}

func openCacheStore(c *cli.Context) (*cachestore.Store, error) {
	state, err := stateDir(c)
	if err != nil {
		return nil, err
	}
	store, err := cachestore.Open(filepath.Join(state, "caches"), time.Now)
	if err != nil {
		return nil, fail(exitSystem, err)
	}
	return store, nil
}

// openCaches returns the caches for a run of a plan, nil if it has none to use, and
// what is to be done with them after the run.
func openCaches(ctx context.Context, c *cli.Context, p *project, pl *plan.Plan) (*exec.Caches, func(), error) {
	nothing := func() {}
	mode := cacheModes[c.String("cache")]
	used := slices.ContainsFunc(pl.Jobs, func(j plan.Job) bool { return len(j.Caches) > 0 })
	if !used || !mode.pull && !mode.push {
		return nil, nothing, nil
	}
	warn := warner(c.App.ErrWriter)
	if c.String("workspace") == "shared" {
		warn("caches are neither restored nor saved with --workspace=shared, where what a job leaves stays in the project")
		return nil, nothing, nil
	}
	store, err := openCacheStore(c)
	if err != nil {
		return nil, nil, err
	}
	limit, err := sizeFlag(c, "cache-size")
	if err != nil {
		return nil, nil, err
	}
	after := func() {
		err := store.Flush()
		if err == nil {
			_, err = store.Trim(cachestore.Limits{Size: limit})
		}
		if err != nil {
			warn(err.Error())
		}
	}
	return &exec.Caches{
		Project: store.Project(p.cacheIdentity()),
		Digest:  p.keyDigests(ctx, c.String("source") == "clean"),
		Pull:    mode.pull, Push: mode.push,
	}, after, nil
}

// cacheIdentity tells one project's caches from another's: by where the project
// lies, as a remote alone could be claimed by anyone, and by its remote, as
// different projects may be checked out to one place in turn.
func (p *project) cacheIdentity() string { return p.dir + "\n" + p.facts["CI_PROJECT_URL"] }

// keyDigests returns [exec.Caches.Digest]. What it finds holds for the whole run,
// so that jobs with the same files have the same key. clean leaves out what git
// ignores, as jobs do not see it.
func (p *project) keyDigests(ctx context.Context, clean bool) func([]string, bool) (string, error) {
	hidden := sync.OnceValues(func() (map[string]bool, error) {
		set := map[string]bool{}
		if !clean {
			return set, nil
		}
		names, err := p.ignored(ctx)
		for _, name := range names {
			set[strings.TrimSuffix(name, "/")] = true
		}
		return set, err
	})
	var known sync.Map // question -> func() (string, error)
	return func(globs []string, commits bool) (string, error) {
		question := fmt.Sprintf("%t %q", commits, globs)
		answer, _ := known.LoadOrStore(question, sync.OnceValues(func() (string, error) {
			if commits {
				return p.lastCommits(ctx, globs)
			}
			set, err := hidden()
			if err != nil {
				return "", err
			}
			root, err := os.OpenRoot(p.dir)
			if err != nil {
				return "", err
			}
			defer root.Close()
			return cachestore.Digest(root, globs, func(name string) bool { return set[name] })
		}))
		return answer.(func() (string, error))()
	}
}

// lastCommits is a digest of the commits that last changed the files that match
// each glob; empty if none ever did.
func (p *project) lastCommits(ctx context.Context, globs []string) (string, error) {
	if !p.git {
		return "", fmt.Errorf("cache:key:files_commits needs a project under git")
	}
	sum, found := sha256.New(), false
	for _, glob := range globs {
		out, err := p.run(ctx, "log", "-1", "--format=%H", "--", ":(glob)"+path.Clean(glob))
		if err != nil {
			return "", err
		}
		found = found || out != ""
		fmt.Fprintf(sum, "%s\x00%s", glob, out)
	}
	if !found {
		return "", nil
	}
	return hex.EncodeToString(sum.Sum(nil)[:20]), nil
}
