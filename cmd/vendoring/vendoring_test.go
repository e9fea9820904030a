package vendoring

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cic-ci/cic/compile/resolve"
)

// newFetcher serves files by path, and has a project of its own.
func newFetcher(t *testing.T, files map[string]string) (*Fetcher, string, *httptest.Server) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.EscapedPath()]
		switch {
		case !ok:
			http.NotFound(w, r)
		case strings.HasPrefix(text, "->"):
			http.Redirect(w, r, strings.TrimPrefix(text, "->"), http.StatusFound)
		default:
			_, _ = w.Write([]byte(text)) // a client that has gone is no failure of the test
		}
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	lock, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	return &Fetcher{Project: root, Lock: lock, Server: server.URL, Client: server.Client()}, dir, server
}

func TestFetchOnce(t *testing.T) {
	files := map[string]string{
		"/g/p/-/raw/v1/dir/a%20b.yml":             "a: {script: [x]}\n",
		"/g/c/-/raw/1.0/templates/build.yml":      "b: {script: [x]}\n",
		"/g/c/-/raw/1.0/templates/t/template.yml": "t: {script: [x]}\n",
		"/plain.yml": "c: {script: [x]}\n",
	}
	f, dir, server := newFetcher(t, files)
	host := strings.TrimPrefix(server.URL, "https://")
	for _, test := range []struct {
		loc  resolve.Location
		want string
	}{
		{resolve.Location{Kind: "project", Name: "g/p", File: "dir/a b.yml", Ref: "v1"}, "a:"},
		{resolve.Location{Kind: "component", Name: host + "/g/c/build@1.0"}, "b:"},
		{resolve.Location{Kind: "component", Name: host + "/g/c/t@1.0"}, "t:"},
		{resolve.Location{Kind: "remote", Name: server.URL + "/plain.yml"}, "c:"},
	} {
		name, data, err := f.Copy(t.Context(), test.loc)
		if err != nil || !strings.HasPrefix(string(data), test.want) || !strings.HasPrefix(name, Dir+"/") {
			t.Errorf("%s: %q %q %v", test.loc, name, data, err)
		}
	}
	if f.Fetched != 4 {
		t.Errorf("%d fetched", f.Fetched)
	}
	if err := f.Write(); err != nil {
		t.Fatal(err)
	}
	server.Close() // from now on, only the copies
	lock, err := Read(f.Project)
	if err != nil || len(lock.Files) != 4 {
		t.Fatal(lock, err)
	}
	loc := resolve.Location{Kind: "remote", Name: server.URL + "/plain.yml"}
	name, _, err := lock.Copy(f.Project, loc)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("c: {script: [evil]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := lock.Copy(f.Project, loc); err == nil || !strings.Contains(err.Error(), "digest differs") {
		t.Errorf("a changed copy: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := lock.Copy(f.Project, loc); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing copy: %v", err)
	}
}

func TestFetchRefuses(t *testing.T) {
	f, _, server := newFetcher(t, map[string]string{
		"/elsewhere.yml": "->https://other.example/x.yml",
		"/large.yml":     strings.Repeat("#", maxFile+1),
	})
	for name, want := range map[string]string{
		"http://x.example/a.yml":      "only https",
		server.URL + "/none.yml":      "does not exist",
		server.URL + "/elsewhere.yml": "is not followed",
		server.URL + "/large.yml":     "is larger than",
	} {
		_, _, err := f.Copy(t.Context(), resolve.Location{Kind: "remote", Name: name})
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := f.Copy(t.Context(), resolve.Location{Kind: "component", Name: "x.example/g/c/build@~latest"}); err == nil {
		t.Error("the latest version of a component was fetched")
	}
	if f.Fetched != 0 || len(f.Lock.Files) != 0 {
		t.Error("something was fetched")
	}
}

func TestLockIsChecked(t *testing.T) {
	f, dir, _ := newFetcher(t, nil)
	if err := os.MkdirAll(filepath.Join(dir, Dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{"format_version": "2.0", "files": []}`: "format version",
		`{"format_version": "1.0", "fils": []}`:  "unknown field",
		`nothing`:                                "invalid character",
	} {
		if err := os.WriteFile(filepath.Join(dir, LockFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(f.Project); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	loc := resolve.Location{Kind: "remote", Name: "x"}
	lock := &Lock{Files: []File{{Kind: "remote", Name: "x", Path: "../../../etc/passwd"}}}
	if _, _, err := lock.Copy(f.Project, loc); err == nil || !strings.Contains(err.Error(), "is no path") {
		t.Errorf("a path outside: %v", err)
	}
}
