//go:build linux

package containerd

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
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

// testRegistry is a registry on loopback with one image, and a hook before each request.
type testRegistry struct {
	host     string
	requests atomic.Int64
	// before answers a request itself if it returns true.
	before func(w http.ResponseWriter, r *http.Request) bool
}

func newRegistry(t *testing.T, images map[string]ggcr.Image) *testRegistry {
	t.Helper()
	reg := new(testRegistry)
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reg.requests.Add(1)
		if reg.before == nil || !reg.before(w, r) {
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	reg.host = strings.TrimPrefix(server.URL, "http://")
	for ref, image := range images {
		tag, err := name.NewTag(reg.host + "/" + ref)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(tag, image); err != nil {
			t.Fatal(err)
		}
	}
	reg.requests.Store(0)
	return reg
}

// oneKey has credentials for one registry.
type oneKey struct{ host, user, password string }

func (k oneKey) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if r.RegistryStr() != k.host {
		return authn.Anonymous, nil
	}
	return &authn.Basic{Username: k.user, Password: k.password}, nil
}

func requireLogin(w http.ResponseWriter, r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	if user == "me" && password == "hunter2" {
		return false
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
	w.WriteHeader(http.StatusUnauthorized)
	return true
}

// uniqueImage is one that no other test has brought into the store.
func uniqueImage(t *testing.T) ggcr.Image {
	t.Helper()
	image, err := testImage(func(c *ggcr.Config) { c.Labels = map[string]string{"test": t.Name()} })
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// foreignImage is one for another architecture.
func foreignImage(t *testing.T) ggcr.Image {
	t.Helper()
	image := uniqueImage(t)
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.Architecture = "s390x"
	if image, err = mutate.ConfigFile(image, file); err != nil {
		t.Fatal(err)
	}
	return image
}

func TestPull(t *testing.T) {
	requireContainerd(t)
	pullBackoff = 0
	reg := newRegistry(t, map[string]ggcr.Image{"a/b:1": uniqueImage(t), "a/b:2": uniqueImage(t)})
	r := open(t, nil)
	ref := reg.host + "/a/b:1"
	if out, code := run(t, r, job{image: ref, script: "echo pulled"}); out != "pulled\n" || code != 0 {
		t.Fatalf("got %q, %d", out, code)
	}
	count := reg.requests.Load()
	again := open(t, nil)
	for _, policies := range [][]string{nil, {"never"}, {"if-not-present"}} {
		run(t, again, job{image: ref, plan: plan.Job{Image: plan.Image{PullPolicy: policies}}})
	}
	if reg.requests.Load() != count {
		t.Error("an image in the store was pulled again")
	}
	run(t, again, job{image: ref, plan: plan.Job{Image: plan.Image{PullPolicy: []string{"always"}}}})
	if reg.requests.Load() == count {
		t.Error("pull policy always did not ask the registry")
	}
	reg.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusNotFound)
		return true
	}
	third := open(t, nil)
	run(t, third, job{image: ref, plan: plan.Job{Image: plan.Image{PullPolicy: []string{"always", "if-not-present"}}}})
}

// Jobs that start together share one pull.
func TestPullOnce(t *testing.T) {
	requireContainerd(t)
	reg := newRegistry(t, map[string]ggcr.Image{"a:1": uniqueImage(t)})
	var manifests atomic.Int64
	reg.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/manifests/1") {
			manifests.Add(1)
		}
		return false
	}
	r := open(t, nil)
	errs := make(chan error)
	const jobs = 5
	for range jobs {
		spec := job{image: reg.host + "/a:1"}.spec(t)
		go func() {
			s, err := r.Setup(t.Context(), spec)
			if err == nil {
				err = s.Close()
			}
			errs <- err
		}()
	}
	for range jobs {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := manifests.Load(); n != 1 {
		t.Errorf("the tag was resolved %d times", n)
	}
}

