//go:build linux

package containerd

import (
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// mapped runs a job of image x with x mapped to target.
func mapped(t *testing.T, target string, j job) (string, int) {
	t.Helper()
	m, err := ParseMapping("x=" + target)
	if err != nil {
		t.Fatal(err)
	}
	j.image = "x"
	return run(t, open(t, func(c *Config) { c.Images = []Mapping{{Pattern: "unrelated", Kind: TargetHost}, m} }), j)
}

func TestMappedImages(t *testing.T) {
	requireContainerd(t)
	image, err := testImage(func(c *ggcr.Config) { c.Env = append(c.Env, "KIND=mapped") })
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := writeArchive(archive, "cic.test/archived:1", image); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendImage(image); err != nil {
		t.Fatal(err)
	}
	compressed := filepath.Join(t.TempDir(), "image.tar.gz")
	compress(t, archive, compressed)
	for range 2 { // The second time it is in the store.
		for _, target := range []string{"docker-archive:" + archive, "docker-archive:" + compressed, "oci:" + dir} {
			if out, code := mapped(t, target, job{script: "echo $KIND"}); out != "mapped\n" || code != 0 {
				t.Errorf("%s: got %q, %d", target, out, code)
			}
		}
	}
	if out, code := mapped(t, baseImage, job{script: "echo $FROM_IMAGE"}); out != "yes\n" || code != 0 {
		t.Errorf("reference: got %q, %d", out, code)
	}
}

func compress(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	w := gzip.NewWriter(f)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A directory serves as an image, and no job changes it. Its name holds what
// separates the options of an overlay mount.
func TestRootfsImage(t *testing.T) {
	requireContainerd(t)
	dir := filepath.Join(t.TempDir(), `a,b:c \d`)
	for _, f := range testFiles() {
		path := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if f.link != "" {
			err = os.Symlink(f.link, path)
		} else {
			err = os.WriteFile(path, []byte(f.text), os.FileMode(max(f.mode, 0o644)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out, code := mapped(t, "rootfs:"+dir, job{script: "echo >/new; cat /etc/group >/dev/null && echo x >/etc/group; id -un"})
	if out != "root\n" || code != 0 {
		t.Errorf("got %q, %d", out, code)
	}
	after, err := os.ReadDir(dir)
	if err != nil || len(after) != len(before) {
		t.Errorf("the directory holds %v, %v; before: %v", after, err, before)
	}
}

func TestHostImage(t *testing.T) {
	out, code := mapped(t, "host", job{script: `
echo "$HOME $PATH"
id -un
for f in /etc/shadow /etc/ssl/private /home /etc/ssh /var/lib; do [ -e $f ] && echo "exists: $f"; done
for d in /tmp /root /var/tmp /run .; do echo x >$d/file || echo "cannot write $d"; done
for d in /usr /bin /etc/ssl/certs; do (echo x >$d/file) 2>/dev/null && echo "wrote $d"; done
exit 0`})
	if want := "/root " + defaultPath + "\nroot\n"; out != want || code != 0 {
		t.Errorf("got %q, %d; want %q", out, code, want)
	}
	if _, err := os.Stat("/bin/bash"); err == nil {
		bash := job{script: "echo sh"}
		bash.plan.Script.Shell = "bash"
		if out, code := mapped(t, "host", bash); out != "sh\n" || code != 0 {
			t.Errorf("bash: got %q, %d", out, code)
		}
	}
}

func TestImageStore(t *testing.T) {
	r := open(t, nil)
	image, err := testImage(func(*ggcr.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "named.tar")
	if err := writeArchive(file, "cic.test/store:1", image); err != nil {
		t.Fatal(err)
	}
	l, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendImage(image); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "foreign.tar")
	if err := writeArchive(other, "cic.test/foreign:1", foreignImage(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "garbage.tar"), []byte("this is no archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, test := range []struct{ path, name, want, err string }{
		{path: file, want: "cic.test/store:1"},
		{path: file, name: "renamed", want: "docker.io/library/renamed:latest"},
		{path: filepath.Join(dir, "layout"), name: "cic.test/layout:2", want: "cic.test/layout:2"},
		{path: filepath.Join(dir, "layout"), err: "no name"},
		{path: filepath.Join(dir, "garbage.tar"), err: "not an image archive"},
		{path: filepath.Join(dir, "missing"), err: "no such file"},
		{path: file, name: "Bad Name", err: "reference"},
	} {
		names, err := r.LoadImage(ctx, test.path, test.name)
		switch {
		case test.err == "" && (err != nil || !slices.Equal(names, []string{test.want})):
			t.Errorf("%s: got %q, %v; want %q", test.path, names, err, test.want)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s: error is %v, want …%s…", test.path, err, test.err)
		}
	}
	listed := func(name string) bool {
		list, err := r.ListImages(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list, func(i ImageInfo) bool {
			return i.Name == name && strings.HasPrefix(i.Digest, "sha256:") && i.Size > 100_000
		})
	}
	for _, name := range []string{"cic.test/store:1", "docker.io/library/renamed:latest", "cic.test/layout:2"} {
		if !listed(name) {
			t.Errorf("%s is not in the list", name)
		}
		if err := r.RemoveImage(ctx, name); err != nil {
			t.Errorf("remove %s: %v", name, err)
		}
		if listed(name) {
			t.Errorf("%s is still in the list", name)
		}
	}
	if err := r.RemoveImage(ctx, "renamed"); err == nil || !strings.Contains(err.Error(), "no image renamed") {
		t.Errorf("remove again: %v", err)
	}
	if _, err := r.LoadImage(ctx, other, ""); err == nil || !strings.Contains(err.Error(), "is for linux/s390x") {
		t.Errorf("image of another architecture: %v", err)
	}
}
