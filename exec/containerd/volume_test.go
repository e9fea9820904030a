//go:build linux

package containerd

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestEmptyVolumes(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	for _, d := range []string{"empty", "full/x", "etc"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"link": outside, "up": "../..", "inner": "empty"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	want := []string{"/empty", "/etc/new/dir", "/new"}
	got, err := emptyVolumes(root, append([]string{
		"", "/", ".", "..", "new", "/full", "/file", "/file/x", "/link", "/link/x", "/up", "/up/etc", "/inner", "/../../etc", "/etc/../x", "//etc",
		"/proc", "/proc/1/root", "/sys/fs/cgroup", "/dev/shm", "/builds", "/builds/project", "/.cic", "/new/",
	}, want...))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// Only a privileged container gets the volumes of its image, which are then not
// of an overlay.
func TestPrivilegedVolumes(t *testing.T) {
	r := open(t, nil)
	for _, privileged := range []bool{false, true} {
		spec := job{image: volumeImage}.spec(t)
		spec.Granted.Privileged = privileged
		s, err := r.Setup(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		_, err = s.Run(t.Context(), program("echo kept >/made/file 2>/dev/null; while read a b c d point rest; do [ $point != /made ] || echo volume; done </proc/self/mountinfo"), &out)
		if got := out.String() == "volume\n"; err != nil || got != privileged {
			t.Errorf("privileged %v: %q, %v", privileged, out.String(), err)
		}
		out.Reset()
		// The next program, such as after_script, finds what the first left.
		if _, err = s.Run(t.Context(), program("cat /made/file"), &out); privileged && (err != nil || out.String() != "kept\n") {
			t.Errorf("afterwards: %q, %v", out.String(), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat("/etc/cic-volume"); err == nil {
		t.Error("a volume was made on the host")
	}
}
