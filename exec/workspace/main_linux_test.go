package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMain checks that the tests leave no mount behind.
func TestMain(m *testing.M) {
	base, err := os.MkdirTemp("", "workspace-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// All temporary directories of the tests come to lie in base.
	if err := os.Setenv("TMPDIR", base); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	left, err := mountsBelow(base)
	if err != nil || len(left) > 0 {
		fmt.Fprintln(os.Stderr, "mounts left behind:", left, err)
		code = 1
	}
	if err := errors.Join(UnmountAll(base), Remove(base)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// requireMounts skips a test that needs root and mounts where there are none.
func requireMounts(t testing.TB) {
	t.Helper()
	reason := ""
	if os.Geteuid() != 0 {
		reason = "needs root, to mount"
	} else if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		reason = fmt.Sprintf("needs the permission to mount: %v: %s", err, out)
	}
	switch {
	case reason == "":
	case os.Getenv("CIC_REQUIRE_CONTAINERD") == "1":
		t.Fatal(reason)
	default:
		t.Skip(reason)
	}
}

// project is a run's surroundings: the project, the directory of the workspaces
// and the artifact store, on one file system.
type project struct {
	t                  testing.TB
	source, dir, store string
	m                  *Manager
	jobs               int
}

// newProject makes a project with the given files and its manager.
func newProject(t testing.TB, files map[string]string, change func(*Config)) *project {
	t.Helper()
	requireMounts(t)
	base := t.TempDir()
	p := &project{t: t, source: filepath.Join(base, "source"), dir: filepath.Join(base, "work"), store: filepath.Join(base, "store")}
	for _, dir := range []string{p.source, p.dir, p.store} {
		must(t, os.Mkdir(dir, 0o755))
	}
	writeTree(t, p.source, files)
	cfg := Config{Source: p.source, Dir: p.dir, Warn: func(msg string) { t.Errorf("unexpected warning: %s", msg) }}
	if change != nil {
		change(&cfg)
	}
	m, err := New(cfg)
	must(t, err)
	p.m = m
	t.Cleanup(func() { must(t, errors.Join(UnmountAll(base), Remove(base))) })
	return p
}

// job opens and mounts a workspace.
func (p *project) job(layers ...string) *Workspace {
	p.t.Helper()
	p.jobs++
	w, err := p.m.Open(fmt.Sprintf("job-%d", p.jobs))
	must(p.t, err)
	p.t.Cleanup(func() { must(p.t, w.Close()) })
	must(p.t, w.Mount(layers))
	return w
}

// collect collects paths into a new directory of the store.
func (p *project) collect(w *Workspace, paths ...string) (*Manifest, string) {
	p.t.Helper()
	return p.collectPatterns(w, Patterns{Paths: paths})
}

func (p *project) collectPatterns(w *Workspace, patterns Patterns) (*Manifest, string) {
	p.t.Helper()
	dst, err := os.MkdirTemp(p.store, "set-")
	must(p.t, err)
	dst = filepath.Join(dst, "files")
	manifest, err := w.Collect(patterns, dst)
	must(p.t, err)
	if got, want := strings.Join(describe(p.t, dst), "\n"), strings.Join(describeManifest(manifest), "\n"); got != want {
		p.t.Errorf("the store holds:\n%s\nthe manifest says:\n%s", got, want)
	}
	return manifest, dst
}

// describe lists a tree: path, type and mode, link target.
func describe(t testing.TB, root string) []string {
	t.Helper()
	m := &Manifest{}
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f := File{Path: path[len(root)+1:], Mode: uint32(info.Mode().Perm()), Type: typeFile, Size: info.Size()}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			f.Type, f.Size = typeSymlink, 0
			f.Link, err = os.Readlink(path)
		case info.IsDir():
			f.Type, f.Size = typeDir, 0
		case !info.Mode().IsRegular() || info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0:
			f.Type = info.Mode().String()
		}
		m.Files = append(m.Files, f)
		return err
	}))
	return describeManifest(m)
}

// describeManifest lists a manifest as describe lists a tree. Both are sorted by
// the tree order of filepath.WalkDir.
func describeManifest(m *Manifest) []string {
	var lines []string
	for _, f := range m.Files {
		lines = append(lines, fmt.Sprintf("%q %s %04o %d %q", f.Path, f.Type, f.Mode, f.Size, f.Link))
	}
	slices.Sort(lines)
	return lines
}

// paths lists the paths of a manifest, directories with a slash.
func paths(m *Manifest) string {
	var names []string
	for _, f := range m.Files {
		if f.Type == typeDir {
			f.Path += "/"
		}
		names = append(names, f.Path)
	}
	return strings.Join(names, " ")
}

// writeTree makes files with contents; a name that ends in a slash is a
// directory, a content that begins with "-> " a symbolic link.
func writeTree(t testing.TB, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch {
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(path, 0o755))
		case strings.HasPrefix(content, "-> "):
			must(t, os.Symlink(content[3:], path))
		default:
			must(t, os.WriteFile(path, []byte(content), 0o644))
		}
	}
}

// read returns a file's content, or "-" if there is none.
func read(t testing.TB, elements ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elements...))
	if errors.Is(err, fs.ErrNotExist) {
		return "-"
	}
	must(t, err)
	return string(data)
}

// shell runs a script in dir, as a job would.
func shell(t testing.TB, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
