package cachestore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCleanKey(t *testing.T) {
	for raw, want := range map[string]string{
		"default": "default", "a b": "a b", ".x": ".x", "a..b": "a..b",
		"feature/x": "feature/x", "/feature//x/": "feature/x", `a\b`: "a/b", "a%2Fb%2fc": "a/b/c",
		"../../etc/passwd": "etc/passwd", "%2e%2E/x": "x", `..\..\x`: "x", "a/../../b": "b",
		"": "", "..": "", "/": "", ".": "", "%2e%2e%2f": "", "  ": "", " \t\n": "", "a/ ": "a", "a/. ": "a", "a \t": "a", " a": " a",
	} {
		if got := CleanKey(raw); got != want {
			t.Errorf("CleanKey(%q) = %q, want %q", raw, got, want)
		}
	}
}

func FuzzCleanKey(f *testing.F) {
	f.Add("../a%2F\\ /. ")
	f.Fuzz(func(t *testing.T, raw string) {
		key := CleanKey(raw)
		if key != "" && !filepath.IsLocal(key) {
			t.Errorf("CleanKey(%q) = %q", raw, key)
		}
		if strings.Contains(key, "%2") {
			return // it takes two passes to decode %252f
		}
		if again := CleanKey(key); again != key {
			t.Errorf("CleanKey(%q) = %q, and of that %q", raw, key, again)
		}
	})
}

func TestDigest(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		must(os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	hidden := func(name string) bool { return name == "node_modules" }
	digest := func(globs ...string) string {
		t.Helper()
		d, err := Digest(root, globs, hidden)
		if err != nil {
			t.Fatal(err)
		}
		if d != "" && len(d) != 40 {
			t.Errorf("digest %q", d)
		}
		return d
	}
	write("a.lock", "1")
	write("sub/deep/b.lock", "2")
	write("node_modules/c.lock", "3")
	write(".git/d.lock", "4")
	for _, globs := range [][]string{{"absent"}, {"sub"}, {"node_modules/c.lock"}, {"node_modules/*"}, {".git/d.lock"}, {"absent/*/x"}} {
		if d := digest(globs...); d != "" {
			t.Errorf("%q gave %q", globs, d)
		}
	}
	a := digest("a.lock")
	for _, same := range [][]string{{"./a.lock"}, {"*.lock"}, {"a.lock", "absent"}, {"a.lock", "?.lock"}, {"{a,x}.lock"}} {
		if digest(same...) != a {
			t.Errorf("%q is another digest than that of a.lock", same)
		}
	}
	all := digest("**/*.lock")
	if all == a || all != digest("sub/**/*.lock", "a.lock") {
		t.Error("the digest of all files is not that of each")
	}
	write("a.lock", "2")
	if digest("a.lock") == a || digest("**/*.lock") == all {
		t.Error("a change did not change the digest")
	}
	// Which file has which content counts.
	before := digest("a.lock", "z.lock")
	write("z.lock", "2")
	if err := os.Remove(filepath.Join(dir, "a.lock")); err != nil {
		t.Fatal(err)
	}
	if digest("a.lock", "z.lock") == before {
		t.Error("a renamed file gave the same digest")
	}
	if _, err := Digest(root, []string{"[a"}, hidden); err == nil {
		t.Error("a broken pattern was accepted")
	}
	if _, err := Digest(root, []string{"../*"}, hidden); err == nil {
		t.Error("a pattern out of the project was accepted")
	}
}

func TestDigestFollowsNoLink(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	for _, err := range []error{
		os.WriteFile(secret, []byte("1"), 0o600),
		os.Symlink(secret, filepath.Join(dir, "link")),
		os.Symlink(outside, filepath.Join(dir, "dir")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	nothing := func(string) bool { return false }
	before, err := Digest(root, []string{"link", "dir/*"}, nothing)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secret, []byte("2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if after, err := Digest(root, []string{"link", "dir/*"}, nothing); err != nil || after != before || after == "" {
		t.Errorf("%q, %q, %v: the content of a file outside of the project counts", before, after, err)
	}
}
