package workspace

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxUsageDepth bounds the recursion of [Usage], and with it the number of open
// directories.
const maxUsageDepth = 200

// Usage returns how much of the disk directories and all below them take, in
// bytes: the blocks of each file once, whatever its length and number of names.
// It follows no link and goes into no mount. What vanishes meanwhile is left out,
// as jobs may be at work there; a tree deeper than 200 directories is an error,
// so that nothing can hide below.
func Usage(dirs ...string) (int64, error) {
	u := usage{seen: make(map[fileID]bool)}
	for _, dir := range dirs {
		fd, err := openDirPath(dir)
		if err != nil {
			return 0, fmt.Errorf("measure %q: %w", dir, err)
		}
		err = u.entry(fd, ".", 0)
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return 0, fmt.Errorf("measure %q: %w", dir, err)
		}
	}
	return u.bytes, nil
}

// fileID names a file of the machine.
type fileID struct{ dev, ino uint64 }

type usage struct {
	bytes int64
	// seen are the files with several names.
	seen map[fileID]bool
}

// blockSize is the unit of st_blocks (stat(3type)), in bytes.
const blockSize = 512

// entry adds name, of any type, in the open directory parent.
func (u *usage) entry(parent int, name string, depth int) error {
	var st unix.Stat_t
	err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	directory := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if id := (fileID{uint64(st.Dev), st.Ino}); !directory && st.Nlink > 1 {
		if u.seen[id] {
			return nil
		}
		u.seen[id] = true
	}
	u.bytes += st.Blocks * blockSize
	if !directory {
		return nil
	}
	if depth == maxUsageDepth {
		return fmt.Errorf("it holds a tree deeper than %d directories", maxUsageDepth)
	}
	fd, err := unix.Openat2(parent, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
		return nil // replaced meanwhile, or a mount point
	case err != nil:
		return err
	}
	err = readDir(fd, func(entry string, _ uint8) error { return u.entry(fd, entry, depth+1) })
	if errors.Is(err, unix.ENOENT) {
		err = nil // removed meanwhile
	}
	return errors.Join(err, unix.Close(fd))
}
