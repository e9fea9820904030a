package workspace

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// direntHeader is the size in bytes of linux_dirent64 before its name (getdents64(2)):
// inode 8, offset 8, record length 2, type 1.
const direntHeader = 19

// readDir calls f for each entry of an open directory but "." and "..", in no
// order, with its unix.DT_ type. It asks for no file's status, and holds a
// directory of any size in constant memory. f may unlink the entry.
func readDir(fd int, f func(name string, typ uint8) error) error {
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		return err
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.Getdents(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return err
		}
		for rest := buf[:n]; len(rest) > 0; {
			size := binary.NativeEndian.Uint16(rest[16:])
			typ, name := rest[18], rest[direntHeader:size]
			rest = rest[size:]
			if end := bytes.IndexByte(name, 0); end >= 0 {
				name = name[:end]
			}
			if s := string(name); s != "." && s != ".." {
				if err := f(s, typ); err != nil {
					return err
				}
			}
		}
	}
}

// openRetry is openat(2), which a signal can interrupt on a network file system.
func openRetry(dirFd int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dirFd, name, flags, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
