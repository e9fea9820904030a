package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile"
)

// ignored lists what git ignores below the project, directories collapsed and
// ending in a slash; nil outside git.
func (p *project) ignored(ctx context.Context) ([]string, error) {
	if !p.git {
		return nil, nil
	}
	out, err := p.run(ctx, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
	if err != nil {
		return nil, err
	}
	return splitNUL(out), nil
}

// files lists the files of the project that a checkout with the user's own changes
// would hold, relative to it: what git tracks and is there, and what it would
// track; outside git, all of them. It is not nil. No file is looked into, which
// could start programs that the repository names.
func (p *project) files(ctx context.Context) ([]string, error) {
	if !p.git {
		return p.walk()
	}
	out, err := p.run(ctx, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	if err != nil {
		return nil, err
	}
	gone, err := p.run(ctx, "ls-files", "-z", "--deleted")
	if err != nil {
		return nil, err
	}
	deleted := map[string]bool{}
	for _, name := range splitNUL(gone) {
		deleted[name] = true
	}
	files := []string{}
	for _, name := range splitNUL(out) {
		if !deleted[name] {
			files = append(files, name)
		}
	}
	return files, nil
}

// walk lists all files of the project; one that vanishes meanwhile does not count.
func (p *project) walk() ([]string, error) {
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files := []string{}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() {
			files = append(files, name)
		}
		return err
	})
	return files, err
}

// changes answers rules:changes (specification section 10.1): the files that
// differ between another commit, from where the two have parted, and the project
// as it lies there, with what is not committed and what is new and not ignored.
// since is used where a rule names no ref; empty: nothing is known then.
func (p *project) changes(ctx context.Context, since string) func(compareTo string) ([]string, bool, error) {
	return func(compareTo string) (paths []string, known bool, err error) {
		if compareTo == "" {
			compareTo = since
		}
		if compareTo == "" || !p.git {
			return nil, false, nil
		}
		commit := p.commit(ctx, compareTo, "refs/remotes/origin/"+strings.TrimPrefix(compareTo, "refs/heads/"))
		if commit == "" {
			return nil, false, fmt.Errorf("%q %w", compareTo, compile.ErrNoRef)
		}
		env, err := p.withoutFilters(ctx)
		if err != nil {
			return nil, false, err
		}
		// A submodule's work tree would be read by a git with its own configuration.
		changed, err := p.runWith(ctx, env, "diff", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=dirty", "--relative", "-z", p.parting(ctx, commit))
		if err != nil {
			return nil, false, err
		}
		added, err := p.run(ctx, "ls-files", "-z", "--others", "--exclude-standard")
		if err != nil {
			return nil, false, err
		}
		paths = append(splitNUL(changed), splitNUL(added)...)
		slices.Sort(paths) // a file that git was told to forget is in both
		return slices.Compact(paths), true, nil
	}
}

// commit returns the commit that the first of some names means which means one,
// empty if none does.
func (p *project) commit(ctx context.Context, names ...string) string {
	for _, name := range names {
		if sha := p.line(ctx, "rev-parse", "-q", "--verify", "--end-of-options", name+"^{commit}"); sha != "" {
			return sha
		}
	}
	return ""
}

// parting returns the commit from where another and the one that is checked out
// have parted, or the other itself if they have nothing in common.
func (p *project) parting(ctx context.Context, commit string) string {
	if base := p.line(ctx, "merge-base", commit, "HEAD"); base != "" {
		return base
	}
	return commit
}

// withoutFilters is an environment that switches off the programs which the
// repository's configuration names for turning files of the work tree into what
// is stored (gitattributes, "filter"; git-config, "GIT_CONFIG_COUNT"). Without it
// git diff runs them for each file that may have changed.
func (p *project) withoutFilters(ctx context.Context) ([]string, error) {
	// It fails if nothing matches; core.hooksPath, which run sets, always does.
	out, err := p.run(ctx, "config", "--null", "--name-only", "--get-regexp", `^(filter\..*|core\.hookspath)$`)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var env []string
	add := func(key, value string) {
		n := len(env) / 2
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n, value))
	}
	for _, key := range splitNUL(out) {
		name := key[:strings.LastIndexByte(key, '.')]
		if !strings.HasPrefix(key, "filter.") || seen[name] {
			continue
		}
		seen[name] = true
		add(name+".clean", "")
		add(name+".process", "")
		add(name+".required", "false")
	}
	return append(env, fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(env)/2)), nil
}

// tracked lists the files in git's index, relative to the project.
func (p *project) tracked(ctx context.Context) (map[string]bool, error) {
	files := map[string]bool{}
	if !p.git {
		return files, nil
	}
	out, err := p.run(ctx, "ls-files", "-z")
	if err != nil {
		return nil, err
	}
	for _, name := range splitNUL(out) {
		files[name] = true
	}
	return files, nil
}
