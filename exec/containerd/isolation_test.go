//go:build linux

package containerd

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cic-ci/cic/exec"
)

// These tests hold the promises of ../SECURITY.md, which names them.

// status reads /proc/PID/status.
func status(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields
}

// What a job is, seen from inside (proc(5), capabilities(7)).
func TestRestrictions(t *testing.T) {
	r := open(t, nil)
	out, _ := run(t, r, job{script: "cat /proc/self/status; echo oom: $(cat /proc/self/oom_score_adj)"})
	got := status(out)
	// CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP
	const caps = "00000000800405fb"
	for name, want := range map[string]string{
		"CapEff": caps, "CapPrm": caps, "CapBnd": caps,
		"CapInh": "0000000000000000", "CapAmb": "0000000000000000",
		"NoNewPrivs": "1", "Seccomp": "2", "Umask": "0022", "oom": fmt.Sprint(oomScore),
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// A user other than root has no capabilities at all.
func TestRestrictionsOfUser(t *testing.T) {
	r := open(t, nil)
	out, _ := run(t, r, job{image: userImage, script: "cat /proc/self/status"})
	for _, name := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb"} {
		if got := status(out)[name]; got != "0000000000000000" {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// Each of these fails in a job that is root in its container. Some would fail
// for want of a capability, and the filter of system calls stands behind that.
func TestForbidden(t *testing.T) {
	attempts := []string{
		"unshare -U true",
		"unshare -m true",
		"unshare -n true",
		"nsenter -t 1 -m true",
		"mount -t tmpfs none /mnt",
		"mount -t proc none /mnt",
		"mount -o remount,rw /sys",
		"mount -o bind /bin /mnt",
		"umount /proc/kcore",
		"mknod /tmp/disk b 8 0",
		"mknod /tmp/mem c 1 1",
		"hostname other",
		"/bin/busybox adjtimex -t 10001",
		"sysctl -w kernel.hostname=other",
		"echo core > /proc/sys/kernel/core_pattern",
		"echo b > /proc/sysrq-trigger",
		"echo 1 > /proc/sys/net/ipv4/ip_forward",
		"echo x > /sys/kernel/uevent_helper",
		"mkdir /sys/fs/cgroup/mine",
		"[ -s /proc/kcore ]",
		"head -c 1 /proc/kcore | grep -q .",
		"ls /proc/acpi/* /proc/scsi/*",
		"echo -1000 > /proc/self/oom_score_adj",
		"ls /sys/firmware/*",
		"[ -e /dev/kmsg ] || [ -e /dev/mem ] || [ -b /dev/sda ] || [ -b /dev/vda ]",
		"touch /.cic/x",
	}
	var script strings.Builder
	script.WriteString("mkdir -p /mnt /tmp\n")
	for _, name := range []string{"unshare", "nsenter", "mount", "umount", "mknod", "swapoff", "sysctl", "grep"} {
		fmt.Fprintf(&script, "%s() { /bin/busybox %s \"$@\"; }\n", name, name)
	}
	for i, attempt := range attempts {
		fmt.Fprintf(&script, "(%s) >/dev/null 2>&1 && echo works %d\n", attempt, i)
	}
	script.WriteString("(mkdir /mnt/fine) && echo works fine\n") // or nothing is tried at all
	out, _ := run(t, open(t, nil), job{script: script.String()})
	for line := range strings.Lines(out) {
		if i, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), "works ")); err == nil {
			t.Errorf("a job can: %s", attempts[i])
		}
	}
	if !strings.HasSuffix(out, "works fine\n") {
		t.Errorf("output %q", out)
	}
}

var namespaceKinds = []string{"cgroup", "ipc", "mnt", "pid", "uts"}

func TestNamespaces(t *testing.T) {
	r := open(t, func(c *Config) { c.Network = NetworkNone })
	s := []exec.Sandbox{setup(t, r, job{}), setup(t, r, job{})}
	seen := make(map[string]string)
	kinds := append(slices.Clone(namespaceKinds), "net")
	for _, kind := range kinds {
		own, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			t.Fatal(err)
		}
		seen[own] = "the host"
	}
	for i, box := range s {
		for _, kind := range kinds {
			var out bytes.Buffer
			if code, err := box.Run(t.Context(), program("/bin/busybox readlink /proc/self/ns/"+kind), &out); err != nil || code != 0 {
				t.Fatalf("%d, %v", code, err)
			}
			// Numbers are used again once a container is gone: both are open here, with
			// a task that has not been deleted, but the second program has new ones.
			if who := seen[strings.TrimSpace(out.String())]; who == "the host" {
				t.Errorf("job %d is in the %s namespace of %s", i, kind, who)
			}
		}
	}
}

