package workspace

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var stamp = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func inode(t testing.TB, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	return st.Ino
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// TestCollectPatterns holds the rules of specification sections 24 and 34.4.
func TestCollectPatterns(t *testing.T) {
	p := newProject(t, map[string]string{"src/s.c": "", "src/old.o": "", "top.o": "", ".git/config": "", "README": ""}, func(c *Config) {
		c.Tracked = func() (map[string]bool, error) {
			return map[string]bool{"src/s.c": true, "src/old.o": true, "README": true}, nil
		}
	})
	const script = `
		mkdir -p build/sub/deep build/empty src/obj
		touch build/a build/.hidden build/sub/b build/sub/deep/c.o src/obj/d.o 'odd [name]'
		touch .git/new README`
	const build = "build/ build/.hidden build/a build/empty/ build/sub/ build/sub/b build/sub/deep/ build/sub/deep/c.o"
	for _, tt := range []struct {
		name     string
		patterns Patterns
		want     string
		warnings []string
	}{
		{"directory", Patterns{Paths: []string{"build"}}, build, nil},
		{"directory with slash", Patterns{Paths: []string{"build/"}}, build, nil},
		{"children, recursively", Patterns{Paths: []string{"build/*"}}, build, nil},
		{"everything below", Patterns{Paths: []string{"build/**"}}, build, nil},
		{"dot slash", Patterns{Paths: []string{"./build"}}, build, nil},
		{"path in the container", Patterns{Paths: []string{"/builds/project/build/"}}, build, nil},
		{"any depth", Patterns{Paths: []string{"**/*.o"}}, "build/ build/sub/ build/sub/deep/ build/sub/deep/c.o src/ src/obj/ src/obj/d.o src/old.o top.o", nil},
		{"one level", Patterns{Paths: []string{"*.o"}}, "top.o", nil},
		{"braces", Patterns{Paths: []string{"src/{obj/d,old}.o"}}, "src/ src/obj/ src/obj/d.o src/old.o", nil},
		{"class and question mark", Patterns{Paths: []string{"build/[ab]", "src/?.c"}}, "build/ build/a src/ src/s.c", nil},
		{"escape", Patterns{Paths: []string{`odd \[name\]`}}, "odd [name]", nil},
		{"empty directory", Patterns{Paths: []string{"build/empty"}}, "build/ build/empty/", nil},
		{"overlapping", Patterns{Paths: []string{"build/sub/**", "build/sub/deep"}}, "build/ build/sub/ build/sub/b build/sub/deep/ build/sub/deep/c.o", nil},
		{
			"exclude", Patterns{Paths: []string{"build"}, Exclude: []string{"build/sub/**/*"}},
			"build/ build/.hidden build/a build/empty/ build/sub/", nil,
		},
		{
			"exclude by name", Patterns{Paths: []string{"build"}, Exclude: []string{"**/*.o", "build/a"}},
			"build/ build/.hidden build/empty/ build/sub/ build/sub/b build/sub/deep/", nil,
		},
		{"exclude of a directory", Patterns{Paths: []string{"build"}, Exclude: []string{"build/sub/", "build/sub"}}, build, nil},
		{
			"exclude of everything", Patterns{Paths: []string{"build/*", "top.o"}, Exclude: []string{"**/*"}}, "",
			[]string{"exclude leaves nothing of what is to be collected"},
		},
		{"exclude needs the whole path", Patterns{Paths: []string{"build"}, Exclude: []string{"a", "*.o"}}, build, nil},
		{
			"untracked", Patterns{Untracked: true},
			"build/ build/.hidden build/a build/sub/ build/sub/b build/sub/deep/ build/sub/deep/c.o odd [name] src/ src/obj/ src/obj/d.o top.o", nil,
		},
		{"untracked and exclude", Patterns{Untracked: true, Exclude: []string{"build/**", "**/*.o"}}, "odd [name]", nil},
		{
			"no match", Patterns{Paths: []string{"build/none/*.whl", "absent", "top.o"}}, "top.o",
			[]string{
				`path "build/none/*.whl" matches no file in /builds/project; the nearest existing directory is /builds/project/build`,
				`path "absent" matches no file in /builds/project; the nearest existing directory is /builds/project`,
			},
		},
		{
			"outside", Patterns{Paths: []string{"../x", "/etc/passwd", "top.o"}, Exclude: []string{"/etc"}}, "top.o",
			[]string{
				`path "../x" is outside of the project /builds/project: skipped`,
				`path "/etc/passwd" is outside of the project /builds/project: skipped`,
				`exclude "/etc" is outside of the project /builds/project: skipped`,
			},
		},
		{"git", Patterns{Paths: []string{".git/config"}}, "", []string{`path ".git/config" is git's own directory: skipped`}},
		{"git by wildcard", Patterns{Paths: []string{".g*"}}, "", []string{"git's own directory .git is not collected"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := *p
			q.t = t
			w := q.job()
			p.jobs = q.jobs
			shell(t, w.project(), script)
			manifest, _ := q.collectPatterns(w, tt.patterns)
			if got := paths(manifest); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if !slices.Equal(manifest.Warnings, tt.warnings) {
				t.Errorf("warnings %q, want %q", manifest.Warnings, tt.warnings)
			}
		})
	}
}

func TestCollectUntrackedWithoutGit(t *testing.T) {
	p := newProject(t, map[string]string{"a": ""}, nil)
	manifest, _ := p.collectPatterns(p.job(), Patterns{Untracked: true})
	if len(manifest.Files) != 0 || len(manifest.Warnings) != 1 {
		t.Errorf("got %v, want a warning alone", manifest)
	}
}

func TestCollectUntrackedFails(t *testing.T) {
	broken := errors.New("git is broken")
	p := newProject(t, nil, func(c *Config) {
		c.Tracked = func() (map[string]bool, error) { return nil, broken }
	})
	if _, err := p.job().Collect(Patterns{Untracked: true}, filepath.Join(p.store, "x")); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// TestCollectTransfers holds where the bytes come from: no copy of what is
// already stored or the job's own, never the user's own inode.
func TestCollectTransfers(t *testing.T) {
	p := newProject(t, map[string]string{"src/user": "user"}, nil)
	one := p.job()
	shell(t, one.project(), "mkdir -p out/dir; echo data >out/dir/f; echo data >src/gen; chmod 750 out/dir; chown 77:78 out/dir/f; touch -d 2001-02-03T04:05:06Z out/dir/f out/dir src/user")
	madeDir, madeFile := inode(t, filepath.Join(one.upper(), "out")), inode(t, filepath.Join(one.upper(), "src/gen"))
	_, dst := p.collect(one, "out", "src/gen")
	if got := inode(t, filepath.Join(dst, "out")); got != madeDir {
		t.Error("a new directory was not renamed")
	}
	if got := inode(t, filepath.Join(dst, "src/gen")); got != madeFile {
		t.Error("a new file was not linked")
	}
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(dst, "out/dir/f"), &st))
	if st.Uid != 77 || st.Gid != 78 || st.Mtim.Sec != stamp.Unix() {
		t.Errorf("owner %d:%d, time %v", st.Uid, st.Gid, st.Mtim)
	}

	two := p.job(dst)
	_, again := p.collect(two, "out", "src")
	if got, want := inode(t, filepath.Join(again, "out/dir/f")), inode(t, filepath.Join(dst, "out/dir/f")); got != want {
		t.Error("an artifact was copied")
	}
	if inode(t, filepath.Join(again, "src/user")) == inode(t, filepath.Join(p.source, "src/user")) {
		t.Error("the artifact is the user's own file")
	}
	must(t, unix.Stat(filepath.Join(again, "out/dir"), &st))
	if st.Mtim.Sec != stamp.Unix() || st.Mode&0o7777 != 0o750 || !mergedTimeKept(t, p) {
		t.Errorf("directory out/dir: time %v, mode %o", st.Mtim, st.Mode)
	}
}

