package workspace

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/userns"
)

// overlay describes an overlay mount.
type overlay struct {
	// lower are the read-only layers, topmost first.
	lower []string
	// private holds the directories upper and work. The latter must be empty, and
	// new: the kernel refuses the work directory of an earlier volatile mount. With
	// users it holds layers too, an empty directory.
	private string
	// users, if not nil, translate the owners of all layers.
	users *userns.Namespace
}

// The names in overlay.private.
const (
	upperDir  = "upper"
	workDir   = "work"
	layersDir = "layers"
)

// overlayMounter is a way of mounting an overlay.
type overlayMounter struct {
	// mount attaches o at the directory target.
	mount func(o overlay, target string) error
	// limit is the number of lower layers that it can do.
	limit int
}

// overlayMounters are tried in this order.
//
// Both name a layer by a descriptor, /proc/self/fd/N: a path may then be of any
// length and hold any byte (colons and commas separate mount options, and
// fsconfig takes at most 255 bytes), and cannot become another one in between.
var overlayMounters = []overlayMounter{
	// Linux 6.7. The limit is OVL_MAX_STACK in fs/overlayfs/params.h.
	{mount: mountFsopen, limit: 500},
	// Options of mount(2) must fit into one page: 4096 / len("/proc/self/fd/1048576:")
	// is 186, less what the other options need.
	{mount: mountLegacy, limit: 150},
}

// OverlayOptions are those of every overlay of cic, short of its layers. A redirect
// or a metadata-only copy would make the upper layer depend on the layers below it,
// and it is collected from without them; an index would refuse layers that an earlier
// mount has used. In a user namespace an overlay cannot have the first two, and its
// marks are in extended attributes that users may set.
// Source: Documentation/filesystems/overlayfs.rst of the kernel.
func OverlayOptions() []string {
	if userns.Inside() {
		return []string{"userxattr", "index=off", "volatile"}
	}
	return []string{"redirect_dir=off", "metacopy=off", "index=off", "volatile"}
}

// opaqueMark is the extended attribute of a directory that hides those below it.
func opaqueMark() string {
	if userns.Inside() {
		return "user.overlay.opaque"
	}
	return "trusted.overlay.opaque"
}

// mountSource stands for the device in the mount table, whose other columns would
// not tell whose mount it is.
const mountSource = "cic"

// mountFsopen mounts through the new mount API, one call a layer.
func mountFsopen(o overlay, target string) (err error) {
	fsfd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("fsopen: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(fsfd)) }()
	layers, err := o.open()
	defer func() { err = errors.Join(err, layers.close()) }()
	if err != nil {
		return err
	}
	for i, l := range o.lower {
		if err := configDir(fsfd, "lowerdir+", layers.lower(i)); err != nil {
			return fmt.Errorf("layer %q: %w", l, err)
		}
	}
	if err := errors.Join(configDir(fsfd, "upperdir", layers.upper()), configDir(fsfd, "workdir", layers.work())); err != nil {
		return fmt.Errorf("private layer %q: %w", o.private, err)
	}
	for _, option := range append([]string{"source=" + mountSource}, OverlayOptions()...) {
		key, value, valued := strings.Cut(option, "=")
		set := func() error { return unix.FsconfigSetFlag(fsfd, key) }
		if valued {
			set = func() error { return unix.FsconfigSetString(fsfd, key, value) }
		}
		if err := set(); err != nil {
			return fmt.Errorf("overlay option %s: %w%s", option, err, fsLog(fsfd))
		}
	}
	if err := unix.FsconfigCreate(fsfd); err != nil {
		return fmt.Errorf("make overlay: %w%s", err, fsLog(fsfd))
	}
	mfd, err := unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("mount overlay: %w%s", err, fsLog(fsfd))
	}
	defer func() { err = errors.Join(err, unix.Close(mfd)) }()
	return attach(mfd, target)
}

// configDir sets an option whose value is a directory.
func configDir(fsfd int, key, dir string) error {
	if err := unix.FsconfigSetString(fsfd, key, dir); err != nil {
		return fmt.Errorf("overlay option %s: %w%s", key, err, fsLog(fsfd))
	}
	return nil
}

// mountLegacy mounts through mount(2), for kernels before 6.7.
func mountLegacy(o overlay, target string) (err error) {
	layers, err := o.open()
	defer func() { err = errors.Join(err, layers.close()) }()
	if err != nil {
		return err
	}
	lower := make([]string, len(o.lower))
	for i := range o.lower {
		lower[i] = layers.lower(i)
	}
	options := append([]string{
		"lowerdir=" + strings.Join(lower, ":"),
		"upperdir=" + layers.upper(), "workdir=" + layers.work(),
	}, OverlayOptions()...)
	on, err := openDirPath(target)
	if err != nil {
		return fmt.Errorf("open mount point %q: %w", target, err)
	}
	err = unix.Mount(mountSource, fdPath(on), "overlay", 0, strings.Join(options, ","))
	if err != nil {
		err = fmt.Errorf("mount overlay: %w", err)
	}
	return errors.Join(err, unix.Close(on))
}

// bindShared binds dir on itself, as a mount of its own with shared propagation:
// a container that binds it, rslave, sees what is mounted below it later. The
// propagation is set before the mount is attached, so that no other mount
// namespace ever holds a copy with which nothing is shared.
func bindShared(dir string, users *userns.Namespace) (err error) {
	fd, err := cloneTree(dir, 0, translated(users))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	attr := unix.MountAttr{Propagation: unix.MS_SHARED}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return fmt.Errorf("share mount %q: %w", dir, err)
	}
	return attach(fd, dir)
}

// bindTree binds source, with the mounts below it, on target.
func bindTree(source, target string, users *userns.Namespace) (err error) {
	fd, err := cloneTree(source, unix.AT_RECURSIVE, translated(users))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	return attach(fd, target)
}

// cloneTree makes a detached bind mount of dir. It is private: were it a peer of
// the mount it comes from, unmounting below the one would unmount below the other.
func cloneTree(dir string, flags uint, attr unix.MountAttr) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.O_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW|flags)
	if err != nil {
		return -1, fmt.Errorf("clone mount %q: %w", dir, err)
	}
	attr.Propagation = unix.MS_PRIVATE
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|flags, &attr); err != nil {
		what := "make it private"
		if attr.Attr_set&unix.MOUNT_ATTR_IDMAP != 0 {
			what = "translate owners"
		}
		return -1, errors.Join(fmt.Errorf("clone mount %q: %s: %w", dir, what, err), unix.Close(fd))
	}
	return fd, nil
}

// attach puts a detached mount on target.
func attach(mfd int, target string) error {
	fd, err := openDirPath(target)
	if err != nil {
		return fmt.Errorf("open mount point %q: %w", target, err)
	}
	err = unix.MoveMount(mfd, "", fd, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	if err != nil {
		err = fmt.Errorf("mount on %q: %w", target, err)
	}
	return errors.Join(err, unix.Close(fd))
}

// openDirPath opens a directory as a place only; its last element must not be a link.
func openDirPath(dir string) (int, error) {
	return openRetry(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
}

func fdPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// fsLog returns what the kernel has to say about the last failure of a file
// system context, one message a read(2).
func fsLog(fsfd int) string {
	var log strings.Builder
	buf := make([]byte, 1024)
	for {
		n, err := unix.Read(fsfd, buf)
		if err != nil || n == 0 {
			return log.String()
		}
		// A message begins with its level: "e " is an error.
		log.WriteString("; " + strings.TrimSpace(strings.TrimPrefix(string(buf[:n]), "e ")))
	}
}