// A job finds nothing of the machine among its mounts, and can write to none but
// its own (CVE-2024-21626, CVE-2025-31133 and others need a shared one).
func TestMounts(t *testing.T) {
	r := open(t, func(c *Config) { c.Network = NetworkNone })
	one := job{script: "cat /proc/self/mountinfo"}
	sources := make(map[string]bool)
	for range 2 {
		out, _ := run(t, r, one)
		for line := range strings.Lines(out) {
			// proc_pid_mountinfo(5): ID parent device root point options ... - type source superoptions
			before, after, _ := strings.Cut(line, " - ")
			f := strings.Fields(before)
			kind, _, _ := strings.Cut(after, " ")
			root, point, writable := f[3], f[4], strings.HasPrefix(f[5], "rw")
			switch {
			case point == "/" && kind == "overlay":
			case slices.Contains([]string{"proc", "sysfs", "tmpfs", "devpts", "mqueue"}, kind):
				// Its own, made for the container; what is shown of /proc and /sys is not writable.
				if writable && !slices.Contains([]string{"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"}, point) && !maskedPoint(point) {
					t.Errorf("%s is writable: %s", point, line)
				}
			case slices.Contains([]string{buildsDir, hostsFile, resolvFile, path.Join(programDir, outputFile)}, point) && writable:
				if sources[root] {
					t.Errorf("two jobs can write to %s", root)
				}
				sources[root] = true
			case point == programDir && !writable:
			default:
				t.Errorf("unexpected mount: %s", line)
			}
		}
	}
	if len(sources) != 2*4 {
		t.Errorf("got the writable files and directories %v", sources)
	}
}

// maskedPoint reports whether a path of /proc is hidden by an empty file or directory.
func maskedPoint(point string) bool {
	return slices.Contains([]string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/latency_stats", "/proc/sched_debug", "/proc/interrupts"}, point)
}

// Nothing of cic's own environment, or containerd's, reaches a job.
func TestEnvironment(t *testing.T) {
	t.Setenv("CIC_TEST_CANARY", "from the host")
	t.Setenv("LD_PRELOAD_TEST", "from the host")
	r := open(t, nil)
	out, _ := run(t, r, job{env: []string{"GIVEN=1"}, script: "env"})
	allowed := []string{"PATH", "HOME", "GIT_CONFIG_SYSTEM", "FROM_IMAGE", "GIVEN", "PWD", "SHLVL", "OLDPWD", "_"}
	for line := range strings.Lines(out) {
		if name, _, _ := strings.Cut(line, "="); !slices.Contains(allowed, name) {
			t.Errorf("a job sees %q", line)
		}
	}
}

// Volumes of an image are not made: their paths may lead out (CVE-2022-23648).
func TestVolumes(t *testing.T) {
	r := open(t, nil)
	out, code := run(t, r, job{image: volumeImage, script: "cat /proc/self/mountinfo; ls /; [ ! -e /made ]"})
	if code != 0 || strings.Contains(out, "etc/cic-volume") || strings.Contains(out, "/made") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if _, err := os.Stat("/etc/cic-volume"); err == nil {
		t.Error("a volume was made on the host")
	}
}

// An image whose mount points are links is refused: the OCI runtime follows
// some of them out of the image, runc that of /dev up to at least 1.1.5.
func TestMountPointLinks(t *testing.T) {
	for _, point := range []string{buildsDir, programDir, "/proc", "/sys", "/dev"} {
		t.Run(strings.Trim(point, "/."), func(t *testing.T) {
			victim, rootfs := t.TempDir(), t.TempDir()
			if err := os.WriteFile(filepath.Join(victim, "kept"), []byte("kept\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := writeTree(rootfs, testFiles()); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(victim, filepath.Join(rootfs, point)); err != nil {
				t.Fatal(err)
			}
			r := open(t, func(c *Config) {
				c.Images = []Mapping{{Pattern: "docker.io/library/linked:1", Kind: TargetRootfs, Target: rootfs}}
			})
			if _, err := r.Setup(t.Context(), job{image: "linked:1"}.spec(t)); err == nil || !strings.Contains(err.Error(), point+" is a symbolic link") {
				t.Errorf("the job: %v", err)
			}
			entries, err := os.ReadDir(victim)
			if err != nil || len(entries) != 1 || entries[0].Name() != "kept" {
				t.Errorf("the host's directory holds %v, %v", entries, err)
			}
		})
	}
}

// No program of cic opens a socket that others could reach (CVE-2026-34042).
func TestNoListeningSocket(t *testing.T) {
	r := open(t, nil)
	setup(t, r, job{})
	pids := []int{os.Getpid()}
	if r.daemon != nil {
		own, err := r.daemon.processes()
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, own...)
	}
	listening := make(map[string]string)
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "raw6"} {
		text, err := os.ReadFile("/proc/self/net/" + table)
		if err != nil {
			continue // a kernel without IPv6
		}
		for line := range strings.Lines(string(text)) {
			// proc_pid_net(5): state 0A is TCP_LISTEN, 07 an unconnected UDP socket.
			if f := strings.Fields(line); len(f) > 9 && (f[3] == "0A" || f[3] == "07") {
				listening["socket:["+f[9]+"]"] = table + " " + f[1]
			}
		}
	}
	for _, pid := range pids {
		fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			if target, err := os.Readlink(fd); err == nil && listening[target] != "" {
				t.Errorf("process %d listens on %s", pid, listening[target])
			}
		}
	}
}
