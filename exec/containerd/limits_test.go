//go:build linux

package containerd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// A limit is in the control group files, of version 1 or 2.
func TestLimits(t *testing.T) {
	r := open(t, nil)
	want := plan.Resources{PIDs: 64, Memory: 256 << 20, CPUs: 0.5}
	s := setup(t, r, job{plan: plan.Job{Resources: &want}})
	read := func(controllerName, file string) string {
		data, err := os.ReadFile(filepath.Join(controller(controllerName), r.cgroupPath(s.(*sandbox).job.ID), file))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		return strings.TrimSpace(string(data))
	}
	if got := read("pids", "pids.max"); got != "64" {
		t.Errorf("pids.max is %q", got)
	}
	if got := read("memory", "memory.limit_in_bytes") + read("memory", "memory.max"); got != strconv.FormatInt(want.Memory, 10) {
		t.Errorf("memory limit is %q", got)
	}
	// Version 1 counts memory and swap space together, version 2 apart.
	if got := read("memory", "memory.memsw.limit_in_bytes") + read("memory", "memory.swap.max"); swapLimited() && got != strconv.FormatInt(want.Memory, 10) && got != "0" {
		t.Errorf("swap limit is %q", got)
	}
	if got := read("cpu", "cpu.cfs_quota_us") + read("cpu", "cpu.max"); got != "50000" && got != "50000 100000" {
		t.Errorf("cpu limit is %q", got)
	}
	// Programs that size themselves by their limits find them, and cannot change them.
	var out bytes.Buffer
	script := "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; f=/sys/fs/cgroup/pids/pids.max; [ -e $f ] || f=/sys/fs/cgroup/pids.max; (echo 64 >$f) 2>/dev/null || echo refused"
	if _, err := s.Run(t.Context(), program(script), &out); err != nil || out.String() != fmt.Sprintf("%d\nrefused\n", want.Memory) {
		t.Errorf("a job sees %q, %v", out.String(), err)
	}
}

func TestLimitsTooLow(t *testing.T) {
	r := open(t, nil)
	for _, test := range []struct {
		limits plan.Resources
		want   string
	}{
		{plan.Resources{Memory: 1 << 20}, "at least 16 MiB"},
		{plan.Resources{PIDs: 1}, "at least 32"},
	} {
		_, err := r.Setup(t.Context(), job{plan: plan.Job{Resources: &test.limits}}.spec(t))
		if classOf(err) != exec.ClassConfig || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%+v: %v", test.limits, err)
		}
	}
	// What is accepted is enough for a job, and for another after it.
	s := setup(t, r, job{plan: plan.Job{Resources: &plan.Resources{Memory: leastMemory, PIDs: leastPIDs, CPUs: 0.5}}})
	for range 2 {
		if code, err := s.Run(t.Context(), program("ls >/dev/null"), new(bytes.Buffer)); err != nil || code != 0 || s.Hits() != (exec.Hits{}) {
			t.Errorf("at the least: %d, %v, %+v", code, err, s.Hits())
		}
	}
}

// Running into a limit is told apart from a failure, whatever the exit code.
func TestHits(t *testing.T) {
	r := open(t, nil)
	const hog = "dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null"
	s := setup(t, r, job{plan: plan.Job{Resources: &plan.Resources{Memory: 64 << 20, PIDs: 64}}})
	for _, test := range []struct {
		name, script string
		code         int
		want         exec.Hits
	}{
		{"nothing", "true", 0, exec.Hits{}},
		{"the script's last command", hog, 137, exec.Hits{OOM: true}},
		{"the shell goes on", hog + "; exit 0", 0, exec.Hits{OOM: true}},
		{"a child of a child", "(sh -c '" + hog + "' | cat); exit 5", 5, exec.Hits{OOM: true}},
		{"killed otherwise", "kill -KILL $$", 137, exec.Hits{}},
		{"fork bomb", "i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done", 2, exec.Hits{PIDs: true}},
		{"forgotten afterwards", "true", 0, exec.Hits{}},
	} {
		code, err := s.Run(t.Context(), program(test.script), new(bytes.Buffer))
		if err != nil || code != test.code || s.Hits() != test.want {
			t.Errorf("%s: exit code %d, %v, %+v; want %d, %+v", test.name, code, err, s.Hits(), test.code, test.want)
		}
	}
}

