package cmd

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/plan"
)

// tagAt is a tag of the commit that is checked out, an annotated one first; empty
// if it has none.
func (p *project) tagAt(ctx context.Context) string {
	return p.line(ctx, "describe", "--tags", "--exact-match", "HEAD")
}

// longTitle is the length of a commit's title, in characters, from which on its
// description is the whole message (specification section 19).
const longTitle = 100

func (p *project) readHead(ctx context.Context) error {
	if p.ref = p.line(ctx, "symbolic-ref", "-q", "--short", "HEAD"); p.ref == "" {
		p.ref = "HEAD"
		if tag := p.tagAt(ctx); tag != "" {
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
			before = noCommit
		}
		title, rest, _ := strings.Cut(part[4], "\n")
		if utf8.RuneCountInString(title) >= longTitle {
			rest = part[4]
		}
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
		f["CI_DEFAULT_BRANCH"] = p.defaultBranch(ctx)
		remote = p.line(ctx, "remote", "get-url", "origin")
	}
	server, path := parseRemote(remote)
	if path == "" {
		path = p.path
	}
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

// defaultBranch is the one that origin names; where it is not known, main or, if
// only that exists, master.
func (p *project) defaultBranch(ctx context.Context) string {
	if _, branch, ok := strings.Cut(p.line(ctx, "symbolic-ref", "-q", "--short", "refs/remotes/origin/HEAD"), "/"); ok {
		return branch
	}
	if p.commit(ctx, "refs/heads/main", "refs/remotes/origin/main") == "" &&
		p.commit(ctx, "refs/heads/master", "refs/remotes/origin/master") != "" {
		return "master"
	}
	return "main"
}

// variables are the predefined variables that come from the checkout, for a
// pipeline of this context (specification section 19).
func (p *project) variables(ctx context.Context, c plan.Context) map[string]string {
	f := maps.Clone(p.facts)
	if (c.Event != "push" || c.RefType == "tag") && f["CI_COMMIT_BEFORE_SHA"] != "" {
		f["CI_COMMIT_BEFORE_SHA"] = noCommit
	}
	if c.RefType == "tag" {
		f["CI_COMMIT_TAG_MESSAGE"] = p.tagMessage(ctx, c.Ref)
	}
	if c.Event == plan.EventMergeRequest {
		f["CI_MERGE_REQUEST_TITLE"] = f["CI_COMMIT_TITLE"]
		f["CI_MERGE_REQUEST_DESCRIPTION"] = f["CI_COMMIT_DESCRIPTION"]
		for _, side := range []string{"", "SOURCE_"} { // there is no fork
			f["CI_MERGE_REQUEST_"+side+"PROJECT_ID"] = f["CI_PROJECT_ID"]
			f["CI_MERGE_REQUEST_"+side+"PROJECT_PATH"] = f["CI_PROJECT_PATH"]
			f["CI_MERGE_REQUEST_"+side+"PROJECT_URL"] = f["CI_PROJECT_URL"]
		}
		if target := p.branch(ctx, c.TargetBranch); target != "" {
			f["CI_MERGE_REQUEST_DIFF_BASE_SHA"] = p.parting(ctx, target)
		}
	}
	return f
}

// runtimeVariables are the variables that the executor is given: those of the
// checkout, and those of the program that runs the jobs.
func (p *project) runtimeVariables(ctx context.Context, c plan.Context) map[string]string {
	vars := p.variables(ctx, c)
	vars["CI_RUNNER_VERSION"], vars["CI_RUNNER_REVISION"] = version(), sourceRevision()
	return vars
}

// branch returns the commit of a branch as the server has it, else of the local
// one; empty if there is none.
func (p *project) branch(ctx context.Context, name string) string {
	return p.commit(ctx, "refs/remotes/origin/"+name, "refs/heads/"+name)
}

// tagMessage is that of an annotated tag, empty for any other.
func (p *project) tagMessage(ctx context.Context, name string) string {
	if p.line(ctx, "cat-file", "-t", "refs/tags/"+name) != "tag" {
		return ""
	}
	return p.line(ctx, "for-each-ref", "--format=%(contents:subject)%0a%0a%(contents:body)", "refs/tags/"+name)
}

// noCommit stands for a commit that there is not.
const noCommit = "0000000000000000000000000000000000000000"

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
