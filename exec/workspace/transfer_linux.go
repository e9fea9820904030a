package workspace

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The inode flags of chattr(1) that keep a file from being removed, linked or
// changed (ioctl_iflags(2)).
const (
	fsAppend    = 0x20
	fsImmutable = 0x10
)

// unlock clears the immutable and append-only flags of an open file. A file
// system without such flags is fine.
func unlock(fd int) error {
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err != nil || flags&(fsAppend|fsImmutable) == 0 {
		return nil // Not supported here, or nothing to clear.
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags&^(fsAppend|fsImmutable)))
}

// openRegular opens a regular file or directory for its attributes. A link is not followed.
func openRegular(dirFd int, name string) (int, error) {
	return openRetry(dirFd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC)
}

// sanitise takes from a file of the upper layer what must not reach another
// job: setuid, setgid and sticky bits, file capabilities, ACLs and the marks of
// overlayfs. An opaque mark would hide the project's own files below an artifact.
func sanitise(dirFd int, it *item) error {
	if it.locked || it.special {
		fd, err := openRegular(dirFd, it.name)
		if err != nil {
			return err
		}
		err = errors.Join(unlock(fd), unix.Fchmod(fd, it.mode))
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return err
		}
	}
	return stripXattrs(procPath(dirFd, it.name))
}

// stripXattrs removes the extended attributes of path, which is not followed if
// it is a symbolic link. The label of SELinux stays: it is the machine's.
func stripXattrs(path string) error {
	var few [1024]byte
	buf := few[:]
	n, err := unix.Llistxattr(path, buf)
	if errors.Is(err, unix.ERANGE) {
		buf = make([]byte, 64<<10) // XATTR_LIST_MAX
		n, err = unix.Llistxattr(path, buf)
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list extended attributes: %w", err)
	}
	for name := range bytes.SplitSeq(bytes.TrimSuffix(buf[:n], []byte{0}), []byte{0}) {
		if len(name) == 0 || string(name) == "security.selinux" {
			continue
		}
		if err := unix.Lremovexattr(path, string(name)); err != nil && !errors.Is(err, unix.ENODATA) {
			return fmt.Errorf("remove extended attribute %q: %w", name, err)
		}
	}
	return nil
}

// copyFile copies a regular file, by reflink where the file system can, and
// gives the copy the file's permissions, owner and modification time. Holes stay
// holes. It returns the size in bytes of what was stored.
func copyFile(srcDir, dstDir int, it *item) (size int64, err error) {
	src, err := openRegular(srcDir, it.name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, unix.Close(src)) }()
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, unix.ENOENT // Replaced since it was selected.
	}
	dst, err := unix.Openat(dstDir, it.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, unix.Close(dst)) }()
	if unix.IoctlFileClone(dst, src) != nil {
		if err := copyData(dst, src, st.Size); err != nil {
			return 0, err
		}
	}
	return st.Size, copyAttributes(dst, &st)
}

// copyData copies size bytes, leaving out holes.
func copyData(dst, src int, size int64) error {
	if err := unix.Ftruncate(dst, size); err != nil {
		return err
	}
	for end := int64(0); end < size; {
		start, err := unix.Seek(src, end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // A hole to the end, or the file has shrunk.
		}
		if err != nil {
			return err
		}
		if end, err = unix.Seek(src, start, unix.SEEK_HOLE); err != nil {
			return err
		}
		end = min(end, size)
		if err := copyRange(dst, src, start, end); err != nil {
			return err
		}
	}
	return nil
}

// copyRange copies the bytes from start to end, within the kernel if possible.
func copyRange(dst, src int, start, end int64) error {
	for start < end {
		in, out := start, start
		n, err := unix.CopyFileRange(src, &in, dst, &out, int(min(end-start, 1<<30)), 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return copyBytes(dst, src, start, end)
		case err != nil:
			return err
		case n == 0:
			return nil // The file has shrunk meanwhile.
		}
		start += int64(n)
	}
	return nil
}

func copyBytes(dst, src int, start, end int64) error {
	buf := make([]byte, 1<<20)
	for start < end {
		n, err := unix.Pread(src, buf[:min(end-start, int64(len(buf)))], start)
		if err != nil || n == 0 {
			return err
		}
		for written := 0; written < n; {
			w, err := unix.Pwrite(dst, buf[written:n], start+int64(written))
			if err != nil {
				return err
			}
			written += w
		}
		start += int64(n)
	}
	return nil
}

// copyAttributes gives an open file the owner, permissions and modification time
// of st, without setuid, setgid and sticky bits.
func copyAttributes(fd int, st *unix.Stat_t) error {
	if err := unix.Fchown(fd, int(st.Uid), int(st.Gid)); err != nil {
		return fmt.Errorf("set owner: %w", err)
	}
	if err := unix.Fchmod(fd, st.Mode&0o777); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, st.Mtim}
	if err := unix.UtimesNanoAt(fd, "", times, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("set modification time: %w", err)
	}
	return nil
}
