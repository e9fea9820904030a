//go:build linux

package containerd

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

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
		if user, _, err := r.cfg.credentials(test.host); err != nil || user != test.user {
			t.Errorf("%+v: got %q, %v", test, user, err)
		}
	}
}
