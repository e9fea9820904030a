package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cic-ci/cic/plan"
)

// project is what git knows about the directory that a pipeline runs in.
type project struct {
	dir string // absolute
	git bool   // dir is in a git work tree
	// ref is the branch, or the tag on a detached head that has one; "HEAD" on
	// any other detached head, so that no rule takes it for a branch.
	ref string
	tag bool
	// facts are the predefined variables that come from the checkout.
	facts map[string]string
}

// openProject reads the state of the checkout. A directory outside git is a
// project too: its branch is taken to be main.
func openProject(ctx context.Context, dir string) (*project, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, err
	}
	p := &project{dir: abs, ref: "main", facts: map[string]string{}}
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

func (p *project) readHead(ctx context.Context) error {
	if p.ref = p.line(ctx, "symbolic-ref", "-q", "--short", "HEAD"); p.ref == "" {
		p.ref = "HEAD"
		if tag := p.line(ctx, "describe", "--tags", "--exact-match", "HEAD"); tag != "" {
			p.ref, p.tag = tag, true
		}
	}
	f := p.facts
	if p.line(ctx, "rev-parse", "-q", "--verify", "HEAD^{commit}") != "" {
		out, err := p.run(ctx, "log", "-1", "--format=%H%x00%P%x00%an <%ae>%x00%cI%x00%B", "HEAD")
		if err != nil {
			return err
		}
		part := strings.SplitN(strings.TrimRight(out, "\n"), "\x00", 5)
		if len(part) != 5 {
			return fmt.Errorf("git log: unexpected output %q", out)
		}
		before, _, _ := strings.Cut(part[1], " ")
		if before == "" {
			before = strings.Repeat("0", 40)
		}
		title, rest, _ := strings.Cut(part[4], "\n")
		f["CI_COMMIT_SHA"], f["CI_COMMIT_SHORT_SHA"] = part[0], part[0][:8]
		f["CI_COMMIT_BEFORE_SHA"] = before
		f["CI_COMMIT_AUTHOR"], f["CI_COMMIT_TIMESTAMP"] = part[2], part[3]
		f["CI_COMMIT_MESSAGE"], f["CI_COMMIT_TITLE"] = part[4], title
		f["CI_COMMIT_DESCRIPTION"] = strings.TrimSpace(rest)
	}
	f["GITLAB_USER_NAME"] = p.line(ctx, "config", "user.name")
	f["GITLAB_USER_EMAIL"] = p.line(ctx, "config", "user.email")
	login, _, _ := strings.Cut(f["GITLAB_USER_EMAIL"], "@")
	f["GITLAB_USER_LOGIN"], f["GITLAB_USER_ID"] = login, "1"
	return nil
}

// readRemote derives the project's and the server's variables from the origin
// remote, or from the directory's name where there is none (specification 19).
func (p *project) readRemote(ctx context.Context) {
	f := p.facts
	f["CI_DEFAULT_BRANCH"] = "main"
	remote := ""
	if p.git {
		if _, branch, ok := strings.Cut(p.line(ctx, "symbolic-ref", "-q", "--short", "refs/remotes/origin/HEAD"), "/"); ok {
			f["CI_DEFAULT_BRANCH"] = branch
		}
		remote = p.line(ctx, "remote", "get-url", "origin")
	}
	server, path := parseRemote(remote)
	if path == "" {
		path = "local/" + filepath.Base(p.dir)
	}
	host, port := server.Hostname(), server.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[server.Scheme]
	}
	base := server.String()
	f["CI_SERVER_URL"], f["CI_SERVER_HOST"], f["CI_SERVER_FQDN"] = base, host, server.Host
	f["CI_SERVER_PORT"], f["CI_SERVER_PROTOCOL"] = port, server.Scheme
	f["CI_API_V4_URL"], f["CI_API_GRAPHQL_URL"] = base+"/api/v4", base+"/api/graphql"
	namespace, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		namespace, name = path[:i], path[i+1:]
	}
	root, _, _ := strings.Cut(namespace, "/")
	f["CI_PROJECT_PATH"], f["CI_PROJECT_PATH_SLUG"] = path, plan.Slug(path)
	f["CI_PROJECT_NAME"], f["CI_PROJECT_TITLE"] = name, name
	f["CI_PROJECT_NAMESPACE"], f["CI_PROJECT_ROOT_NAMESPACE"] = namespace, root
	f["CI_PROJECT_NAMESPACE_SLUG"] = plan.Slug(namespace)
	f["CI_PROJECT_URL"] = base + "/" + path
	f["CI_REPOSITORY_URL"] = base + "/" + path + ".git"
	f["CI_PROJECT_ID"], f["CI_PROJECT_NAMESPACE_ID"] = "1", "1"
}

