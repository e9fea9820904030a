package workspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// assertClean fails if any file below root has an extended attribute or is no
// file, directory or link.
func assertClean(t *testing.T, root string) {
	t.Helper()
	must(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if typ := d.Type(); !typ.IsRegular() && !typ.IsDir() && typ != os.ModeSymlink {
			t.Errorf("%s: %v in the store", path, typ)
		}
		buf := make([]byte, 4096)
		n, err := unix.Llistxattr(path, buf)
		if n > 0 {
			t.Errorf("%s: extended attributes %q in the store", path, buf[:n])
		}
		return err
	}))
}

// TestCollectHostile: what a job can leave to hurt the collector, its host or
// later jobs.
func TestCollectHostile(t *testing.T) {
	for _, dir := range []string{"moved", "merged"} {
		t.Run(dir, func(t *testing.T) {
			p := newProject(t, map[string]string{"merged/source": "x", "was-dir/in": "x"}, nil)
			w := p.job()
			shell(t, w.project(), `mkdir -p `+dir+`; rm -r was-dir; ln -s /etc was-dir; cd `+dir+`
				ln -s /etc/passwd passwd; ln -s /etc etc; ln -s . loop; ln -s ../../.. up; ln -s nowhere dangling
				mkfifo fifo; mknod null c 1 3; mknod zero c 0 1; mknod disk b 7 0
				python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
				cp /bin/true setuid; chmod 6755 setuid
				mkdir sticky; chmod 3777 sticky; touch sticky/f
				touch none; chmod 000 none; mkdir closed; touch closed/f; chmod 000 closed
				printf 'new\nline' >"new
line"; touch "$(printf 'bad\377')"
				truncate -s 60G sparse`)
			here := filepath.Join(w.project(), dir)
			must(t, unix.Setxattr(filepath.Join(here, "setuid"), "user.mark", []byte("x"), 0))
			// A file capability, cap_net_raw=ep (struct vfs_cap_data, revision 2).
			must(t, unix.Setxattr(filepath.Join(here, "none"), "security.capability", []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))
			chattr := lock(t, filepath.Join(w.upper(), dir, "closed/f"), filepath.Join(w.upper(), dir, "closed"))
			manifest, dst := p.collect(w, dir, "was-dir", "was-dir/passwd", dir+"/etc/*", dir+"/loop/none")
			assertClean(t, dst)
			for _, name := range []string{"passwd", "etc", "loop", "up", "dangling"} {
				if info, err := os.Lstat(filepath.Join(dst, dir, name)); err != nil || info.Mode()&os.ModeSymlink == 0 {
					t.Errorf("%s: %v %v, want a link", name, info, err)
				}
			}
			for _, name := range []string{"fifo", "null", "zero", "disk", "socket"} {
				if _, err := os.Lstat(filepath.Join(dst, dir, name)); !os.IsNotExist(err) {
					t.Errorf("%s is stored: %v", name, err)
				}
			}
			wantWarnings := []string{
				fmt.Sprintf("%q is a device, not collected", dir+"/disk"), fmt.Sprintf("%q is a FIFO, not collected", dir+"/fifo"),
				fmt.Sprintf("%q is a device, not collected", dir+"/null"), fmt.Sprintf("%q is a socket, not collected", dir+"/socket"),
				fmt.Sprintf("%q is a device, not collected", dir+"/zero"),
			}
			if len(manifest.Warnings) < 5 || !slices.Equal(manifest.Warnings[:5], wantWarnings) {
				t.Errorf("warnings %q, want first %q", manifest.Warnings, wantWarnings)
			}
			for _, want := range []string{"was-dir/passwd", dir + "/etc/*", dir + "/loop/none"} {
				if !strings.Contains(strings.Join(manifest.Warnings, "\n"), want) {
					t.Errorf("no warning of %s: a link was followed", want)
				}
			}
			if chattr {
				must(t, os.Remove(filepath.Join(dst, dir, "closed/f")))
			}
		})
	}
}

