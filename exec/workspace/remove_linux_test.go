package workspace

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRemoveHostile(t *testing.T) {
	requireMounts(t)
	base := t.TempDir()
	dir := filepath.Join(base, "dir")
	writeTree(t, base, map[string]string{"precious/file": "x"})
	writeTree(t, dir, map[string]string{
		"closed/in/f": "", "locked/in/f": "", "link": "-> ../precious", "in/up": "-> ../../precious/file",
		"new\nline": "", "bad\xff": "", ".deep-1/x": "", "wide/": "",
	})
	shell(t, dir, "mkfifo fifo; mknod null c 1 3; chmod 000 closed/in closed; touch append; chattr +a append || true")
	lock(t, filepath.Join(dir, "locked/in/f"), filepath.Join(dir, "locked/in"), filepath.Join(dir, "locked"), dir)
	unlockDir(t, dir)
	makeDeep(t, dir, 4096)
	for i := range 5_000 {
		must(t, os.WriteFile(filepath.Join(dir, "wide", fmt.Sprint(i)), nil, 0o644))
	}
	lock(t, dir)
	must(t, Remove(dir))
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
	if got := read(t, base, "precious/file"); got != "x" {
		t.Errorf("precious/file holds %q", got)
	}
	must(t, Remove(dir))
}

func unlockDir(t *testing.T, dir string) {
	t.Helper()
	fd, err := unix.Open(dir, openDirFlags, 0)
	must(t, err)
	must(t, unlock(fd))
	must(t, unix.Close(fd))
}

func TestRemoveLinkAndFile(t *testing.T) {
	base := t.TempDir()
	writeTree(t, base, map[string]string{"precious/f": "x", "link": "-> precious", "file": ""})
	for _, name := range []string{"link", "file", "absent", "absent/deeper"} {
		must(t, Remove(filepath.Join(base, name)))
	}
	if got := strings.Join(names(t, base), " "); got != "precious" {
		t.Errorf("left: %s", got)
	}
	for _, name := range []string{"", ".", "/", ".."} {
		if err := Remove(name); err == nil {
			t.Errorf("Remove(%q) succeeds", name)
		}
	}
}

// TestRemoveStaysOnItsMount: what is mounted below, even a bind of the same file
// system, is not emptied; the rest goes.
func TestRemoveStaysOnItsMount(t *testing.T) {
	requireMounts(t)
	base := t.TempDir()
	writeTree(t, base, map[string]string{"precious/f": "x", "dir/a/f": "", "dir/mnt/": "", "dir/z/f": ""})
	dir, mnt := filepath.Join(base, "dir"), filepath.Join(base, "dir/mnt")
	must(t, unix.Mount(filepath.Join(base, "precious"), mnt, "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, UnmountAll(base)) })
	if err := Remove(dir); err == nil || !strings.Contains(err.Error(), "mount point") {
		t.Errorf("error %v, want one of a mount point", err)
	}
	if got := strings.Join(names(t, dir), " "); got != "mnt" {
		t.Errorf("left: %s", got)
	}
	if got := read(t, base, "precious/f"); got != "x" {
		t.Errorf("precious/f holds %q", got)
	}
	must(t, UnmountAll(dir))
	must(t, Remove(dir))
	if got := read(t, base, "precious/f"); got != "x" {
		t.Errorf("precious/f holds %q", got)
	}
}

func TestUnmountAll(t *testing.T) {
	requireMounts(t)
	base := t.TempDir()
	dir, sibling := filepath.Join(base, "dir with\nodd #\\ name"), filepath.Join(base, "dir")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.Mkdir(sibling, 0o755))
	mount := func(at string) {
		t.Helper()
		must(t, os.MkdirAll(at, 0o755))
		must(t, unix.Mount("tmpfs", at, "tmpfs", 0, ""))
	}
	mount(sibling)
	mount(dir)
	mount(filepath.Join(dir, "a"))
	mount(filepath.Join(dir, "a")) // On one another.
	mount(filepath.Join(dir, "a/b"))
	busy, err := os.Create(filepath.Join(dir, "a/b/open"))
	must(t, err)
	defer func() { must(t, busy.Close()) }()
	link := filepath.Join(base, "link")
	must(t, os.Symlink(sibling, link))
	must(t, UnmountAll(link)) // Not followed.
	must(t, UnmountAll(dir))
	left, err := mountsBelow(base)
	must(t, err)
	if len(left) != 1 || left[0] != sibling {
		t.Errorf("mounted after it: %q, want %q", left, sibling)
	}
	must(t, UnmountAll(sibling))
	must(t, UnmountAll(filepath.Join(base, "absent/deeper")))
}

// FuzzUnescapeMountPoint undoes the kernel's escapes, as in seq_escape of fs/proc_namespace.c.
func FuzzUnescapeMountPoint(f *testing.F) {
	f.Add("plain")
	f.Add("a b\tc\nd\\e#f")
	f.Add(`\040\0`)
	f.Fuzz(func(t *testing.T, name string) {
		var escaped strings.Builder
		for _, c := range []byte(name) {
			if strings.IndexByte(" \t\n\\#", c) >= 0 {
				fmt.Fprintf(&escaped, "\\%03o", c)
			} else {
				escaped.WriteByte(c)
			}
		}
		if got := unescapeMountPoint(escaped.String()); got != name {
			t.Errorf("%q became %q", name, got)
		}
	})
}
