//go:build linux

package containerd

import (
	"net/http"
	"strings"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// The digest of an image is asked of its registry with the user's credentials, and
// without a containerd.
func TestServedDigest(t *testing.T) {
	pullBackoff = 0
	image := uniqueImage(t)
	want, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	reg := newRegistry(t, map[string]ggcr.Image{"a:1": image})
	reg.before = requireLogin
	cfg := Config{StateDir: t.TempDir(), CertDirs: []string{t.TempDir()}}
	for _, test := range []struct {
		name, ref, password string
		want                string // empty: the digest
	}{
		{"tag", "a:1", "hunter2", ""},
		{"digest", "a@" + want.String(), "hunter2", ""},
		{"tag and digest", "a:2@" + want.String(), "hunter2", ""},
		{"no such image", "b:1", "hunter2", "look up image " + reg.host + "/b:1 from " + reg.host + ": the registry has no such image"},
		{"wrong password", "a:1", "s3cr3t", "look up image"},
	} {
		cfg.Keychain = oneKey{reg.host, "me", test.password}
		digest, err := ServedDigest(t.Context(), cfg, reg.host+"/"+test.ref)
		switch {
		case test.want == "" && (err != nil || digest != want.String()):
			t.Errorf("%s: got %q, %v", test.name, digest, err)
		case test.want != "" && (classOf(err) != exec.ClassImagePull || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		case err != nil && strings.Contains(err.Error(), test.password):
			t.Errorf("%s: the error holds the password: %v", test.name, err)
		}
	}
}

// A registry that serves something else under a digest is found out, and an image that
// is called by a digest in the store, and has another, is not used.
func TestPinnedImage(t *testing.T) {
	requireContainerd(t)
	pullBackoff = 0
	image := uniqueImage(t)
	manifest, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	real, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	reg := newRegistry(t, map[string]ggcr.Image{"a:1": image})
	wanted := "sha256:" + strings.Repeat("0c", 32)
	reg.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, wanted) {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
		w.Header().Set("Docker-Content-Digest", wanted)
		_, err := w.Write(manifest)
		return err == nil
	}
	r := open(t, nil)
	pinned := func(ref string, policies ...string) error {
		s, err := r.Setup(t.Context(), job{image: reg.host + "/" + ref, plan: plan.Job{Image: plan.Image{PullPolicy: policies}}}.spec(t))
		if err != nil {
			return err
		}
		return s.Close()
	}
	if err := pinned("a:1@" + wanted); classOf(err) != exec.ClassImagePull {
		t.Errorf("a registry that lies: %v", err)
	}
	if err := pinned("a:1@" + real.String()); err != nil {
		t.Fatal(err)
	}
	stored, err := r.client.GetImage(t.Context(), reg.host+"/a:1@"+real.String())
	if err != nil {
		t.Fatal(err)
	}
	forged := stored.Metadata()
	forged.Name = reg.host + "/a:1@" + wanted
	if _, err := r.client.ImageService().Create(t.Context(), forged); err != nil {
		t.Fatal(err)
	}
	if err := pinned("a:1@"+wanted, "never"); classOf(err) != exec.ClassImagePull || !strings.Contains(err.Error(), "is not in the store") {
		t.Errorf("an image that is called by a digest: %v", err)
	}
	// By its digest it is there, whatever it is called.
	if err := pinned("other:1@"+real.String(), "never"); err != nil {
		t.Error(err)
	}
}
