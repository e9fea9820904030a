package imagelock

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var (
	digestA = "sha256:" + strings.Repeat("a", 64)
	digestB = "sha256:" + strings.Repeat("b", 64)
)

func openRoot(t *testing.T) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	return root
}

func TestRoundTrip(t *testing.T) {
	root := openRoot(t)
	if _, _, err := Read(root.FS(), File); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a lock that is not there: %v", err)
	}
	lock := Lock{"docker.io/library/python:3.11": digestB, "127.0.0.1:5000/app:1": digestA}
	for range 2 { // the second time it is there
		if err := lock.Write(root, File); err != nil {
			t.Fatal(err)
		}
	}
	data, err := root.ReadFile(File)
	if err != nil {
		t.Fatal(err)
	}
	_, lines, _ := strings.Cut(string(data), "\n")
	if want := "127.0.0.1:5000/app:1@" + digestA + "\ndocker.io/library/python:3.11@" + digestB + "\n"; lines != want {
		t.Errorf("got %q, want %q", lines, want)
	}
	got, _, err := Read(root.FS(), File)
	if err != nil || !maps.Equal(got, lock) {
		t.Errorf("got %v, %v", got, err)
	}
	entries, err := fs.ReadDir(root.FS(), filepath.Dir(File))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestParse(t *testing.T) {
	line := "docker.io/library/python:3.11@" + digestA + "\n"
	for _, test := range []struct{ name, text, want string }{
		{"comments, blank lines, CRLF", "# x\r\n\r\n" + strings.TrimSuffix(line, "\n") + "\r\n", ""},
		{"nothing", "", ""},
		{"twice", line + "\n" + line, "lock:3: image docker.io/library/python:3.11 is listed twice"},
		{"short name", "python:3.11@" + digestA, `lock:1: "python:3.11@sha256:a`},
		{"no tag", "docker.io/library/python@" + digestA, "is not of the form"},
		{"no digest", "docker.io/library/python:3.11", "is not of the form"},
		{"short digest", "docker.io/library/python:3.11@sha256:aa", "is not of the form"},
		{"capitals", strings.ToUpper(line), "is not of the form"},
		{"two digests", strings.TrimSpace(line) + "@" + digestB, "is not of the form"},
		{"a mark of conflict", "<<<<<<< HEAD\n" + line, `lock:1: "<<<<<<< HEAD" is not of the form`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parse("lock", []byte(test.text)); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	root := openRoot(t)
	if err := root.Mkdir("dir", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteFile("large", make([]byte, maxLock+1), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dir", "large"} {
		if _, _, err := Read(root.FS(), name); err == nil || !strings.Contains(err.Error(), "is not a regular file of at most 1024 KiB") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Read(root.FS(), "../out"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path that leads out of the project: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("docker.io/library/python:3.11@" + digestA)
	f.Fuzz(func(t *testing.T, text string) {
		lock, err := parse("lock", []byte(text))
		if err != nil {
			return
		}
		root := openRoot(t)
		if err := lock.Write(root, File); err != nil {
			t.Fatal(err)
		}
		if again, _, err := Read(root.FS(), File); err != nil || !maps.Equal(again, lock) {
			t.Errorf("%v was read as %v, %v", lock, again, err)
		}
	})
}
