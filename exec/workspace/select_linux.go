package workspace

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/plan"
)

// item is a selected file of a merged view, with what is selected below it.
type item struct {
	name string
	// typ is unix.DT_REG, DT_DIR or DT_LNK.
	typ uint8
	// mode holds the nine permission bits.
	mode uint32
	size int64
	// disk is what the file takes of the disk, in bytes.
	disk int64
	link string
	// layers have the item, topmost first; only a directory has more than one.
	layers []*layer
	// movable is set for a directory that can be renamed as a whole: it is in the
	// upper layer alone, and everything below it is selected.
	movable bool
	// special is set if the file has setuid, setgid or sticky bits, and locked if
	// it is immutable or append-only (chattr).
	special, locked bool
	// gone is set if the file vanished before it could be stored.
	gone     bool
	children []*item
}

// selector chooses the files of a merged view.
type selector struct {
	paths   []*pattern
	exclude []string
	// untracked also selects the files that are not in tracked.
	untracked bool
	tracked   map[string]bool
	// everything selects all there is, git's directory too.
	everything bool
	// dropped is set once an exclude has left something out.
	dropped  bool
	manifest *Manifest
}

const (
	// maxPath is the longest path that a program can open by name (PATH_MAX without
	// its NUL). What lies deeper is of no use to a later job.
	maxPath = unix.PathMax - 1
	// maxDepth bounds the directories that are open at a time: a job must not use up
	// the descriptors of the process, which other jobs need.
	maxDepth = 256
)

func newSelector(p Patterns, tracked func() (map[string]bool, error)) (*selector, error) {
	sel := &selector{manifest: &Manifest{Files: []File{}}}
	var warnings, more []string
	sel.paths, warnings = parsePatterns(p.Paths)
	sel.exclude, more = parseExcludes(p.Exclude)
	for _, w := range append(warnings, more...) {
		sel.manifest.warn(w)
	}
	if !p.Untracked {
		return sel, nil
	}
	if tracked == nil {
		sel.manifest.warn("untracked needs a project under git: skipped")
		return sel, nil
	}
	var err error
	sel.untracked = true
	if sel.tracked, err = tracked(); err != nil {
		return nil, fmt.Errorf("list the files that git tracks: %w", err)
	}
	return sel, nil
}

// walk selects among what is below dir. whole is set if dir itself is selected,
// and thereby all of it. complete is set if nothing below was left out,
// not even the mark of a deletion.
func (sel *selector) walk(dir *stack, whole bool) (items []*item, complete bool, err error) {
	entries, whiteouts, err := dir.entries()
	if err != nil {
		return nil, false, err
	}
	complete = !whiteouts
	for _, e := range entries {
		it, all, err := sel.entry(dir, e, whole)
		if err != nil {
			return nil, false, err
		}
		complete = complete && all
		if it != nil {
			items = append(items, it)
		}
	}
	return items, complete, nil
}

// entry decides on one entry of dir. It returns nil if the entry is not selected.
func (sel *selector) entry(dir *stack, e entry, whole bool) (it *item, complete bool, err error) {
	path := joinPath(dir.path, e.name)
	selected := sel.match(path) || whole
	if path == gitDir && !sel.everything {
		if selected {
			sel.manifest.warn("git's own directory .git is not collected")
		}
		return nil, false, nil
	}
	if len(path) > maxPath || strings.Count(path, "/") >= maxDepth {
		if selected {
			sel.manifest.warn(fmt.Sprintf("%.80q…: deeper than %d directories or %d bytes, not collected", path, maxDepth, maxPath))
		}
		return nil, false, nil
	}
	if e.typ == unix.DT_DIR {
		return sel.directory(dir, e, path, selected)
	}
	selected = selected || sel.untracked && !sel.tracked[path]
	if !selected || sel.excluded(path) {
		return nil, false, nil
	}
	it, err = sel.stat(dir, e, path)
	return it, it != nil, err
}

