//go:build linux

package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/userns"
	"github.com/cic-ci/cic/exec/workspace"
)

// Below the first, a run fails sooner or later; below the second, larger images
// and artifacts do.
const (
	minBytes  = 100 << 20
	lowBytes  = 5 << 30
	minInodes = 1_000
	lowInodes = 50_000
)

// state checks the state directory, with what lies in it and under it.
func state(dir string) []Check {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return []Check{{"state", Fail, err.Error(), "name another with --state-dir or CIC_STATE_DIR"}}
	}
	probe, err := os.MkdirTemp(dir, ".doctor-")
	if err != nil {
		return []Check{{"state", Fail, err.Error(), "name another with --state-dir or CIC_STATE_DIR"}}
	}
	checks := []Check{permissions(dir), fileSystem(dir), space(dir), locks(probe), overlay(probe), userNamespaces(probe)}
	if err := os.RemoveAll(probe); err != nil {
		checks = append(checks, Check{"state", Warn, err.Error(), ""})
	}
	return checks
}

func permissions(dir string) Check {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return Check{"state", Fail, fmt.Sprintf("%s: %v", dir, err), ""}
	}
	if int(st.Uid) != os.Geteuid() {
		return Check{"state", Warn, fmt.Sprintf("%s belongs to user %d", dir, st.Uid), fmt.Sprintf("chown %d %s", os.Geteuid(), dir)}
	}
	if st.Mode&0o077 != 0 {
		return Check{"state", Warn, fmt.Sprintf("%s has mode %04o: others can see logs and images", dir, st.Mode&0o7777), "chmod 700 " + dir}
	}
	return Check{"state", OK, dir + ", for nobody else", ""}
}

// fileSystems are those that say something (linux/magic.h).
var fileSystems = map[int64]struct {
	name, trouble string
}{
	unix.EXT4_SUPER_MAGIC:      {"ext4", ""},
	unix.XFS_SUPER_MAGIC:       {"xfs", ""},
	unix.BTRFS_SUPER_MAGIC:     {"btrfs", ""},
	unix.F2FS_SUPER_MAGIC:      {"f2fs", ""},
	0x2fc12fc1:                 {"zfs", ""},
	unix.TMPFS_MAGIC:           {"tmpfs", "images, logs and artifacts are kept in memory, and are gone with the next boot"},
	unix.OVERLAYFS_SUPER_MAGIC: {"overlay", "an overlay cannot be the base of another: workspaces and images are copied"},
	unix.NFS_SUPER_MAGIC:       {"nfs", "its locks and file owners are not reliable"},
	unix.SMB2_SUPER_MAGIC:      {"smb", "it has neither Unix permissions nor reliable locks"},
	unix.CIFS_SUPER_MAGIC:      {"cifs", "it has neither Unix permissions nor reliable locks"},
	unix.FUSE_SUPER_MAGIC:      {"fuse", "it may lack what an overlay needs"},
	unix.V9FS_MAGIC:            {"9p", "it is slow, and may lack what an overlay needs"},
	unix.MSDOS_SUPER_MAGIC:     {"fat", "it has no permissions, links or special files"},
}

func fileSystem(dir string) Check {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Check{"file-system", Fail, fmt.Sprintf("%s: %v", dir, err), ""}
	}
	return judgeFileSystem(int64(fs.Type), fs.Flags&unix.ST_NOEXEC != 0)
}

func judgeFileSystem(magic int64, noexec bool) Check {
	if noexec {
		return Check{"file-system", Fail, "it is mounted noexec: the programs of images could not be run", "name a state directory elsewhere with --state-dir"}
	}
	known, ok := fileSystems[magic]
	switch {
	case !ok:
		return Check{"file-system", OK, fmt.Sprintf("of type %#x", magic), ""}
	case known.trouble != "":
		return Check{"file-system", Warn, known.name + ": " + known.trouble, "name a state directory on a disk with --state-dir"}
	}
	return Check{"file-system", OK, known.name, ""}
}