// TestCollectMovedHostile has nothing in the way of the rename of a whole directory.
func TestCollectMovedHostile(t *testing.T) {
	p := newProject(t, nil, nil)
	w := p.job()
	shell(t, w.project(), "mkdir -p out/sub; cp /bin/true out/sub/setuid; chmod 6755 out/sub/setuid; chmod 3777 out/sub out; ln -s /etc out/etc")
	must(t, unix.Setxattr(filepath.Join(w.project(), "out/sub/setuid"), "user.mark", []byte("x"), 0))
	want := inode(t, filepath.Join(w.upper(), "out"))
	lock(t, filepath.Join(w.upper(), "out/sub/setuid"), filepath.Join(w.upper(), "out/sub"), filepath.Join(w.upper(), "out"), w.upper())
	_, dst := p.collect(w, "out")
	if inode(t, filepath.Join(dst, "out")) != want {
		t.Error("not renamed")
	}
	assertClean(t, dst)
	must(t, os.RemoveAll(filepath.Join(dst, "out")))
}

// lock makes files immutable and reports whether the file system can.
func lock(t *testing.T, paths ...string) bool {
	t.Helper()
	for _, path := range paths {
		f, err := os.Open(path)
		must(t, err)
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, fsImmutable)
		must(t, f.Close())
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTTY) {
			t.Logf("no immutable files here: %v", err)
			return false
		}
		must(t, err)
	}
	return true
}

// TestDescriptorsAreClosed counts the open files before and after the life of
// workspaces that go well and that fail.
func TestDescriptorsAreClosed(t *testing.T) {
	p := newProject(t, map[string]string{"a/b/c": "x"}, func(c *Config) { c.Mask = []string{"a/b/c"} })
	_, set := p.collect(p.job(), "a")
	before := len(names(t, "/proc/self/fd"))
	for range 3 {
		w := p.job(set)
		shell(t, w.project(), "mkdir -p a/b/d out; touch a/b/d/e out/f; mkfifo out/p")
		_, _ = p.collect(w, "a", "out")
		if _, err := w.Collect(Patterns{Paths: []string{"a"}}, set); err == nil {
			t.Error("Collect overwrites")
		}
		must(t, w.Close())
	}
	if after := len(names(t, "/proc/self/fd")); after != before {
		t.Errorf("%d open files, %d before", after, before)
	}
}

func TestCollectDeepTree(t *testing.T) {
	p := newProject(t, nil, nil)
	w := p.job()
	must(t, os.Mkdir(filepath.Join(w.project(), "deep"), 0o755))
	makeDeep(t, filepath.Join(w.project(), "deep"), 4096)
	manifest, _ := p.collectDeep(w, "deep")
	if len(manifest.Warnings) != 1 || !strings.Contains(manifest.Warnings[0], "deeper than 256 directories") {
		t.Errorf("warnings %q", manifest.Warnings)
	}
	if n := len(manifest.Files); n != maxDepth {
		t.Errorf("%d directories collected, want %d", n, maxDepth)
	}
}

// collectDeep collects without looking at the result, which has paths too long for that.
func (p *project) collectDeep(w *Workspace, path string) (*Manifest, string) {
	p.t.Helper()
	dst := filepath.Join(p.store, "deep")
	manifest, err := w.Collect(Patterns{Paths: []string{path}}, dst)
	must(p.t, err)
	return manifest, dst
}

// makeDeep makes levels of directories in dir, each in the other.
func makeDeep(t *testing.T, dir string, levels int) {
	t.Helper()
	fd, err := unix.Open(dir, openDirFlags, 0)
	must(t, err)
	for range levels {
		must(t, unix.Mkdirat(fd, "d", 0o755))
		next, err := unix.Openat(fd, "d", openDirFlags, 0)
		must(t, err)
		must(t, unix.Close(fd))
		fd = next
	}
	must(t, unix.Close(fd))
}
