//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/image-spec/identity"
	"golang.org/x/sys/unix"
)

// maxAccountFile bounds what is read of an image's /etc/passwd and /etc/group.
const maxAccountFile = 4 << 20

// shellDirs is where shells are looked for, in this order (specification 20.2),
// before the image's own PATH.
var shellDirs = []string{"/usr/local/bin", "/usr/bin", "/bin", "/busybox"}

// inspectStored mounts a view of an unpacked image and looks into it.
func (r *Runtime) inspectStored(ctx context.Context, img *image) (err error) {
	diffIDs, err := img.stored.RootFS(ctx)
	if err != nil {
		return err
	}
	key := r.newID("view")
	snapshotter := r.client.SnapshotService(r.snapshotter)
	mounts, err := snapshotter.View(ctx, key, identity.ChainID(diffIDs).String(),
		snapshots.WithLabels(map[string]string{labelRun: r.cfg.RunID}))
	if err != nil {
		return err
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	defer func() {
		if removeErr := snapshotter.Remove(clean, key); removeErr != nil && !errdefs.IsNotFound(removeErr) {
			err = errors.Join(err, removeErr)
		}
	}()
	dir := filepath.Join(r.imageDir(), key)
	if err := makeDir(dir, 0o700); err != nil {
		return err
	}
	if err := mount.All(mounts, dir); err != nil {
		return errors.Join(err, os.Remove(dir))
	}
	defer func() { err = errors.Join(err, mount.UnmountAll(dir, 0), os.Remove(dir)) }()
	return img.inspect(dir)
}

// inspect reads what a container's specification depends on from the image's
// root file system.
func (img *image) inspect(dir string) (err error) {
	root, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if img.linked, err = linkedMountPoint(root); err != nil {
		return err
	}
	if img.volumes, err = emptyVolumes(root, slices.Sorted(maps.Keys(img.config.Volumes))); err != nil {
		return err
	}
	if img.shells, err = findShells(root, img.config.Env); err != nil {
		return err
	}
	if img.passwd, err = readIn(root, "/etc/passwd"); err != nil {
		return err
	}
	img.group, err = readIn(root, "/etc/group")
	return err
}

// mountPoints are where something is mounted in every container.
var mountPoints = []string{"/proc", "/sys", "/dev", buildsDir, programDir}

// linkedMountPoint finds a place where something is mounted in every container
// and that an image has made a symbolic link, which a container runtime may
// follow out of the image. It is empty if there is none.
func linkedMountPoint(root *os.File) (string, error) {
	for _, point := range mountPoints {
		f, err := openIn(root, point, unix.O_PATH|unix.O_NOFOLLOW)
		if absent(err) {
			continue
		}
		if err != nil {
			return "", err
		}
		info, err := f.Stat()
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
		if info.Mode()&os.ModeSymlink != 0 {
			return point, nil
		}
	}
	return "", nil
}

// findShells looks for sh and bash.
func findShells(root *os.File, env []string) (map[string]string, error) {
	dirs := shellDirs
	for _, entry := range env {
		if list, found := strings.CutPrefix(entry, "PATH="); found {
			dirs = append(dirs[:len(dirs):len(dirs)], filepath.SplitList(list)...)
		}
	}
	shells := make(map[string]string)
	for _, name := range []string{"sh", "bash"} {
		for _, dir := range dirs {
			if !path.IsAbs(dir) {
				continue
			}
			file := path.Join(dir, name)
			runnable, err := runnableIn(root, file)
			if err != nil {
				return nil, err
			}
			if runnable {
				shells[name] = file
				break
			}
		}
	}
	return shells, nil
}

// openIn opens a path as a process with this root directory would: symbolic links
// are followed, and none leads out. Images are not to be trusted.
func openIn(root *os.File, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat2(int(root.Fd()), name, &unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// absent reports whether err says that a path of an image leads nowhere.
func absent(err error) bool {
	return errnoIs(err, unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EXDEV, unix.ENXIO)
}

// runnableIn reports whether a path leads to an executable file.
func runnableIn(root *os.File, name string) (bool, error) {
	f, err := openIn(root, name, unix.O_PATH)
	if absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	return info.Mode().IsRegular() && info.Mode()&0o111 != 0, nil
}

// readIn reads a text file; one that is missing, or no file at all, is empty.
func readIn(root *os.File, name string) (string, error) {
	f, err := openIn(root, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if absent(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", nil
	}
	data, err := io.ReadAll(io.LimitReader(f, maxAccountFile+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxAccountFile {
		return "", fmt.Errorf("%s is larger than %d bytes", name, maxAccountFile)
	}
	return string(data), nil
}
