//go:build linux

package containerd

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// A registry with a certificate of its own authority is reached as the machine's
// certs.d says: by that authority, through a mirror, or not at all.
func TestCertDirs(t *testing.T) {
	requireContainerd(t)
	silent := log.New(io.Discard, "", 0)
	server := httptest.NewUnstartedServer(registry.New(registry.Logger(silent)))
	server.Config.ErrorLog = silent // it is told of clients that do not trust it
	server.StartTLS()
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	tag, err := name.NewTag(host + "/a:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, uniqueImage(t), remote.WithTransport(server.Client().Transport)); err != nil {
		t.Fatal(err)
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for _, test := range []struct {
		name, ref string
		files     map[string]string // below certs.d
		want      string            // empty: it works
		warning   string
	}{
		{name: "loopback", ref: host + "/a:1"},
		{name: "unknown authority", ref: host + "/a:1", files: map[string]string{host + "/hosts.toml": `server = "https://` + host + `"`},
			want: "not signed by a known authority"},
		{name: "authority", ref: host + "/a:1", files: map[string]string{
			host + "/hosts.toml": fmt.Sprintf("server = %q\nca = \"ca.crt\"\n", "https://"+host), host + "/ca.crt": string(authority),
		}},
		{name: "mirror", ref: "registry.invalid/a:1", files: map[string]string{
			"registry.invalid/hosts.toml": fmt.Sprintf("[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n  ca = \"ca.crt\"\n", "https://"+host), "registry.invalid/ca.crt": string(authority),
		}},
		{name: "damaged", ref: host + "/a:1", files: map[string]string{host + "/hosts.toml": "server ="}, warning: "hosts.toml: toml: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range test.files {
				path := filepath.Join(dir, filepath.FromSlash(file))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var warnings lockedBuffer
			r := open(t, func(c *Config) {
				c.CertDirs = []string{filepath.Join(dir, "none"), dir}
				c.Warn = func(text string) { fmt.Fprintln(&warnings, text) }
			})
			defer func() {
				if got := warnings.String(); strings.Contains(got, "hosts.toml") != (test.warning != "") || !strings.Contains(got, test.warning) {
					t.Errorf("warnings %q, want %q", got, test.warning)
				}
			}()
			j := job{image: test.ref, plan: plan.Job{Image: plan.Image{PullPolicy: []string{"always"}}}}
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
			if classOf(err) != exec.ClassImagePull || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
