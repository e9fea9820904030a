//go:build linux

package exec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file is read once, whatever it is called, and again once it is another.
func TestDigestsAreOfFilesNotNames(t *testing.T) {
	var known digests
	for _, step := range []struct{ stamp, content, want string }{
		{"1", "a", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},
		{"1", "not read", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},
		{"2", "b", "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"},
		{"", "b", "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"},
		{"", "a", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},
	} {
		if got, err := known.of(step.stamp, strings.NewReader(step.content)); got != step.want || err != nil {
			t.Errorf("%+v: %s, %v", step, got, err)
		}
	}
}

func TestInodeStamp(t *testing.T) {
	stamp := func(path string) string {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return inodeStamp(info)
	}
	dir := t.TempDir()
	file, link, other := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "other")
	for _, name := range []string{file, other} {
		if err := os.WriteFile(name, []byte("a"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := stamp(file)
	if err := os.Link(file, link); err != nil {
		t.Fatal(err)
	}
	if stamp(file) != before || stamp(link) != before {
		t.Error("a link changed the stamp")
	}
	if stamp(other) == before {
		t.Error("two files have one stamp")
	}
	if err := os.WriteFile(file, []byte("bc"), 0o644); err != nil {
		t.Fatal(err)
	}
	if stamp(file) == before {
		t.Error("another content has the same stamp")
	}
}
