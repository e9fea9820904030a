package workspace

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/userns"
)

// mappedProject is a project whose jobs run in user namespaces, with plain for jobs
// that do not.
func mappedProject(t *testing.T, files map[string]string, change func(*Config)) (p *project, plain *Manager, users *userns.Namespace) {
	t.Helper()
	p = newProject(t, files, change)
	users, err := userns.Open(p.source)
	must(t, err)
	t.Cleanup(func() { must(t, users.Close()) })
	plain = p.m
	p.m, err = plain.Mapped(users)
	must(t, err)
	return p, plain, users
}

// shellAs runs a script in dir as root of the user namespace.
func shellAs(t *testing.T, users *userns.Namespace, dir, script string) {
	t.Helper()
	f, err := os.Open(dir)
	must(t, err)
	defer f.Close()
	// The way there is barred to others, but for who has it open.
	cmd := exec.Command("sh", "-euc", "cd /proc/self/fd/3\n"+script)
	cmd.ExtraFiles = []*os.File{f}
	uid, gid := users.Root()
	ids := func(host uint32) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(host), Size: 65535}}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids(uid), GidMappings: ids(gid),
		GidMappingsEnableSetgroups: true, Credential: &syscall.Credential{}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

func owner(t *testing.T, elements ...string) [2]uint32 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(filepath.Join(elements...), &st))
	return [2]uint32{st.Uid, st.Gid}
}

// A job in a user namespace sees and leaves the owners that a job without one would:
// its artifacts serve both.
func TestMapped(t *testing.T) {
	p, plain, users := mappedProject(t, map[string]string{"root": "r", "dir/users": "u", "gone": "g"}, nil)
	must(t, os.Chown(filepath.Join(p.source, "dir"), 1000, 1001))
	must(t, os.Chown(filepath.Join(p.source, "dir", "users"), 1000, 1001))
	w := p.job()
	shellAs(t, users, w.project(), `
		[ "$(stat -c %u:%g root dir dir/users | tr '\n' ' ')" = "0:0 1000:1001 1000:1001 " ]
		echo new > new; chown 33:44 new; echo more >> dir/users; echo x > dir/x; rm gone; rm -r dir/x
		mkdir out; echo o > out/o; ln -s o out/l; chown -h 5:6 out/l; cp root out/copy`)
	manifest, layer := p.collect(w, "new", "dir", "out")
	if got := paths(manifest); got != "dir/ dir/users new out/ out/copy out/l out/o" {
		t.Errorf("collected %s", got)
	}
	for path, want := range map[string][2]uint32{"new": {33, 44}, "dir": {1000, 1001}, "dir/users": {1000, 1001}, "out": {}, "out/o": {}, "out/l": {5, 6}} {
		if got := owner(t, layer, path); got != want {
			t.Errorf("%s belongs to %v, want %v", path, got, want)
		}
	}
	next := p.job(layer)
	shellAs(t, users, next.project(), `[ "$(stat -c %u:%g new out/l dir/users | tr '\n' ' ')" = "33:44 5:6 1000:1001 " ]; [ -e gone ]; echo again > new`)
	p.m = plain
	without := p.job(layer)
	shell(t, without.project(), `[ "$(stat -c %u:%g new out/l dir/users | tr '\n' ' ')" = "33:44 5:6 1000:1001 " ]; [ "$(cat dir/users)" = umore ]`)
}

// Root of the machine is nobody there, and what belongs to ids without a place in the
// namespace stays as it is.
func TestMappedStrangers(t *testing.T) {
	p, _, users := mappedProject(t, map[string]string{"strange": "s"}, nil)
	must(t, os.Chown(filepath.Join(p.source, "strange"), 100000, 100000))
	w := p.job()
	shellAs(t, users, w.project(), `[ "$(stat -c %u strange)" = 65534 ]; [ "$(cat strange)" = s ]; ! chown 0 strange 2>/dev/null; ! echo x >> strange`)
}

// The owner of the project has a place whatever its number.
func TestMappedOwner(t *testing.T) {
	p := newProject(t, map[string]string{"f": "f"}, nil)
	must(t, os.Chown(p.source, 1234567, 1234568))
	must(t, os.Chown(filepath.Join(p.source, "f"), 1234567, 1234568))
	users, err := userns.Open(p.source)
	must(t, err)
	t.Cleanup(func() { must(t, users.Close()) })
	p.m, err = p.m.Mapped(users)
	must(t, err)
	w := p.job()
	uid, gid, ok := users.Host(1234567, 1234568)
	if got := owner(t, w.project(), "f"); !ok || got != [2]uint32{uid, gid} {
		t.Errorf("outside the file belongs to %v", got)
	}
}

// More layers than one, and the mask, whose whiteouts have no owner to speak of.
func TestMappedLayers(t *testing.T) {
	p, _, users := mappedProject(t, map[string]string{"kept": "k", "dist/old": "o"}, func(c *Config) { c.Mask = []string{"dist/"} })
	var layers []string
	for _, name := range []string{"a", "b", "c"} {
		w := p.job(layers...)
		shellAs(t, users, w.project(), "[ ! -e dist ]; echo "+name+" > "+name+"; echo "+name+" >> all")
		_, layer := p.collect(w, name, "all")
		layers = append(layers, layer)
	}
	w := p.job(layers...)
	shellAs(t, users, w.project(), `[ "$(cat a b c all kept | tr '\n' ' ')" = "a b c a b c k" ]`)
	table, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	if strings.Contains(string(table), "/"+layersDir+" ") {
		t.Error("mounts of layers are left")
	}
}

func TestMappedShared(t *testing.T) {
	p, _, users := mappedProject(t, map[string]string{"f": "f"}, func(c *Config) { c.Shared = true })
	w := p.job()
	shellAs(t, users, w.project(), "echo more >> f; echo new > new; chown 12:13 new")
	if got := read(t, p.source, "f") + read(t, p.source, "new"); got != "fmore\nnew\n" {
		t.Errorf("the project holds %q", got)
	}
	if got := owner(t, p.source, "new"); got != [2]uint32{12, 13} {
		t.Errorf("what the job made belongs to %v", got)
	}
}
