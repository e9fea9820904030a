//go:build linux

package containerd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

const testPasswd = `root:x:0:0:root:/root:/bin/sh

broken line
app:x:1000:1001::/srv/app:/bin/sh
overflow:x:4294967296:0::/:/bin/sh
123:x:5:6::/odd:/bin/sh
relative:x:8:8::home:/bin/sh
`

const testGroup = `root:x:0:
app:x:1001:
extra:x:20:other,app
huge:x:99999999999:app
docker:x:999:other
`

func TestLookupAccount(t *testing.T) {
	for _, test := range []struct {
		spec   string
		uid    uint32
		gid    uint32
		groups []uint32
		home   string
		err    string
	}{
		{spec: "", home: "/root"},
		{spec: "root", home: "/root"},
		{spec: "0:0", home: "/root"},
		{spec: "000", home: "/root"},
		{spec: "app", uid: 1000, gid: 1001, groups: []uint32{20}, home: "/srv/app"},
		{spec: "1000", uid: 1000, gid: 1001, groups: []uint32{20}, home: "/srv/app"},
		{spec: "1000:7", uid: 1000, gid: 7, home: "/srv/app"},
		{spec: "app:docker", uid: 1000, gid: 999, home: "/srv/app"},
		{spec: "4242", uid: 4242, home: "/"},
		{spec: "123", uid: 123, home: "/"},
		{spec: "relative", uid: 8, gid: 8, home: "/"},
		{spec: "2147483647:2147483647", uid: 2147483647, gid: 2147483647, home: "/"},
		{spec: "2147483648", err: "user id"},
		{spec: "0:2147483648", err: "group id"},
		{spec: "99999999999999999999999", err: "user id"},
		{spec: "overflow", err: "user id"},
		{spec: "-1", err: `no user "-1"`},
		{spec: "0x0", err: `no user "0x0"`},
		{spec: "nobody", err: `no user "nobody"`},
		{spec: "app:", err: `no group ""`},
		{spec: ":0", err: `no user ""`},
	} {
		got, err := lookupAccount(test.spec, testPasswd, testGroup)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: error is %v, want …%s…", test.spec, err, test.err)
			}
			continue
		}
		if err != nil || got.uid != test.uid || got.gid != test.gid || got.home != test.home || !slices.Equal(got.groups, test.groups) {
			t.Errorf("%q: got %+v, %v", test.spec, got, err)
		}
	}
	if got, err := lookupAccount("root", "", ""); err != nil || got.uid != 0 {
		t.Errorf("root without accounts: %+v, %v", got, err)
	}
}

func FuzzLookupAccount(f *testing.F) {
	f.Add("app:docker", testPasswd, testGroup)
	f.Add("1", "a:b:1:1::", "x:::")
	f.Fuzz(func(t *testing.T, spec, passwd, group string) {
		a, err := lookupAccount(spec, passwd, group)
		if err != nil {
			return
		}
		if a.uid > 1<<31-1 || a.gid > 1<<31-1 || !strings.HasPrefix(a.home, "/") {
			t.Errorf("%q: %+v", spec, a)
		}
	})
}

func testSpec(t *testing.T, job plan.Job, img *image, network string) (*specs.Spec, error) {
	t.Helper()
	r := &Runtime{cfg: Config{RunID: "r1", Network: network}}
	if img.shells == nil {
		img.shells = map[string]string{"sh": "/bin/sh"}
	}
	spec := exec.Spec{ID: "j1", Job: &job, Env: []string{"A=job", "HOME=/h"}, Builds: "/b"}
	s, err := r.newSpec(spec, img, "/p")
	if err != nil {
		return nil, err
	}
	return s, connectNetwork(s, spec, r.inHostNetwork(spec))
}

func TestSpecDefaults(t *testing.T) {
	img := &image{name: "docker.io/library/x:1"}
	img.config.Env = []string{"A=image", "B=image", "PATH=/only"}
	img.config.WorkingDir = "srv/../app"
	// A plan cannot ask for privileges here: it is the command line that grants them.
	s, err := testSpec(t, plan.Job{Privileged: true}, img, NetworkNone)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"PATH=/only", "HOME=/h", "GIT_CONFIG_SYSTEM=/.cic/gitconfig", "A=job", "B=image"}; !slices.Equal(s.Process.Env, want) {
		t.Errorf("environment %q, want %q", s.Process.Env, want)
	}
	if s.Process.Cwd != "/app" || s.Version != "1.0.2" || s.Linux.CgroupsPath != "/cic/r1/j1" || s.Linux.Resources.Pids != nil {
		t.Errorf("cwd %q, version %q, control group %q, pids %v", s.Process.Cwd, s.Version, s.Linux.CgroupsPath, s.Linux.Resources.Pids)
	}
	if !s.Process.NoNewPrivileges || s.Linux.Seccomp == nil || len(s.Linux.MaskedPaths) == 0 || !slices.Contains(s.Linux.ReadonlyPaths, "/proc/sysrq-trigger") {
		t.Error("not restricted")
	}
	if abis := s.Linux.Seccomp.Architectures; len(abis) == 0 || slices.Contains(abis, specs.ArchX32) {
		t.Errorf("the filter is for the ABIs %v", abis)
	}
	var kinds []string
	for _, ns := range s.Linux.Namespaces {
		if ns.Path != "" {
			t.Errorf("joins namespace %s", ns.Path)
		}
		kinds = append(kinds, string(ns.Type))
	}
	slices.Sort(kinds)
	if want := []string{"cgroup", "ipc", "mount", "network", "pid", "uts"}; !slices.Equal(kinds, want) {
		t.Errorf("namespaces %q, want %q", kinds, want)
	}
	for _, m := range s.Mounts {
		own := m.Destination == buildsDir || m.Destination == hostsFile || m.Destination == resolvFile
		if m.Type == "bind" && !own && !slices.Contains(m.Options, "ro") {
			t.Errorf("%s is writable", m.Destination)
		}
		if m.Type == "sysfs" && !slices.Contains(m.Options, "ro") {
			t.Error("/sys is writable")
		}
	}
	s, err = testSpec(t, plan.Job{}, img, NetworkHost)
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.NetworkNamespace }) {
		t.Error("the host's network is another one")
	}
}