func space(dir string) Check {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Check{"disk", Fail, fmt.Sprintf("%s: %v", dir, err), ""}
	}
	return judgeSpace(fs.Bavail*uint64(fs.Bsize), fs.Files, fs.Ffree)
}

// judgeSpace judges free bytes and inodes; a file system that does not count its
// inodes has none.
func judgeSpace(free, inodes, freeInodes uint64) Check {
	text := fmt.Sprintf("%.1f GiB free", float64(free)/(1<<30))
	if inodes > 0 {
		text += fmt.Sprintf(", %d inodes free", freeInodes)
	}
	level, help := OK, ""
	switch {
	case free < minBytes, inodes > 0 && freeInodes < minInodes:
		level, help = Fail, "make room, or name a state directory elsewhere with --state-dir"
	case free < lowBytes, inodes > 0 && freeInodes < lowInodes:
		level, help = Warn, "make room before images and artifacts fill it"
	}
	return Check{"disk", level, text, help}
}

func locks(dir string) Check {
	bad := func(err error) Check {
		return Check{"locks", Fail, "files cannot be locked: " + err.Error(), "name a state directory on a local disk with --state-dir"}
	}
	path := filepath.Join(dir, "lock")
	first, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return bad(err)
	}
	defer first.Close()
	second, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return bad(err)
	}
	defer second.Close()
	if err := unix.Flock(int(first.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return bad(err)
	}
	if err := unix.Flock(int(second.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return bad(errors.New("two processes could hold one lock"))
	}
	return Check{"locks", OK, "files can be locked", ""}
}

// overlay makes a workspace as a job's, and notes what it is told about it.
func overlay(dir string) Check {
	bad := func(err error) Check {
		return Check{"overlay", Fail, err.Error(), "see the check of the file system"}
	}
	source, work := filepath.Join(dir, "source"), filepath.Join(dir, "work")
	if err := errors.Join(os.Mkdir(source, 0o755), os.Mkdir(work, 0o700)); err != nil {
		return bad(err)
	}
	var warnings []string
	manager, err := workspace.New(workspace.Config{Source: source, Dir: work, Warn: func(msg string) { warnings = append(warnings, msg) }})
	if err != nil {
		return bad(err)
	}
	w, err := manager.Open("doctor")
	if err != nil {
		return bad(err)
	}
	if err := errors.Join(w.Mount(nil), w.Close()); err != nil {
		return bad(err)
	}
	if len(warnings) > 0 {
		return Check{"overlay", Warn, strings.Join(warnings, "; "), "name a state directory on ext4, xfs or btrfs with --state-dir"}
	}
	return Check{"overlay", OK, "workspaces are mounted, not copied", ""}
}

// userNamespaces is about --userns: a run can do without.
func userNamespaces(dir string) Check {
	const name = "user-namespaces"
	if userns.Entered() {
		return Check{name, OK, "all jobs of this user are in one", ""}
	}
	source, work := filepath.Join(dir, "mapped-source"), filepath.Join(dir, "mapped-work")
	err := errors.Join(os.Mkdir(source, 0o755), os.Mkdir(work, 0o700))
	if err != nil {
		return Check{name, Warn, err.Error(), ""}
	}
	users, err := userns.Open(source)
	if err != nil {
		return Check{name, Warn, "--userns cannot be used: " + err.Error(), "sysctl user.max_user_namespaces=15000"}
	}
	manager, err := workspace.New(workspace.Config{Source: source, Dir: work})
	if err == nil {
		_, err = manager.Mapped(users)
	}
	if err := errors.Join(err, users.Close()); err != nil {
		return Check{name, Warn, "--userns cannot be used: " + err.Error(),
			"use Linux 5.19 or later, with the project and the state directory on ext4, xfs or btrfs"}
	}
	uid, _ := users.Root()
	return Check{name, OK, fmt.Sprintf("with --userns root of a job is user %d of the machine", uid), ""}
}
