package workspace

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/userns"
)

// openLayers are the layers of an overlay, open while it is mounted: the lower
// ones, topmost first, and last the directory that holds the private ones.
type openLayers struct {
	fds []int
	// point is where mounts are attached, as many as attached counts.
	point    string
	attached int
}

// open opens the layers: as places, or where owners are to be translated as mounts
// of their own that do. What it returns must be closed, after an error too.
func (o overlay) open() (*openLayers, error) {
	l := &openLayers{}
	if o.users != nil {
		l.point = filepath.Join(o.private, layersDir)
	}
	for _, dir := range o.lower {
		attr := translated(o.users)
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
		if err := l.add(dir, attr); err != nil {
			return l, err
		}
	}
	// Both private directories through one mount: the kernel asks for that.
	return l, l.add(o.private, translated(o.users))
}

// add opens one directory. A mount is attached, on those before it, as before
// Linux 6.15 overlay takes none that is detached. It is found by its descriptor.
func (l *openLayers) add(dir string, attr unix.MountAttr) (err error) {
	var fd int
	if l.point == "" {
		fd, err = openDirPath(dir)
	} else {
		fd, err = cloneTree(dir, 0, attr)
	}
	if err != nil {
		return fmt.Errorf("open layer %q: %w", dir, err)
	}
	l.fds = append(l.fds, fd)
	if l.point == "" {
		return nil
	}
	if err := attach(fd, l.point); err != nil {
		return err
	}
	l.attached++
	return nil
}

func (l *openLayers) lower(i int) string { return fdPath(l.fds[i]) }
func (l *openLayers) private() string    { return fdPath(l.fds[len(l.fds)-1]) }
func (l *openLayers) upper() string      { return l.private() + "/" + upperDir }
func (l *openLayers) work() string       { return l.private() + "/" + workDir }

// close ends the mounts, of which the overlay has its own copies.
func (l *openLayers) close() error {
	var errs []error
	for range l.attached {
		if err := unix.Unmount(l.point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			errs = append(errs, fmt.Errorf("unmount %q: %w", l.point, err))
		}
	}
	for _, fd := range l.fds {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}

// translated are the attributes of a mount whose files have, for users, the owners
// that they have on the disk. Without users it is none.
func translated(users *userns.Namespace) unix.MountAttr {
	if users == nil {
		return unix.MountAttr{}
	}
	return unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())}
}

// BindReadOnly shows the directory dir at target, for reading, with the owners that
// it has for users. Mounts below it are left out.
func BindReadOnly(dir, target string, users *userns.Namespace) (err error) {
	attr := translated(users)
	attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	fd, err := cloneTree(dir, 0, attr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	return attach(fd, target)
}
