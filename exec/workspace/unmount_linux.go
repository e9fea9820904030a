package workspace

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// UnmountAll unmounts everything at and below dir, deepest first. A mount that is
// in use is detached. It is no error if dir does not exist. If dir itself is a link
// it is not followed: a job may have put it there, to some other place's mounts.
func UnmountAll(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("unmount below %q: %w", dir, err)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unmount below %q: %w", dir, err)
	}
	dir = filepath.Join(parent, filepath.Base(abs))
	// One unmount may take others along (mounts on one another, propagation), and
	// the table can change while it is read: it is read again until nothing is left.
	const rounds = 10
	for range rounds {
		points, err := mountsBelow(dir)
		if err != nil || len(points) == 0 {
			return err
		}
		for _, point := range points {
			if err := unmount(point); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("unmount below %q: mounts come back", dir)
}

// unmount unmounts the topmost mount on point. It is no error if there is none.
func unmount(point string) error {
	err := unix.Unmount(point, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(point, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %q: %w", point, err)
	}
	return nil
}

// mountsBelow returns the mount points at and below dir, deepest first; one with
// several mounts on each other as many times.
func mountsBelow(dir string) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read the mount table: %w", err)
	}
	var points []string
	for line := range strings.Lines(string(table)) {
		// The fifth field is the mount point (proc_pid_mountinfo(5)).
		fields := strings.SplitN(line, " ", 6)
		if len(fields) < 6 {
			return nil, fmt.Errorf("mount table: unexpected line %q", line)
		}
		point := unescapeMountPoint(fields[4])
		if point == dir || strings.HasPrefix(point, strings.TrimSuffix(dir, "/")+"/") {
			points = append(points, point)
		}
	}
	slices.SortStableFunc(points, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return points, nil
}

// unescapeMountPoint undoes the escapes of the mount table: a backslash and three
// octal digits stand for space, tab, newline, backslash and the number sign.
func unescapeMountPoint(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