// mergedTimeKept collects from a directory that cannot be renamed as a whole, and
// reports whether it keeps its time.
func mergedTimeKept(t *testing.T, p *project) bool {
	t.Helper()
	w := p.job()
	shell(t, w.project(), "mkdir src/sub; touch src/sub/f; touch -d 2001-02-03T04:05:06Z src")
	_, dst := p.collect(w, "src")
	info, err := os.Stat(filepath.Join(dst, "src"))
	must(t, err)
	return info.ModTime().Equal(stamp)
}

// TestBigArtifactIsStoredOnce gives a 64 MiB artifact to three jobs.
func TestBigArtifactIsStoredOnce(t *testing.T) {
	p := newProject(t, nil, nil)
	w := p.job()
	shell(t, w.project(), "head -c 67108864 /dev/urandom >big")
	_, dst := p.collect(w, "big")
	must(t, w.Close())
	before := freeBlocks(t, p.store)
	for range 3 {
		next := p.job(dst)
		if _, err := os.ReadFile(filepath.Join(next.project(), "big")); err != nil {
			t.Error(err)
		}
		var st unix.Stat_t
		must(t, unix.Stat(filepath.Join(dst, "big"), &st))
		if upper := names(t, next.upper()); len(upper) != 0 || st.Nlink != 1 {
			t.Errorf("the upper layer holds %q, the artifact has %d links", upper, st.Nlink)
		}
		_, own := p.collect(next, "big")
		if inode(t, filepath.Join(own, "big")) != inode(t, filepath.Join(dst, "big")) {
			t.Error("handing the artifact on has copied it")
		}
		must(t, os.Remove(filepath.Join(own, "big")))
	}
	// Others use the disk as well, so this is a report and the inodes are the proof.
	t.Logf("%d KiB less are free after three consumers", (before-freeBlocks(t, p.store))/1024)
}

