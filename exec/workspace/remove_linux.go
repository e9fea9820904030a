package workspace

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Remove removes dir and all that is in it, whatever a hostile job made of it:
// directories without permissions, immutable files, trees deeper than PATH_MAX,
// a million files. It follows no link and leaves alone what is mounted below dir
// (see [UnmountAll]), which is an error. It removes all it can before it returns
// its first error. It is no error if dir does not exist.
func Remove(dir string) error {
	parent, name := filepath.Split(filepath.Clean(dir))
	if name == "" || name == "." || name == ".." {
		return fmt.Errorf("remove %q: not the name of a directory", dir)
	}
	if parent == "" {
		parent = "."
	}
	fd, err := openRetry(unix.AT_FDCWD, parent, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %q: %w", dir, err)
	}
	r := &remover{}
	r.entry(fd, name, -1, 0)
	if r.err != nil {
		r.err = fmt.Errorf("remove %q: %w", dir, r.err)
	}
	return errors.Join(r.err, unix.Close(fd))
}

// remover removes a tree.
type remover struct {
	// err is the first of so many failures.
	err      error
	failures int
	// moved counts directories that were moved up.
	moved int
}

// maxRemoveDepth bounds the recursion, and with it the number of open
// directories. A directory that lies deeper is first moved up to the top.
const maxRemoveDepth = 100

// entry removes name, of any type, from the open directory parent. top is the
// directory to move deep ones to, or -1.
func (r *remover) entry(parent int, name string, top, depth int) {
	err := unix.Unlinkat(parent, name, 0)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		// A locked file, or a directory: the kernel reports EISDIR after EPERM.
		permit(parent, name)
		err = unix.Unlinkat(parent, name, 0)
	}
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EPERM) {
		err = r.dir(parent, name, top, depth)
	}
	if err == nil || errors.Is(err, unix.ENOENT) {
		return
	}
	if r.failures++; r.err == nil {
		r.err = fmt.Errorf("%q: %w", name, err)
	}
}

// dir removes a directory from the open directory parent.
func (r *remover) dir(parent int, name string, top, depth int) error {
	if depth > maxRemoveDepth {
		r.moved++
		up := fmt.Sprintf(".deep-%d", r.moved)
		// If it fails the recursion goes on here, as long as descriptors last.
		if unix.Renameat2(parent, name, top, up, unix.RENAME_NOREPLACE) == nil {
			return nil // The top is read until it is empty.
		}
	}
	fd, err := openWithin(parent, name)
	if err != nil {
		return err
	}
	if top < 0 {
		top = fd
	}
	err = r.contents(parent, name, fd, top, depth)
	return errors.Join(err, unix.Close(fd))
}

// contents empties the directory fd, which is name in parent, and removes it. A
// file system may leave out entries from a directory that changes while it is
// read, and deep directories arrive at the top: so it reads several times, but not
// for ever, as a process of the job may still be there to add files.
func (r *remover) contents(parent int, name string, fd, top, depth int) error {
	if err := unlock(fd); err != nil {
		return err
	}
	const passes = 10_000
	for range passes {
		failures, seen := r.failures, 0
		err := readDir(fd, func(entry string, _ uint8) error {
			seen++
			r.entry(fd, entry, top, depth+1)
			return nil
		})
		if err != nil {
			return err
		}
		err = unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			permit(parent, name)
			err = unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.ENOTEMPTY) || seen == 0 || r.failures != failures {
			return err
		}
	}
	return unix.ENOTEMPTY
}

// openWithin opens a directory that is no link and no mount point.
func openWithin(parent int, name string) (int, error) {
	how := &unix.OpenHow{
		Flags:   openDirFlags,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	fd, err := unix.Openat2(parent, name, how)
	if errors.Is(err, unix.EACCES) {
		permit(parent, name)
		fd, err = unix.Openat2(parent, name, how)
	}
	if errors.Is(err, unix.EXDEV) {
		return -1, errors.New("is a mount point")
	}
	return fd, err
}

// permit does what can be done for the removal of name from the open directory
// parent: it clears the flags of both and gives the owner access. What it cannot
// do shows when the removal is tried again.
func permit(parent int, name string) {
	_ = unlock(parent)
	var st unix.Stat_t
	if unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR, unix.S_IFREG:
	default:
		return // Without such flags, and not to be opened.
	}
	// Permissions matter to a caller that is not root; flags can be cleared only
	// by one who is.
	if fd, err := openRegular(parent, name); err == nil {
		_ = unlock(fd)
		_ = unix.Close(fd)
		return
	}
	if fd, err := openRetry(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC); err == nil {
		_ = unix.Chmod(fdPath(fd), 0o700)
		_ = unix.Close(fd)
	}
}