// words are literals; none for a nil list.
func words(list ...string) (texts []plan.Text) {
	if list != nil {
		texts = make([]plan.Text, len(list))
	}
	for i, word := range list {
		texts[i] = plan.Literal(word)
	}
	return texts
}

func TestSpecArguments(t *testing.T) {
	start := []string{"/bin/sh", "/.cic/start"}
	for _, test := range []struct{ image, job, want []string }{
		{nil, nil, start},
		{[]string{"/e", "a"}, nil, append([]string{"/e", "a"}, start...)},
		{[]string{"/e"}, []string{""}, start},
		{[]string{"/e"}, []string{}, start},
		{[]string{"/e"}, []string{"/j"}, append([]string{"/j"}, start...)},
	} {
		img := &image{name: "docker.io/library/x:1"}
		img.config.Entrypoint, img.config.Cmd = test.image, []string{"ignored"}
		s, err := testSpec(t, plan.Job{Image: plan.Image{Entrypoint: words(test.job...)}}, img, NetworkHost)
		if err != nil || !slices.Equal(s.Process.Args, test.want) {
			t.Errorf("%q, %q: got %q, %v", test.image, test.job, s.Process.Args, err)
		}
	}
	for dir, ok := range map[string]bool{"": true, "/": true, "/processes": true, "/a/../proc/1/cwd": false, "/proc": false, "/dev/fd/3": false, "/sys/x": false} {
		img := &image{name: "docker.io/library/x:1"}
		img.config.WorkingDir = dir
		if _, err := testSpec(t, plan.Job{}, img, NetworkHost); (err == nil) != ok {
			t.Errorf("working directory %q: %v", dir, err)
		}
	}
}

func TestStartProgram(t *testing.T) {
	p := exec.Program{Name: "script", Env: []string{"A=x'y", "B="}}
	got, err := startProgram(p, "/bin/s h", false, true)
	want := "trap : HUP INT QUIT TERM\necho > /.cic/started\ncd /builds/project || exit 1\nexport A='x'\\''y'\nexport B=''\n. /.cic/secrets/@env || exit 1\n[ ! -e /.cic/stop ] || exit 143\n'/bin/s h' /.cic/script >/.cic/output 2>&1\nexitcode=$?\necho > /.cic/started\nexit $exitcode\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if got, err = startProgram(p, "/bin/sh", true, false); err != nil || !strings.HasSuffix(string(got), "\n'/bin/sh' /.cic/script 2>&1\nexitcode=$?\necho > /.cic/started\nexit $exitcode\n") {
		t.Errorf("behind an entry point: %q, %v", got, err)
	}
	for _, bad := range []exec.Program{
		{Name: "../x"}, {Name: "start"}, {Name: "stop"}, {Name: ""}, {Name: "a b"},
		{Name: "script", Env: []string{"A"}}, {Name: "script", Env: []string{"A-B=1"}},
		{Name: "script", Env: []string{"1A=1"}}, {Name: "script", Env: []string{"=1"}}, {Name: "script", Env: []string{"A=\x00"}},
		{Name: "script", Env: []string{"A;reboot=1"}},
	} {
		if got, err := startProgram(bad, "/bin/sh", false, false); err == nil {
			t.Errorf("%+v: accepted: %q", bad, got)
		}
	}
}

// An image's files must not lead to the host's.
func TestInspectHostileImage(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("root:x:0:0::/stolen:/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, link := range map[string]string{
		"absolute": secret,
		"relative": strings.Repeat("../", 40) + secret,
		"magic":    "/proc/self/root" + secret,
		"loop":     "passwd",
	} {
		dir := t.TempDir()
		for path, target := range map[string]string{"etc/passwd": link, "bin/sh": link} {
			file := filepath.Join(dir, path)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, file); err != nil {
				t.Fatal(err)
			}
		}
		img := new(image)
		if err := img.inspect(dir); err != nil || img.passwd != "" || img.shells["sh"] != "" {
			t.Errorf("%s: %v, shells %v, passwd %q", name, err, img.shells, img.passwd)
		}
	}
}

func TestInspectShells(t *testing.T) {
	dir := t.TempDir()
	for path, mode := range map[string]os.FileMode{
		"nix/bin/bash": 0o755, "bin/bash": 0o644, "usr/bin/sh": 0o755, "busybox/sh": 0o755, "bin/sh/file": 0o755,
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	img := new(image)
	img.config.Env = []string{"PATH=relative:/nix/bin"}
	if err := img.inspect(dir); err != nil {
		t.Fatal(err)
	}
	if img.shells["sh"] != "/usr/bin/sh" || img.shells["bash"] != "/nix/bin/bash" {
		t.Errorf("got %v", img.shells)
	}
}

// A job's own host name hides none of its services.
func TestHostname(t *testing.T) {
	for want, names := range map[string][]string{"cic": {"db"}, "cic-2": {"db", "CIC"}, "cic-3": {"cic-2", "cic"}} {
		services := []exec.Service{{Names: names[:1]}, {Names: names[1:]}}
		if got := hostname(services); got != want {
			t.Errorf("%q: got %q, want %q", names, got, want)
		}
	}
}
