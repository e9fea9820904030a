package workspace

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// storeAt makes the directory dst with the items of a view in it. dst must not
// exist. On an error nothing is left of it.
func storeAt(view *stack, items []*item, dst string) (err error) {
	if err := unix.Mkdir(dst, 0o755); err != nil {
		return fmt.Errorf("make %q: %w", dst, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, Remove(dst))
		}
	}()
	fd, err := openRetry(unix.AT_FDCWD, dst, openDirFlags)
	if err != nil {
		return fmt.Errorf("open %q: %w", dst, err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	return store(view, items, fd)
}

// store puts items, found in dir, into the open directory dst.
func store(dir *stack, items []*item, dst int) error {
	for _, d := range dir.dirs {
		if d.layer.transfer == transferMove {
			if err := unlock(d.fd); err != nil {
				return fmt.Errorf("unlock %q: %w", dir.path, err)
			}
		}
	}
	for _, it := range items {
		var err error
		switch it.typ {
		case unix.DT_DIR:
			err = storeDir(dir, it, dst)
		case unix.DT_LNK:
			err = storeSymlink(dir.fd(it.layers[0]), it, dst)
		default:
			err = storeFile(dir.fd(it.layers[0]), it, dst)
		}
		if vanished(err) && it.layers[0].transfer == transferCopy {
			it.gone, err = true, nil
		}
		if err != nil {
			return fmt.Errorf("collect %q: %w", joinPath(dir.path, it.name), err)
		}
	}
	return nil
}

func storeDir(dir *stack, it *item, dst int) error {
	if it.movable {
		moved, err := moveDir(dir.fd(it.layers[0]), it, dst)
		if moved || err != nil {
			return err
		}
	}
	sub, err := dir.descend(it.name, it.layers)
	if err != nil {
		return err
	}
	defer sub.close()
	if err := unix.Mkdirat(dst, it.name, 0o700); err != nil {
		return err
	}
	fd, err := openRetry(dst, it.name, openDirFlags)
	if err != nil {
		return err
	}
	// Before a child is moved away, after the last has arrived: both change the time.
	var st unix.Stat_t
	err = unix.Fstat(sub.dirs[0].fd, &st)
	if err == nil {
		err = store(sub, it.children, fd)
	}
	if err == nil {
		err = copyAttributes(fd, &st)
	}
	return errors.Join(err, unix.Close(fd))
}

// moveDir renames a directory with all that is in it: the same cost for one file
// and for a million, but for a look at each file's attributes. moved is false,
// and nothing has happened, if dst is on another file system.
func moveDir(src int, it *item, dst int) (moved bool, err error) {
	if it.locked {
		if err := sanitise(src, it); err != nil {
			return false, err
		}
	}
	err = unix.Renameat2(src, it.name, dst, it.name, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EXDEV) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, sanitiseTree(dst, it)
}

func sanitiseTree(dirFd int, it *item) error {
	if err := sanitise(dirFd, it); err != nil {
		return err
	}
	if it.typ != unix.DT_DIR {
		return nil
	}
	fd, err := openRetry(dirFd, it.name, openDirFlags)
	if err != nil {
		return err
	}
	for _, child := range it.children {
		if err = sanitiseTree(fd, child); err != nil {
			err = fmt.Errorf("%q: %w", child.name, err)
			break
		}
	}
	return errors.Join(err, unix.Close(fd))
}

func storeSymlink(src int, it *item, dst int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(src, it.name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if err := unix.Symlinkat(it.link, dst, it.name); err != nil {
		return err
	}
	if err := unix.Fchownat(dst, it.name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, st.Mtim}
	return unix.UtimesNanoAt(dst, it.name, times, unix.AT_SYMLINK_NOFOLLOW)
}

func storeFile(src int, it *item, dst int) error {
	how := it.layers[0].transfer
	if how == transferMove {
		if err := sanitise(src, it); err != nil {
			return err
		}
	}
	if how != transferCopy {
		err := unix.Linkat(src, it.name, dst, it.name, 0)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EMLINK), errors.Is(err, unix.EPERM):
			// Another file system, too many links, or one without hard links.
		default:
			return err
		}
	}
	size, err := copyFile(src, dst, it)
	it.size = size
	return err
}