func (sel *selector) directory(dir *stack, e entry, path string, selected bool) (*item, bool, error) {
	if !selected && !sel.mayMatchBelow(path) {
		return nil, false, nil
	}
	sub, err := dir.descend(e.name, e.layers)
	if vanished(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer sub.close()
	children, complete, err := sel.walk(sub, selected)
	if err != nil {
		return nil, false, err
	}
	if len(children) == 0 && (!selected || sel.excluded(path)) {
		return nil, false, nil
	}
	it, err := sel.stat(dir, e, path)
	if it == nil || err != nil {
		return nil, false, err
	}
	it.children = children
	it.movable = selected && complete && e.sole && e.layers[0].transfer == transferMove
	return it, selected && complete, nil
}

// stat makes the item of an entry, or nil and a warning if it is not of a type
// that can be collected. It opens nothing: to open a FIFO would block.
func (sel *selector) stat(dir *stack, e entry, path string) (*item, error) {
	switch e.typ {
	case unix.DT_REG, unix.DT_DIR, unix.DT_LNK:
	case unix.DT_FIFO:
		sel.manifest.warn(fmt.Sprintf("%q is a FIFO, not collected", path))
		return nil, nil
	case unix.DT_SOCK:
		sel.manifest.warn(fmt.Sprintf("%q is a socket, not collected", path))
		return nil, nil
	default:
		sel.manifest.warn(fmt.Sprintf("%q is a device, not collected", path))
		return nil, nil
	}
	fd := dir.fd(e.layers[0])
	var st unix.Statx_t
	err := unix.Statx(fd, e.name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st)
	if vanished(err) {
		sel.manifest.warn(fmt.Sprintf("%q vanished before it could be collected", path))
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("stat %q: %w", path, err)
	}
	it := &item{
		name: e.name, typ: e.typ, layers: e.layers,
		mode:    uint32(st.Mode) & 0o777,
		special: st.Mode&(unix.S_ISUID|unix.S_ISGID|unix.S_ISVTX) != 0,
		locked:  st.Attributes&(unix.STATX_ATTR_IMMUTABLE|unix.STATX_ATTR_APPEND) != 0,
		disk:    int64(st.Blocks) * 512, // statx(2)
	}
	switch e.typ {
	case unix.DT_REG:
		it.size = int64(st.Size)
	case unix.DT_LNK:
		if it.link, err = readlink(fd, e.name); err != nil {
			return nil, fmt.Errorf("read link %q: %w", path, err)
		}
	}
	return it, nil
}

// match reports whether any pattern matches; all are asked, as each notes
// whether it ever matched.
func (sel *selector) match(path string) bool {
	found := sel.everything
	for _, p := range sel.paths {
		found = p.match(path) || found
	}
	return found
}

func (sel *selector) excluded(path string) bool {
	excluded := slices.ContainsFunc(sel.exclude, func(glob string) bool {
		return (&pattern{glob: glob}).match(path)
	})
	sel.dropped = sel.dropped || excluded
	return excluded
}

func (sel *selector) mayMatchBelow(dir string) bool {
	return sel.untracked || slices.ContainsFunc(sel.paths, func(p *pattern) bool { return p.mayMatchBelow(dir) })
}

// warnUnmatched adds a warning for each pattern without a match. It names the
// nearest directory that exists, which tells a wrong path from a missing file.
func (sel *selector) warnUnmatched(root *stack) error {
	for _, p := range sel.paths {
		if p.matched || p.glob == "**" {
			continue
		}
		nearest, err := nearestDir(root, p.literalPrefix())
		if err != nil {
			return err
		}
		sel.manifest.warn(fmt.Sprintf("path %q matches no file in %s; the nearest existing directory is %s",
			p.text, plan.ProjectDir, strings.TrimSuffix(plan.ProjectDir+"/"+nearest, "/")))
	}
	return nil
}

// nearestDir returns the deepest existing directory on the way of elements.
func nearestDir(dir *stack, elements []string) (string, error) {
	if len(elements) == 0 {
		return dir.path, nil
	}
	entries, _, err := dir.entries()
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.name != elements[0] || e.typ != unix.DT_DIR {
			continue
		}
		sub, err := dir.descend(e.name, e.layers)
		if err != nil {
			return "", err
		}
		defer sub.close()
		return nearestDir(sub, elements[1:])
	}
	return dir.path, nil
}

// list adds the items, which are below dir, to the manifest.
func (m *Manifest) list(dir string, items []*item) {
	for _, it := range items {
		if it.gone {
			m.warn(fmt.Sprintf("%q vanished before it could be collected", joinPath(dir, it.name)))
			continue
		}
		f := File{Path: joinPath(dir, it.name), Mode: it.mode, Size: it.size, Link: it.link}
		switch it.typ {
		case unix.DT_DIR:
			f.Type = typeDir
		case unix.DT_LNK:
			f.Type = typeSymlink
		default:
			f.Type = typeFile
			m.Size = addSizes(m.Size, it.size)
		}
		m.Disk = addSizes(m.Disk, it.disk)
		m.Files = append(m.Files, f)
		m.list(f.Path, it.children)
	}
}

// readlink reads a symbolic link of any length.
func readlink(dirFd int, name string) (string, error) {
	buf := make([]byte, maxPath+1)
	n, err := unix.Readlinkat(dirFd, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