// parseRemote splits a remote's address into the server, without credentials,
// and the project's path. Anything but http(s) and ssh gives GitLab's defaults
// and no path.
func parseRemote(remote string) (server url.URL, path string) {
	server = url.URL{Scheme: "https", Host: "gitlab.com"}
	u, err := url.Parse(remote)
	switch {
	case err == nil && (u.Scheme == "http" || u.Scheme == "https"):
		server, path = url.URL{Scheme: u.Scheme, Host: u.Host}, u.Path
	case err == nil && u.Scheme == "ssh":
		server.Host, path = u.Hostname(), u.Path
	case !strings.Contains(remote, "://"):
		// git@host:group/project.git
		if host, rest, ok := strings.Cut(remote, ":"); ok && !strings.Contains(host, "/") {
			_, after, at := strings.Cut(host, "@")
			if !at {
				after = host
			}
			server.Host, path = after, rest
		}
	}
	return server, strings.TrimSuffix(strings.Trim(path, "/"), ".git")
}

// hasRepository reports whether the repository's data lies in the project, so
// that jobs have it too.
func (p *project) hasRepository() bool {
	info, err := os.Lstat(filepath.Join(p.dir, ".git"))
	return err == nil && info.IsDir()
}

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

// tree lists the files of the project that git does not ignore, relative to it;
// outside git, all of them.
func (p *project) tree(ctx context.Context) (files []string, err error) {
	if p.git {
		out, err := p.run(ctx, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
		return splitNUL(out), err
	}
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, name)
		}
		return err
	})
	return files, err
}

// changes answers rules:changes: what differs between the work tree and another
// commit, from where the two have parted. since is used where no other is named;
// empty: nothing is known then.
func (p *project) changes(ctx context.Context, since string) func(compareTo string) ([]string, bool, error) {
	return func(compareTo string) (paths []string, known bool, err error) {
		if compareTo == "" {
			compareTo = since
		}
		if compareTo == "" {
			return nil, false, nil
		}
		commit := p.line(ctx, "rev-parse", "-q", "--verify", "--end-of-options", compareTo+"^{commit}")
		if commit == "" {
			commit = p.line(ctx, "rev-parse", "-q", "--verify", "--end-of-options", "refs/remotes/origin/"+compareTo+"^{commit}")
		}
		if commit == "" {
			return nil, false, fmt.Errorf("%q is not a valid ref", compareTo)
		}
		if base := p.line(ctx, "merge-base", commit, "HEAD"); base != "" {
			commit = base
		}
		env, err := p.withoutFilters(ctx)
		if err != nil {
			return nil, false, err
		}
		// A submodule's work tree would be read by a git with its own configuration.
		out, err := p.runWith(ctx, env, "diff", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=dirty", "--relative", "-z", commit)
		return splitNUL(out), err == nil, err
	}
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

// visible lists the files that git tracks or would: what is not ignored. It never
// looks into them, which could start programs that the repository names.
func (p *project) visible(ctx context.Context) ([]string, error) {
	out, err := p.run(ctx, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	if err != nil {
		return nil, err
	}
	files := splitNUL(out)
	if files == nil {
		files = []string{} // and not all there is
	}
	return files, nil
}

func splitNUL(s string) []string {
	s = strings.TrimSuffix(s, "\x00")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\x00")
}
