//go:build linux

package containerd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/userns"
	"github.com/cic-ci/cic/plan"
)

// openMapped makes the runtime of a run whose jobs have user namespaces.
func openMapped(t testing.TB, change func(*Config)) *Runtime {
	t.Helper()
	requireContainerd(t)
	users, err := userns.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := users.Close(); err != nil {
			t.Error(err)
		}
	})
	return open(t, func(c *Config) {
		c.Users = users
		if change != nil {
			change(c)
		}
	})
}

// setupMapped makes the sandbox of a job in a user namespace.
func setupMapped(t *testing.T, r *Runtime, j job) *sandbox {
	t.Helper()
	spec := j.spec(t)
	spec.UserNamespace = true
	s, err := r.Setup(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close sandbox: %v", err)
		}
	})
	return s.(*sandbox)
}

// Root in the job is another user outside, and so is every other user; the files of
// the image belong to whom they belong to there. Root may do in its own container
// what root does.
func TestUserNamespace(t *testing.T) {
	rootfs := t.TempDir()
	if err := writeTree(rootfs, testFiles()); err != nil {
		t.Fatal(err)
	}
	r := openMapped(t, func(c *Config) {
		c.Images = []Mapping{{Pattern: "docker.io/library/tree:1", Kind: TargetRootfs, Target: rootfs}}
	})
	first, _ := r.cfg.Users.Root()
	for _, test := range []struct {
		image, user string
		uid         uint32
	}{{baseImage, "", 0}, {"tree:1", "", 0}, {baseImage, "builder", 1000}, {"tree:1", "70:71", 70}} {
		t.Run(test.image+" "+test.user, func(t *testing.T) {
			s := setupMapped(t, r, job{image: test.image, plan: plan.Job{Image: plan.Image{User: test.user}}})
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.task.Pid()))
			if err != nil {
				t.Fatal(err)
			}
			if want := "\nUid:" + strings.Repeat(fmt.Sprintf("\t%d", first+test.uid), 4) + "\n"; !strings.Contains(string(status), want) {
				t.Errorf("outside there is no %q", want)
			}
			script := `id -u; cat /proc/self/uid_map; ls -ldn /etc/passwd /bin; echo named > /dev/stdout; ls -ln /proc/1/environ >/dev/null
				mkdir /etc/new 2>/dev/null && touch /etc/new/file && ls -ln /etc/new; echo x 2>/dev/null >> /etc/hosts && echo hosts; exit 0`
			var out bytes.Buffer
			if code, err := s.Run(t.Context(), program(script), &out); err != nil || code != 0 {
				t.Fatalf("%d, %v: %s", code, err, &out)
			}
			got := strings.Join(strings.Fields(out.String()), " ")
			if !strings.HasPrefix(got, fmt.Sprintf("%d 0 %d 65535", test.uid, first)) || !strings.Contains(got, "named") {
				t.Errorf("got %s", got)
			}
			mayWrite := strings.Contains(got, "1 0 0 0") && strings.HasSuffix(got, "hosts")
			if mayWrite != (test.uid == 0) {
				t.Errorf("user %d: %s", test.uid, got)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), s.job.Scratch) {
				t.Errorf("still mounted: %v", err)
			}
		})
	}
}

// Secrets are for the job's user, and for both programs.
func TestUserNamespaceSecrets(t *testing.T) {
	r := openMapped(t, nil)
	for _, user := range []string{"", "builder"} {
		s := setupMapped(t, r, secretJob(user))
		for _, name := range []string{"script", "after_script"} {
			p := program(`printf '%s|' "$TOKEN"; cat "$KEY"`)
			p.Name = name
			var out bytes.Buffer
			if code, err := s.Run(t.Context(), p, &out); err != nil || code != 0 || out.String() != secretToken+"|"+secretKey {
				t.Errorf("user %q, %s: %d, %v: %q", user, name, code, err, &out)
			}
		}
	}
}

// What is asked for and cannot be is refused.
func TestUserNamespaceErrors(t *testing.T) {
	r := openMapped(t, nil)
	spec := job{plan: plan.Job{Image: plan.Image{User: "70000"}}}.spec(t)
	spec.UserNamespace = true
	if _, err := r.Setup(t.Context(), spec); classOf(err) != exec.ClassConfig || !strings.Contains(err.Error(), "runs as user 70000 of group 0, and a user namespace has ids up to 65534 only") {
		t.Errorf("a user without an id: %v", err)
	}
	spec = job{}.spec(t)
	spec.UserNamespace = true
	if _, err := open(t, nil).Setup(t.Context(), spec); classOf(err) != exec.ClassSystem {
		t.Errorf("without ids: %v", err)
	}
}

// Nobody but root of the jobs gets at the directory of containerd, be it another than
// it was at the beginning.
func TestUserNamespaceDirectories(t *testing.T) {
	r := openMapped(t, func(c *Config) { c.StateDir = t.TempDir() })
	_, gid := r.cfg.Users.Root()
	for range 2 {
		var st unix.Stat_t
		if err := unix.Stat(r.daemon.run, &st); err != nil {
			t.Fatal(err)
		}
		if st.Mode&0o7777 != 0o710 || st.Uid != 0 || st.Gid != gid {
			t.Errorf("mode %04o, owner %d:%d", st.Mode&0o7777, st.Uid, st.Gid)
		}
		pids, err := r.daemon.processes()
		if err != nil || len(pids) != 1 {
			t.Fatal(pids, err)
		}
		if err := unix.Kill(pids[0], unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := r.daemon.revive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A directory in /tmp that another made, or may write to, is not used.
func TestOwnDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "own")
	for range 2 { // made, and there already
		if err := ownDir(dir); err != nil {
			t.Error(err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := ownDir(dir); err == nil {
		t.Error("a directory that others may write to")
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := ownDir(link); err == nil {
		t.Error("a link to a directory")
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if err := ownDir(dir); err == nil {
			t.Error("a directory of another user")
		}
	}
}

// BenchmarkUserNamespace is [BenchmarkJob] in a user namespace.
func BenchmarkUserNamespace(b *testing.B) {
	r := openMapped(b, nil)
	for b.Loop() {
		spec := job{}.spec(b)
		spec.UserNamespace = true
		s, err := r.Setup(b.Context(), spec)
		if err != nil {
			b.Fatal(err)
		}
		if code, err := s.Run(b.Context(), program("true"), io.Discard); err != nil || code != 0 {
			b.Fatal(code, err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
