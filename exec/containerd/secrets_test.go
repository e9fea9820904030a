//go:build linux

package containerd

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

const (
	secretToken = "it's a $TOKEN \\ with \"everything\"\nand lines\n"
	secretKey   = "key of a file"
)

func secretJob(user string) job {
	return job{plan: plan.Job{Image: plan.Image{User: user}}, secrets: []exec.Secret{
		{Name: "KEY", File: true, Value: exec.NewSensitive(secretKey)},
		{Name: "TOKEN", Value: exec.NewSensitive(secretToken)},
	}}
}

// Values arrive as they are, as a variable and as a file that the job's user alone
// reads, in memory, for both programs; then they are gone.
func TestSecrets(t *testing.T) {
	r := open(t, nil)
	for _, user := range []string{"", "builder"} {
		spec := secretJob(user).spec(t)
		s, err := r.Setup(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"script", "after_script"} {
			p := program(`printf '%s|' "$TOKEN"; cat "$KEY"; echo "|$KEY"
ls -ln /.cic/secrets/KEY; (echo x > /.cic/secrets/new) 2>/dev/null && echo written; (echo x > "$KEY") 2>/dev/null && echo overwritten; exit 0`)
			p.Name = name
			var out bytes.Buffer
			code, err := s.Run(t.Context(), p, &out)
			if err != nil || code != 0 {
				t.Fatalf("%d, %v: %s", code, err, &out)
			}
			got := out.String()
			owner := "-r--------    1 0        0 "
			if user != "" {
				owner = "-r--------    1 1000     1001 "
			}
			if !strings.HasPrefix(got, secretToken+"|"+secretKey+"|/.cic/secrets/KEY\n") || !strings.Contains(got, owner) || strings.Contains(got, "written") {
				t.Errorf("user %q, %s: %q", user, name, got)
			}
		}
		checkNotOnDisk(t, r, s.(*sandbox))
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(filepath.Join(spec.Scratch, "secrets")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), spec.Scratch) {
			t.Errorf("still mounted: %v", err)
		}
	}
}

// checkNotOnDisk looks at what containerd stores of a container, and at what is in
// the job's own directory short of the file system in memory.
func checkNotOnDisk(t *testing.T, r *Runtime, s *sandbox) {
	t.Helper()
	record, err := r.client.ContainerService().Get(namespaces.WithNamespace(t.Context(), Namespace), s.id)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	seen := append(stored, record.Spec.GetValue()...)
	err = filepath.WalkDir(s.job.Scratch, func(path string, d fs.DirEntry, err error) error {
		if path == s.secrets() {
			return fs.SkipDir
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		seen = append(seen, data...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{secretKey, "it's a", `it'\''s a`, "and lines"} {
		if bytes.Contains(seen, []byte(secret)) {
			t.Errorf("%q is where it can be read later", secret)
		}
	}
}

// A job without secrets has no place for them.
func TestNoSecrets(t *testing.T) {
	if out, code := run(t, open(t, nil), job{script: "ls -a /.cic; exit 3"}); code != 3 || strings.Contains(out, "secrets") {
		t.Errorf("%d: %s", code, out)
	}
}

// Names come from a plan, which may be hostile.
func TestSecretNames(t *testing.T) {
	for _, name := range []string{"../x", "A=B", "", "1A", "a b", "@env", "A;B"} {
		s := &sandbox{job: exec.Spec{Scratch: t.TempDir(), Secrets: []exec.Secret{{Name: name, File: true, Value: exec.NewSensitive("value")}}}}
		s.spec = &specs.Spec{Process: &specs.Process{}}
		if err := os.Mkdir(s.secrets(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := s.writeSecrets(); err == nil {
			t.Errorf("%q is a name", name)
		}
		if entries, err := os.ReadDir(s.secrets()); err != nil || len(entries) > 0 {
			t.Errorf("%q: %v, %v", name, entries, err)
		}
	}
}