func TestPullErrors(t *testing.T) {
	requireContainerd(t)
	pullBackoff = 0
	foreign := foreignImage(t)
	reg := newRegistry(t, map[string]ggcr.Image{"a:1": uniqueImage(t), "foreign:1": foreign})
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: foreign, Descriptor: ggcr.Descriptor{Platform: &ggcr.Platform{OS: "linux", Architecture: "s390x"}},
	})
	tag, err := name.NewTag(reg.host + "/index:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	refuse := func(status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(status); return true }
	}
	firstTwo := func(status int) func(http.ResponseWriter, *http.Request) bool {
		var n atomic.Int64
		return func(w http.ResponseWriter, r *http.Request) bool {
			// The client library itself tries each request again some times.
			if strings.Contains(r.URL.Path, "/manifests/") && n.Add(1) <= 7 {
				w.WriteHeader(status)
				return true
			}
			return false
		}
	}
	for _, test := range []struct {
		name, ref string
		before    func(http.ResponseWriter, *http.Request) bool
		keys      authn.Keychain
		want      string // empty: it works
		help      string
	}{
		{name: "not found", ref: "none:1", want: "has no such image", help: "name and tag"},
		{name: "no login", ref: "a:1", before: requireLogin, want: "refuses access", help: "docker login"},
		{name: "wrong password", ref: "a:1", before: requireLogin, keys: oneKey{reg.host, "me", "s3cr3t"}, want: "pull image", help: "docker login"},
		{name: "another's password", ref: "a:1", before: requireLogin, keys: oneKey{"example.com", "me", "hunter2"}, want: "refuses access", help: "docker login"},
		{name: "forbidden", ref: "a:1", before: refuse(403), want: "403", help: "docker login"},
		{name: "too many requests", ref: "a:1", before: refuse(429), want: "429", help: "limits"},
		{name: "broken", ref: "a:1", before: refuse(502), want: "502", help: "--image"},
		{name: "another architecture", ref: "foreign:1", want: "s390x", help: "architecture"},
		{name: "no variant", ref: "index:1", want: "no variant", help: "architecture"},
		{name: "too many requests, then not", ref: "a:1", before: firstTwo(429)},
		{name: "login", ref: "a:1", before: requireLogin, keys: oneKey{reg.host, "me", "hunter2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			reg.before = test.before
			r := open(t, func(c *Config) {
				c.Keychain = oneKey{}
				if test.keys != nil {
					c.Keychain = test.keys
				}
			})
			j := job{image: reg.host + "/" + test.ref}
			j.plan.Image.PullPolicy = []string{"always"}
			s, err := r.Setup(t.Context(), j.spec(t))
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			var e *exec.Error
			if !errors.As(err, &e) || e.Class != exec.ClassImagePull {
				t.Fatalf("got %v, want an error of class image_pull", err)
			}
			text := e.Error() + e.Help
			if !strings.Contains(e.Error(), test.want) || !strings.Contains(e.Error(), reg.host) || !strings.Contains(e.Help, test.help) {
				t.Errorf("got %q, help %q; want …%s…, the registry, and help …%s…", e.Error(), e.Help, test.want, test.help)
			}
			if strings.Contains(text, "s3cr3t") || strings.Contains(text, "hunter2") {
				t.Errorf("the error holds a password: %q", text)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		host := listener.Addr().String()
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = open(t, nil).Setup(t.Context(), job{image: host + "/a:1"}.spec(t))
		if classOf(err) != exec.ClassImagePull || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("got %v", err)
		}
	})
}

// A cancelled job does not wait for a registry that does not answer, and another
// that wants the same image is not harmed.
func TestPullCancelled(t *testing.T) {
	requireContainerd(t)
	reg := newRegistry(t, map[string]ggcr.Image{"a:1": uniqueImage(t)})
	asked, release := make(chan struct{}, 100), make(chan struct{})
	reg.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			asked <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		return false
	}
	r := open(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	errs := make(chan error, 1)
	first, second := job{image: reg.host + "/a:1"}.spec(t), job{image: reg.host + "/a:1"}.spec(t)
	set := func(ctx context.Context, spec exec.Spec) {
		s, err := r.Setup(ctx, spec)
		if err == nil {
			err = s.Close()
		}
		errs <- err
	}
	go set(ctx, first)
	<-asked
	cancel(cause)
	if err := <-errs; classOf(err) != exec.ClassCanceled || !errors.Is(err, cause) {
		t.Errorf("got %v, want the cause", err)
	}
	go set(t.Context(), second)
	<-asked
	close(release)
	if err := <-errs; err != nil {
		t.Errorf("the other job: %v", err)
	}
}

func TestCredentials(t *testing.T) {
	for _, test := range []struct{ key, host, user string }{
		{"index.docker.io", "registry-1.docker.io", "me"},
		{"example.com:5000", "example.com:5000", "me"},
		{"example.com:5000", "example.com", ""},
		{"example.com", "registry-1.docker.io", ""},
	} {
		r := &Runtime{cfg: Config{Keychain: oneKey{test.key, "me", "secret"}}}
		if user, _, err := r.credentials(test.host); err != nil || user != test.user {
			t.Errorf("%+v: got %q, %v", test, user, err)
		}
	}
}
