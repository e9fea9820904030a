package workspace

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// transfer says how a file of a layer gets into a set of artifacts.
type transfer int

const (
	// transferMove is for files that are the job's own: hard links, and renames of
	// whole directories.
	transferMove transfer = iota
	// transferLink is for artifacts, which nobody writes to: hard links.
	transferLink
	// transferCopy is for files of the user.
	transferCopy
)

// layer is one directory tree of a merged view.
type layer struct {
	path     string
	transfer transfer
	// alone leaves out what is mounted below path, as an overlay does.
	alone bool
	// hidden are paths that count as absent in this layer: what the mask layer
	// does in the kernel, where it lies directly on the source.
	hidden map[string]bool
	// collected marks what an earlier Collect took out of the upper layer. It is
	// level with the upper layer: an opaque directory there does not hide it.
	collected bool
}

// stack is one directory of a merged view: the layers that have it, topmost
// first, each open. It follows the rules of overlayfs (kernel documentation,
// filesystems/overlayfs, "Upper and Lower", "whiteouts and opaque directories"),
// so that artifacts can be collected from the layers themselves, which tells
// where each file comes from and needs no mount.
type stack struct {
	// path is relative to the project; empty for the project itself.
	path string
	dirs []openDir
}

// openDir is a directory of one layer.
type openDir struct {
	layer *layer
	fd    int
}

// entry is one name in a merged directory.
type entry struct {
	name string
	// typ is a unix.DT_ constant, never DT_UNKNOWN.
	typ uint8
	// layers have the entry, topmost first; only a directory has more than one.
	layers []*layer
	// sole is set if no other layer of the merged directory has the name, visible
	// or not.
	sole bool
	// open is set while lower layers may still add to a directory.
	open bool
	// opaque is set for a directory of the upper layer that hides those below.
	opaque bool
}

const openDirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// openStack opens the roots of layers, topmost first.
func openStack(layers []*layer) (*stack, error) {
	s := &stack{}
	for _, l := range layers {
		fd, err := l.open()
		if err != nil {
			s.close()
			return nil, fmt.Errorf("open layer %q: %w", l.path, err)
		}
		s.dirs = append(s.dirs, openDir{layer: l, fd: fd})
	}
	return s, nil
}

func (l *layer) open() (int, error) {
	if !l.alone {
		return openRetry(unix.AT_FDCWD, l.path, openDirFlags)
	}
	// A clone of the mount has none of the mounts below.
	tree, err := cloneTree(l.path, 0, unix.MountAttr{})
	if err != nil {
		return -1, err
	}
	fd, err := openRetry(tree, ".", openDirFlags)
	return fd, errors.Join(err, unix.Close(tree))
}

// descend opens a directory of s as found in layers, which must be among those of s.
func (s *stack) descend(name string, layers []*layer) (*stack, error) {
	child := &stack{path: joinPath(s.path, name)}
	for _, d := range s.dirs {
		if !slices.Contains(layers, d.layer) {
			continue
		}
		fd, err := openRetry(d.fd, name, openDirFlags)
		if vanished(err) && d.layer.transfer == transferCopy {
			continue
		}
		if err != nil {
			child.close()
			return nil, fmt.Errorf("open directory %q: %w", child.path, err)
		}
		child.dirs = append(child.dirs, openDir{layer: d.layer, fd: fd})
	}
	if len(child.dirs) == 0 {
		return nil, fmt.Errorf("open directory %q: %w", child.path, unix.ENOENT)
	}
	return child, nil
}

// fd returns the open directory of l, which must be among the layers of s.
func (s *stack) fd(l *layer) int {
	for _, d := range s.dirs {
		if d.layer == l {
			return d.fd
		}
	}
	return -1 // Makes the system call that follows fail with EBADF.
}

// close closes all directories. Nothing was written through them, so that there
// is no error to report.
func (s *stack) close() {
	for _, d := range s.dirs {
		_ = unix.Close(d.fd)
	}
	s.dirs = nil
}

// entries returns the merged directory, sorted by name. whiteouts is set if a
// layer holds marks of a deletion, which are no entries.
func (s *stack) entries() (list []entry, whiteouts bool, err error) {
	list, err = s.merged()
	names := len(list)
	list = slices.DeleteFunc(list, func(e entry) bool { return len(e.layers) == 0 })
	return list, len(list) < names, err
}

// merged returns what entries does, and the marks of a deletion as entries in no
// layer.
func (s *stack) merged() (list []entry, err error) {
	index := map[string]int{}
	for i, d := range s.dirs {
		err := readDir(d.fd, func(name string, typ uint8) error {
			e, known, err := s.merge(i, name, typ, list, index)
			if err != nil || known {
				return err
			}
			if len(s.dirs) > 1 {
				index[name] = len(list)
			}
			list = append(list, e)
			return nil
		})
		if err != nil && !vanished(err) {
			return nil, fmt.Errorf("read directory %q of %s: %w", s.path, d.layer.path, err)
		}
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return list, nil
}

// merge brings a name found in s.dirs[i] together with what higher layers have
// under it. Known is set if nothing is to be added to list.
func (s *stack) merge(i int, name string, typ uint8, list []entry, index map[string]int) (e entry, known bool, err error) {
	d := s.dirs[i]
	if len(d.layer.hidden) > 0 && d.layer.hidden[joinPath(s.path, name)] {
		return entry{}, true, nil
	}
	typ, whiteout, err := resolveType(d.fd, name, typ)
	if vanished(err) {
		return entry{}, true, nil
	}
	if err != nil {
		return entry{}, false, err
	}
	opaque := false
	if typ == unix.DT_DIR && i+1 < len(s.dirs) {
		opaque = isOpaque(d.fd, name)
	}
	j, seen := index[name]
	if !seen {
		e := entry{name: name, typ: typ, sole: true, open: typ == unix.DT_DIR, opaque: opaque}
		if !whiteout {
			e.layers = []*layer{d.layer}
		}
		return e, false, nil
	}
	upper := &list[j]
	upper.sole = false
	switch {
	case !upper.open || upper.opaque && !d.layer.collected:
	case typ != unix.DT_DIR:
		upper.open = false
	default:
		upper.layers = append(upper.layers, d.layer)
		upper.opaque = upper.opaque || opaque
	}
	return entry{}, true, nil
}

// resolveType completes what readDir says about the type of an entry.
func resolveType(dirFd int, name string, typ uint8) (resolved uint8, whiteout bool, err error) {
	if typ != unix.DT_UNKNOWN && typ != unix.DT_CHR {
		return typ, false, nil
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dirFd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return 0, false, err
	}
	// The file type bits of a mode are a DT_ constant shifted by 12.
	typ = uint8(st.Mode & unix.S_IFMT >> 12)
	return typ, typ == unix.DT_CHR && st.Rdev == 0, nil
}

// isOpaque reports whether a directory hides those of lower layers.
func isOpaque(dirFd int, name string) bool {
	var value [1]byte
	n, err := unix.Lgetxattr(procPath(dirFd, name), opaqueMark(), value[:])
	return err == nil && n == 1 && value[0] == 'y'
}

// vanished reports whether err means that a file is gone, or became one of another
// type, since it was seen. The user may change the project during a run.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// procPath names an entry of an open directory for system calls that take no
// directory. name is not followed by those that do not follow symbolic links.
func procPath(dirFd int, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dirFd, name)
}

func joinPath(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// hiddenSet makes the set of layer.hidden of Config.Mask.
func hiddenSet(mask []string) map[string]bool {
	set := make(map[string]bool, len(mask))
	for _, m := range mask {
		set[strings.TrimSuffix(m, "/")] = true
	}
	return set
}