// A fork bomb stays within its limit, and other jobs go on (bad input 62).
func TestForkBomb(t *testing.T) {
	r := open(t, nil)
	bomb := setup(t, r, job{plan: plan.Job{Resources: &plan.Resources{PIDs: 256}}})
	ended := make(chan error, 1)
	out := &signalWriter{line: "armed", then: func() {
		_, code := run(t, r, job{script: "for i in 1 2 3 4 5; do (true); done; exit 7"})
		if code != 7 {
			t.Errorf("another job ended with %d", code)
		}
	}}
	go func() {
		_, err := bomb.Run(t.Context(), program("bomb() { bomb | bomb & }; bomb 2>/dev/null; echo armed; sleep 2"), out)
		ended <- err
	}()
	if err := <-ended; err != nil || !bomb.Hits().PIDs {
		t.Errorf("%v, %+v", err, bomb.Hits())
	}
}

func TestCounter(t *testing.T) {
	if controller("memory") == "" || controller("pids") == "" || controller("nothing") != "" {
		t.Errorf("controllers: memory %q, pids %q, nothing %q", controller("memory"), controller("pids"), controller("nothing"))
	}
	if hits, err := readHits("/cic/no-such-run/no-such-job"); err != nil || hits != (exec.Hits{}) {
		t.Errorf("of no control group: %+v, %v", hits, err)
	}
}

// What is granted is given, and no more than that.
func TestPrivileged(t *testing.T) {
	r := open(t, nil)
	j := job{script: `cat /proc/self/status; mkdir -p /mnt
/bin/busybox mount -t tmpfs none /mnt && echo mounted
mkdir /sys/fs/cgroup/pids/mine 2>/dev/null || mkdir /sys/fs/cgroup/mine && echo grouped
[ -c /dev/kmsg ] && echo kmsg
echo 1 >/proc/sys/net/ipv4/ip_forward && echo forwards
`}
	spec := j.spec(t)
	spec.Job.Privileged = true
	spec.Granted.Privileged = true
	s, err := r.Setup(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	var out bytes.Buffer
	if code, err := s.Run(t.Context(), program(j.script), &out); err != nil || code != 0 {
		t.Errorf("exit code %d, %v", code, err)
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	got := status(out.String())
	for name, want := range map[string]string{"CapEff": status(string(own))["CapEff"], "Seccomp": "0", "NoNewPrivs": "0"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, line := range []string{"mounted", "grouped", "kmsg", "forwards"} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("%s is missing in %q", line, out.String())
		}
	}
}

func TestGrantedDevice(t *testing.T) {
	if err := unix.Access("/dev/kmsg", unix.W_OK); err != nil {
		unavailable(t, "no /dev/kmsg to write to: "+err.Error())
	}
	r := open(t, nil)
	const script = ": >>/dev/kmsg && echo opened; [ -e /dev/loop-control ] || echo no other"
	for _, test := range []struct {
		granted exec.Granted
		want    string
	}{
		{exec.Granted{Devices: []string{"/dev/kmsg"}}, "opened\nno other\n"},
		{exec.Granted{}, "no other\n"}, // an ordinary file by that name, in a /dev of its own
	} {
		spec := job{}.spec(t)
		spec.Granted = test.granted
		s, err := r.Setup(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := s.Run(t.Context(), program("[ -c /dev/kmsg ] || { echo no other; exit; }\n"+script), &out); err != nil || out.String() != test.want {
			t.Errorf("%+v: got %q, %v", test.granted, out.String(), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	spec := job{}.spec(t)
	spec.Granted.Devices = []string{"/dev/cic-no-such-device"}
	if _, err := r.Setup(t.Context(), spec); classOf(err) != exec.ClassConfig || !strings.Contains(fmt.Sprint(err), "this machine does not have it") {
		t.Errorf("a device that is missing: %v", err)
	}
}

func TestGrantedHostNetwork(t *testing.T) {
	r := open(t, func(c *Config) { c.Network = NetworkNone })
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, granted := range []bool{true, false} {
		spec := job{}.spec(t)
		spec.Granted.HostNetwork = granted
		s, err := r.Setup(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		_, err = s.Run(t.Context(), program("/bin/busybox readlink /proc/self/ns/net"), &out)
		if host := strings.TrimSpace(out.String()) == own; err != nil || host != granted {
			t.Errorf("granted %v: the host's network %v, %v", granted, host, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
