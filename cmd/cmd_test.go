package cmd

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFlagsFirst(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"cic", "cic"},
		{"cic compile", "cic compile"},
		{"cic compile ci.yml -o plan", "cic compile -o plan -- ci.yml"},
		{"cic compile -o plan ci.yml --posix", "cic compile -o plan --posix -- ci.yml"},
		{"cic exec plan a --jobs=3 b", "cic exec --jobs=3 -- plan a b"},
		{"cic exec plan -- -odd --jobs", "cic exec -- plan -odd --jobs"},
		{"cic exec plan --image *=host -j 2 a", "cic exec --image *=host -j 2 -- plan a"},
		{"cic image load a.tar --name x b.tar", "cic image load --name x -- a.tar b.tar"},
		{"cic image", "cic image"},
		{"cic nosuch a -b", "cic nosuch a -b"},
	} {
		app := newApp(nil, nil, nil)
		got, err := flagsFirst(app, strings.Fields(test.in))
		if err != nil || !slices.Equal(got, strings.Fields(test.want)) {
			t.Errorf("%s\n got %q, %v\nwant %q", test.in, got, err, test.want)
		}
	}
	for _, args := range [][]string{
		{"cic", "compile", "-o"},
		{"cic", "compile", "-o", "", "--posix"},
		{"cic", "exec", "plan", "--report="},
		{"cic", "exec", "plan", "--resume", ""},
	} {
		if _, err := flagsFirst(newApp(nil, nil, nil), args); err == nil || !strings.HasSuffix(err.Error(), " needs a value") {
			t.Errorf("%q: a flag without its value is accepted, or not named: %v", args, err)
		}
	}
}

func TestParseRemote(t *testing.T) {
	for _, test := range []struct{ remote, server, path string }{
		{"", "https://gitlab.com", ""},
		{"https://gitlab.example.com/group/sub/name.git", "https://gitlab.example.com", "group/sub/name"},
		{"https://user:secret@gitlab.example.com/group/name.git", "https://gitlab.example.com", "group/name"},
		{"http://localhost:8080/group/name", "http://localhost:8080", "group/name"},
		{"ssh://git@example.com:2222/group/name.git", "https://example.com", "group/name"},
		{"git@example.com:group/name.git", "https://example.com", "group/name"},
		{"example.com:group/name.git", "https://example.com", "group/name"},
		{"/srv/git/name.git", "https://gitlab.com", ""},
		{"file:///srv/git/name.git", "https://gitlab.com", ""},
	} {
		server, path := parseRemote(test.remote)
		if server.String() != test.server || path != test.path {
			t.Errorf("%q: got %s and %q, want %s and %q", test.remote, server.String(), path, test.server, test.path)
		}
	}
}

// git runs git in dir, without the user's configuration.
func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func open(t *testing.T, dir string) *project {
	t.Helper()
	p, err := openProject(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOpenProject(t *testing.T) {
	dir := t.TempDir()
	if p := open(t, dir); p.git || p.ref != "main" || p.tag {
		t.Errorf("outside of git: %+v", p)
	}
	git(t, dir, "init", "-q", "-b", "trunk")
	if p := open(t, dir); !p.git || p.ref != "trunk" || p.facts["CI_COMMIT_SHA"] != "" {
		t.Errorf("before the first commit: %+v", p)
	}
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "title\n\nbody\nmore")
	git(t, dir, "remote", "add", "origin", "https://user:secret@gitlab.example.com/group/name.git")
	p := open(t, dir)
	for name, want := range map[string]string{
		"CI_COMMIT_TITLE":       "title",
		"CI_COMMIT_DESCRIPTION": "body\nmore",
		"CI_COMMIT_AUTHOR":      "A <a@example.com>",
		"CI_COMMIT_BEFORE_SHA":  strings.Repeat("0", 40),
		"CI_PROJECT_PATH":       "group/name",
		"CI_REPOSITORY_URL":     "https://gitlab.example.com/group/name.git",
		"CI_DEFAULT_BRANCH":     "main",
	} {
		if p.facts[name] != want {
			t.Errorf("%s = %q, want %q", name, p.facts[name], want)
		}
	}
	for name, value := range p.facts {
		if strings.Contains(value, "secret") {
			t.Errorf("%s holds the remote's credentials: %q", name, value)
		}
	}
	git(t, dir, "checkout", "-q", "--detach")
	if p := open(t, dir); p.ref != "HEAD" || p.tag {
		t.Errorf("on a detached head: %+v", p)
	}
	git(t, dir, "tag", "v1")
	if p := open(t, dir); p.ref != "v1" || !p.tag {
		t.Errorf("on a tag: %+v", p)
	}
}

func TestIgnoredAndTracked(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	for _, name := range []string{".gitignore", "a.txt", "b.log", "out/x", "sub/out/y", "with\nnewline"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("*.log\nout/\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "add", ".")
	p := open(t, dir)
	ignored, err := p.ignored(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ignored)
	if want := []string{"b.log", "out/", "sub/", "sub/out/"}; !slices.Equal(ignored, want) {
		t.Errorf("ignored %q, want %q", ignored, want)
	}
	tracked, err := p.tracked(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(tracked) != 3 || !tracked[".gitignore"] || !tracked["a.txt"] || !tracked["with\nnewline"] {
		t.Errorf("tracked %v", tracked)
	}
}

func TestUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	git(t, ".", "init", "-q", "-b", "main")
	if err := os.WriteFile("pipeline.yml", []byte("job: {image: a, script: [x]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"nosuch", "compile", "compile -o a --check b", "compile -o a x y", "compile -o a --ref r --tag t", "compile -o a --var 1X=2",
		"compile -o a --artifacts all", "show", "diff a", "diff a b --format xml", "exec", "image load", "version x", "exec --nosuch",
		"run --dry-run --workspace x", "run --dry-run --source x", "run --dry-run --network x", "run --jobs 0", "run --jobs -2", "run --dry-run --image x",
	} {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), append([]string{"cic"}, strings.Fields(args)...), nil, &stdout, &stderr)
		if code != exitUsage || !strings.HasPrefix(stderr.String(), "cic: error: ") || stdout.Len() > 0 {
			t.Errorf("cic %s: code %d\nstdout: %s\nstderr: %s", args, code, &stdout, &stderr)
		}
	}
}