func freeBlocks(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Statfs_t
	must(t, unix.Statfs(path, &st))
	return int64(st.Bfree) * st.Bsize
}

// TestCollectOpaque: a directory that the job has made anew must not hide the
// project's files from later jobs.
func TestCollectOpaque(t *testing.T) {
	p := newProject(t, map[string]string{"d/s": "source", "d/sub/s": "source", "gone": "x"}, nil)
	w := p.job()
	shell(t, w.project(), "rm -r d gone; mkdir -p d/sub; echo -n new >d/n; echo -n new >d/sub/n")
	manifest, dst := p.collect(w, "d", "gone")
	if got := paths(manifest); got != "d/ d/n d/sub/ d/sub/n" {
		t.Errorf("collected %s", got)
	}
	next := p.job(dst)
	for name, want := range map[string]string{"d/s": "source", "d/sub/s": "source", "d/n": "new", "d/sub/n": "new", "gone": "x"} {
		if got := read(t, next.project(), name); got != want {
			t.Errorf("downstream reads %q in %s, want %q", got, name, want)
		}
	}
	assertClean(t, dst)
}

// TestCollectAfterTheSourceChanged: the user removes a directory in which the job
// has deleted a file. The mark of the deletion must not be collected with it.
func TestCollectAfterTheSourceChanged(t *testing.T) {
	p := newProject(t, map[string]string{"d/deleted": "x", "d/s": "x"}, nil)
	w := p.job()
	shell(t, w.project(), "rm d/deleted; touch d/new")
	must(t, os.RemoveAll(filepath.Join(p.source, "d")))
	manifest, dst := p.collect(w, "d")
	if got := paths(manifest); got != "d/ d/new" {
		t.Errorf("collected %s", got)
	}
	assertClean(t, dst)
}

