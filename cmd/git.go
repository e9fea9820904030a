package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// project is what git knows about the directory that a pipeline runs in.
type project struct {
	dir string // absolute
	git bool   // dir is in a git work tree
	// ref is the branch, or the tag on a detached head that has one; "HEAD" on
	// any other detached head, so that no rule takes it for a branch.
	ref string
	tag bool
	// path is its path on the server where no remote tells; empty: a made up one.
	path string
	// others are the projects beside it, by the paths that trigger jobs call them, and
	// asked what a compilation has asked of these.
	others map[string]*project
	asked  *externals
	// facts are the predefined variables that come from the checkout.
	facts map[string]string
}

// openProject reads the state of the checkout. A directory outside git is a
// project too: its branch is taken to be main.
func openProject(ctx context.Context, dir string) (*project, error) {
	return openProjectAs(ctx, dir, "")
}

// openProjectAs is openProject for a project whose path is known, should no remote tell.
func openProjectAs(ctx context.Context, dir, path string) (*project, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, err
	}
	p := &project{dir: abs, path: path, ref: "main", facts: map[string]string{}}
	if out, err := p.run(ctx, "rev-parse", "--is-inside-work-tree"); err == nil && strings.TrimSpace(out) == "true" {
		p.git = true
		if err := p.readHead(ctx); err != nil {
			return nil, err
		}
	}
	p.readRemote(ctx)
	return p, nil
}

// run runs git in the project. The repository may belong to another user than
// root, who runs cic, and its configuration must not make git start programs:
// to watch files, to check signatures, as hooks, or to fetch what is missing.
func (p *project) run(ctx context.Context, args ...string) (string, error) {
	return p.runWith(ctx, nil, args...)
}

// runWith is run with more environment variables.
func (p *project) runWith(ctx context.Context, env []string, args ...string) (string, error) {
	options := []string{"-C", p.dir, "--no-pager", "-c", "safe.directory=*", "-c", "core.fsmonitor=false",
		"-c", "core.hooksPath=" + os.DevNull, "-c", "log.showSignature=false"}
	cmd := exec.CommandContext(ctx, "git", append(options, args...)...)
	cmd.Env = append(gitEnvironment(os.Environ()), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			err = errors.New(text)
		}
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return string(out), nil
}

// gitEnvironment is environ without what points git at another repository, as it
// is set where a hook calls cic. No protocol is allowed: this overrules what the
// repository's configuration allows, where a promisor remote would be asked for
// objects that are missing (gitprotocol-ext, git-config "protocol.allow").
func gitEnvironment(environ []string) []string {
	elsewhere := []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
		"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_ALLOW_PROTOCOL"}
	env := slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(elsewhere, name)
	})
	return append(env, "GIT_ALLOW_PROTOCOL=none", "GIT_NO_LAZY_FETCH=1", "GIT_TERMINAL_PROMPT=0")
}

// line is run for a command that prints one line; empty if it fails.
func (p *project) line(ctx context.Context, args ...string) string {
	out, err := p.run(ctx, args...)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// hasRepository reports whether the repository's data lies in the project, so
// that jobs have it too.
func (p *project) hasRepository() bool {
	info, err := os.Lstat(filepath.Join(p.dir, ".git"))
	return err == nil && info.IsDir()
}

func splitNUL(s string) []string {
	s = strings.TrimSuffix(s, "\x00")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\x00")
}
