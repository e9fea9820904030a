package workspace

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMask(t *testing.T) {
	eachMounter(t, func(t *testing.T) {
		p := newProject(t, map[string]string{
			"dist/stale": "stale", "a/dist/stale": "stale", "a/kept": "kept", "secret.env": "x", "link": "-> a", ".git/HEAD": "ref",
			"b/c/d/ignored": "x", "b/c/d/kept": "kept",
		}, func(c *Config) {
			c.Mask = []string{"dist/", "a/dist/", "secret.env", "absent/x", "dist/stale", "link/dist", "b/c/d/ignored"}
			must(t, os.Chmod(filepath.Join(c.Source, "b/c"), 0o750|os.ModeSetgid))
			must(t, os.Chown(filepath.Join(c.Source, "b"), 1234, 1235))
			must(t, os.Chtimes(filepath.Join(c.Source, "b"), stamp, stamp))
		})
		w := p.job()
		want := []string{".git", "a", "b", "link"}
		if got := names(t, w.project()); !slices.Equal(got, want) {
			t.Errorf("the job sees %q, want %q", got, want)
		}
		if got := names(t, filepath.Join(w.project(), "a")); !slices.Equal(got, []string{"kept"}) {
			t.Errorf("the job sees %q in a", got)
		}
		for _, dir := range []string{"a", "b", "b/c", "b/c/d"} {
			var got, want unix.Stat_t
			must(t, unix.Stat(filepath.Join(w.project(), dir), &got))
			must(t, unix.Stat(filepath.Join(p.source, dir), &want))
			if got.Mode != want.Mode || got.Uid != want.Uid || got.Gid != want.Gid || got.Mtim != want.Mtim {
				t.Errorf("%s: %o %d:%d %v, want %o %d:%d %v", dir, got.Mode, got.Uid, got.Gid, got.Mtim, want.Mode, want.Uid, want.Gid, want.Mtim)
			}
		}
		// An artifact at an ignored path is seen downstream, and alone.
		shell(t, w.project(), "mkdir dist a/dist; echo -n new >dist/app; echo -n new >a/dist/app")
		manifest, dst := p.collect(w, "dist/", "a/dist", "secret.env")
		if got := paths(manifest); got != "a/ a/dist/ a/dist/app dist/ dist/app" {
			t.Errorf("collected %s", got)
		}
		if len(manifest.Warnings) != 1 {
			t.Errorf("warnings %q, want one of secret.env", manifest.Warnings)
		}
		next := p.job(dst)
		for _, dir := range []string{"dist", "a/dist"} {
			if got := names(t, filepath.Join(next.project(), dir)); !slices.Equal(got, []string{"app"}) {
				t.Errorf("downstream sees %q in %s, want app", got, dir)
			}
		}
	})
}

func TestMaskRefusesOtherPlaces(t *testing.T) {
	for _, name := range []string{"", "/", ".", "..", "../x", "/etc", "a//b", "a/../b", "a/./b", "./a"} {
		if got, err := cleanMask([]string{name}); err == nil {
			t.Errorf("cleanMask(%q) = %q, want an error", name, got)
		}
	}
}

// TestManyWhiteouts makes more than a node may have links on ext4.
func TestManyWhiteouts(t *testing.T) {
	requireMounts(t)
	layer := t.TempDir()
	dir, err := unix.Open(layer, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(dir)
	spare := whiteout(filepath.Join(t.TempDir(), "spare"))
	const n = 65_100
	for i := range n {
		must(t, spare.link(dir, strconv.Itoa(i)))
	}
	must(t, spare.remove())
	for _, i := range []int{0, 64_998, n - 1} {
		var st unix.Stat_t
		must(t, unix.Lstat(filepath.Join(layer, strconv.Itoa(i)), &st))
		if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 {
			t.Errorf("entry %d is no whiteout: mode %o, device %d", i, st.Mode, st.Rdev)
		}
	}
	if entries, err := os.ReadDir(layer); err != nil || len(entries) != n {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}