// tmpfs mounts a file system of so many bytes.
func tmpfs(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)))
	t.Cleanup(func() { must(t, UnmountAll(dir)) })
	return dir
}

func TestCollectToAnotherFileSystem(t *testing.T) {
	p := newProject(t, map[string]string{"src/s": "source"}, nil)
	p.store = tmpfs(t, 16<<20)
	w := p.job()
	shell(t, w.project(), "mkdir -p out/sub; echo data >out/sub/f; chmod 640 out/sub/f; ln -s f out/sub/l; truncate -s 1G out/holes; printf x | dd of=out/holes conv=notrunc bs=1 seek=5000000 2>/dev/null")
	_, dst := p.collect(w, "out", "src")
	if got := read(t, dst, "out/sub/f"); got != "data\n" {
		t.Errorf("the copy holds %q", got)
	}
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(dst, "out/holes"), &st))
	if st.Size != 1<<30 || st.Blocks*512 > 1<<20 {
		t.Errorf("%d bytes in %d blocks: the holes are lost", st.Size, st.Blocks)
	}
	assertClean(t, dst)
}

// TestCollectFailureLeavesNothing fills the disk under a collection.
func TestCollectFailureLeavesNothing(t *testing.T) {
	p := newProject(t, nil, nil)
	p.store = tmpfs(t, 1<<20)
	w := p.job()
	shell(t, w.project(), "mkdir out; echo small >out/a; head -c 4000000 /dev/zero >out/b")
	_, err := w.Collect(Patterns{Paths: []string{"out"}}, filepath.Join(p.store, "set"))
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), `"out/b"`) {
		t.Errorf("error %v, want no space for out/b", err)
	}
	if left := names(t, p.store); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if _, err := w.Collect(Patterns{Paths: []string{"out"}}, filepath.Join(p.store, "set")); err == nil {
		t.Error("a second collection after a failure succeeds")
	}
}

// TestCollectSparse: holes are kept, but not without end; a refusal leaves what
// the job has as it was.
func TestCollectSparse(t *testing.T) {
	p := newProject(t, nil, nil)
	w := p.job()
	shell(t, w.project(), "mkdir out; echo x > out/f; truncate -s 64G out/image; for i in 1 2 3; do truncate -s 16T out/more$i || truncate -s 15T out/more$i; done")
	manifest, _ := p.collect(w, "out/image")
	if manifest.Size != 64<<30 {
		t.Errorf("collected %d bytes", manifest.Size)
	}
	var sparse *SparseError
	_, err := w.Collect(Patterns{Paths: []string{"out"}}, filepath.Join(p.store, "refused"))
	if !errors.As(err, &sparse) || sparse.Path != "out/more1" || sparse.Size < 45<<40 || sparse.Disk > 1<<20 {
		t.Errorf("error %v, %+v, want a refusal for out/more1", err, sparse)
	}
	manifest, dst := p.collect(w, "out/f")
	if len(manifest.Files) != 2 || read(t, dst, "out/f") != "x\n" {
		t.Errorf("%+v", manifest)
	}
}

func TestAddSizes(t *testing.T) {
	if got := addSizes(addSizes(math.MaxInt64-1, 1), math.MaxInt64); got != math.MaxInt64 {
		t.Errorf("the sum is %d", got)
	}
	if got := addSizes(2, 3); got != 5 {
		t.Errorf("2 + 3 is %d", got)
	}
}

func TestCollectRefusesAnExistingDestination(t *testing.T) {
	p := newProject(t, nil, nil)
	w := p.job()
	writeTree(t, p.store, map[string]string{"set/precious": "x"})
	if _, err := w.Collect(Patterns{}, filepath.Join(p.store, "set")); !errors.Is(err, os.ErrExist) {
		t.Errorf("error %v, want that it exists", err)
	}
	if got := read(t, p.store, "set/precious"); got != "x" {
		t.Errorf("the file holds %q", got)
	}
}
