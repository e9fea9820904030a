//go:build linux

package doctor

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/network"
)

func TestJudgements(t *testing.T) {
	all := func(string) bool { return true }
	for _, test := range []struct {
		got   Check
		level Level
		text  string
	}{
		{judgeKernel("6.18.44-fc"), OK, "6.18.44"},
		{judgeKernel("6.7.0"), OK, "6.7.0"},
		{judgeKernel("5.10.0-30-amd64"), OK, "more layers"},
		{judgeKernel("5.3.18"), Fail, "too old"},
		{judgeKernel("4.19.0"), Fail, "too old"},
		{judgeKernel("Plan 9"), Warn, `"Plan 9"`},
		{judgeControllers("v2", all), OK, "v2, with cpu, memory, pids"},
		{judgeControllers("v2", func(name string) bool { return name == "cpu" }), Warn, "without memory, pids"},
		{judgeVersion("oci-runtime", "runc", "1.1.5", "/x/runc"), Warn, "CVE-2024-21626"},
		{judgeVersion("oci-runtime", "runc", "1.4.0", "/x/runc"), OK, "runc 1.4.0, /x/runc"},
		{judgeVersion("containerd", "containerd", "devel", "in cic"), Warn, `unknown version "devel"`},
		{judgeNetwork(nil, errors.New("no nf_tables")), Warn, "no network of their own: no nf_tables"},
		{judgeNetwork(&network.Findings{Resolver: network.ErrNoResolver, Forwards: true}, nil), Warn, "only loopback"},
		{judgeNetwork(&network.Findings{Obstacle: &network.ObstacleError{Rule: "a policy", Help: "a rule"}}, nil), Warn, "iptables-legacy drops forwarded packets: a policy"},
		{judgeNetwork(&network.Findings{Pool: netip.MustParsePrefix("10.1.0.0/16"), Strict: []string{"filter FORWARD"}}, nil), OK, "10.1.0.0/16; a run puts rules for its link into filter FORWARD"},
		{judgeFileSystem(unix.EXT4_SUPER_MAGIC, false), OK, "ext4"},
		{judgeFileSystem(unix.EXT4_SUPER_MAGIC, true), Fail, "noexec"},
		{judgeFileSystem(unix.NFS_SUPER_MAGIC, false), Warn, "nfs"},
		{judgeFileSystem(unix.TMPFS_MAGIC, false), Warn, "memory"},
		{judgeFileSystem(unix.OVERLAYFS_SUPER_MAGIC, false), Warn, "overlay"},
		{judgeFileSystem(0x1234, false), OK, "0x1234"},
		{judgeSpace(100<<30, 1e6, 1e6), OK, "100.0 GiB free, 1000000 inodes free"},
		{judgeSpace(100<<30, 0, 0), OK, "100.0 GiB free"},
		{judgeSpace(1<<30, 1e6, 1e6), Warn, "1.0 GiB"},
		{judgeSpace(1<<20, 1e6, 1e6), Fail, "0.0 GiB"},
		{judgeSpace(100<<30, 1e6, 2e4), Warn, "20000 inodes"},
		{judgeSpace(100<<30, 1e6, 7), Fail, "7 inodes"},
		{failure("containerd", &exec.Error{Err: errors.New("no answer"), Help: "wait"}), Fail, "no answer"},
	} {
		if test.got.Level != test.level || !strings.Contains(test.got.Text, test.text) {
			t.Errorf("got %+v, want %s with %q", test.got, test.level, test.text)
		}
		if test.got.Level == Fail && test.got.Help == "" {
			t.Errorf("no help: %+v", test.got)
		}
	}
}

func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for mode, want := range map[os.FileMode]Level{0o700: OK, 0o755: Warn, 0o711: Warn} {
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		if got := permissions(dir); got.Level != want {
			t.Errorf("mode %v: %+v, want %s", mode, got, want)
		}
	}
	if got := permissions(filepath.Join(dir, "none")); got.Level != Fail {
		t.Errorf("got %+v", got)
	}
	for mode, want := range map[os.FileMode]Level{0o711: OK, 0o777: Warn} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if got := systemDir(dir); got.Level != want {
			t.Errorf("mode %v: %+v, want %s", mode, got, want)
		}
	}
}

// The checks of the state directory leave nothing in it.
func TestState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by the check")
	for _, c := range state(dir) {
		if c.Level == Fail && (os.Geteuid() == 0 || c.Name != "overlay") {
			t.Errorf("%+v", c)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := state(file); Able(got) {
		t.Errorf("got %+v", got)
	}
}
