package workspace

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// cleanMask checks the entries of Config.Mask and returns them sorted, without
// trailing slashes and without those that lie below another.
func cleanMask(mask []string) ([]string, error) {
	clean := make([]string, 0, len(mask))
	for _, m := range mask {
		name := strings.TrimSuffix(m, "/")
		if name == "" || name == "." || name == ".." || path.IsAbs(name) || name != path.Clean(name) || strings.HasPrefix(name, "../") {
			return nil, fmt.Errorf("mask entry %q: not a path below the project", m)
		}
		clean = append(clean, name)
	}
	set := hiddenSet(clean)
	clean = slices.DeleteFunc(clean, func(name string) bool {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if set[dir] {
				return true
			}
		}
		return false
	})
	slices.Sort(clean)
	return slices.Compact(clean), nil
}

// buildMask makes, at dst, a layer that hides the paths of mask in source: a
// whiteout for each. It reports whether there is anything to hide.
//
// The directories on the way to a whiteout are seen in the merged tree in place
// of the source's, so they take over the source's attributes.
func buildMask(source, dst string, mask []string) (needed bool, err error) {
	if err := os.Mkdir(dst, 0o755); err != nil {
		return false, fmt.Errorf("make mask layer: %w", err)
	}
	src, err := openRetry(unix.AT_FDCWD, source, openDirFlags)
	if err != nil {
		return false, fmt.Errorf("open project %q: %w", source, err)
	}
	defer func() { err = errors.Join(err, unix.Close(src)) }()
	out, err := openRetry(unix.AT_FDCWD, dst, openDirFlags)
	if err != nil {
		return false, fmt.Errorf("open mask layer: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(out)) }()
	spare := whiteout(dst + ".whiteout")
	defer func() { err = errors.Join(err, spare.remove()) }()
	for _, name := range mask {
		made, err := maskEntry(src, out, strings.Split(name, "/"), spare)
		if err != nil {
			return false, fmt.Errorf("mask %q: %w", name, err)
		}
		needed = needed || made
	}
	return needed, nil
}

// whiteout is the path of a spare whiteout, beside the layer, to which those of
// the layer are hard links, as the kernel makes its own: a link costs a tenth of
// a node.
type whiteout string

// link makes a whiteout in the open directory dir. When the spare one is missing
// or has all the links that the file system allows it (65,000 on ext4), a new one
// takes its place.
func (w whiteout) link(dir int, name string) error {
	err := unix.Linkat(unix.AT_FDCWD, string(w), dir, name, 0)
	if !errors.Is(err, unix.EMLINK) && !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := w.remove(); err != nil {
		return err
	}
	if err := unix.Mknod(string(w), unix.S_IFCHR, 0); err != nil {
		return err
	}
	return unix.Linkat(unix.AT_FDCWD, string(w), dir, name, 0)
}

func (w whiteout) remove() error {
	if err := unix.Unlink(string(w)); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// maskEntry makes one whiteout below the open directory out. It makes nothing if
// the path is not in src, or leads through a link.
func maskEntry(src, out int, elements []string, spare whiteout) (made bool, err error) {
	name := elements[0]
	var st unix.Stat_t
	err = unix.Fstatat(src, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if len(elements) == 1 {
		return true, spare.link(out, name)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return false, nil
	}
	sub, err := openRetry(src, name, openDirFlags)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unix.Close(sub)) }()
	if err := unix.Mkdirat(out, name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return false, err
	}
	fd, err := openRetry(out, name, openDirFlags)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	made, err = maskEntry(sub, fd, elements[1:], spare)
	// After the entry, which changes the time of its directory. Unlike an artifact
	// the directory keeps its setgid and sticky bits.
	return made, errors.Join(err, copyAttributes(fd, &st), unix.Fchmod(fd, st.Mode&0o7777))
}
