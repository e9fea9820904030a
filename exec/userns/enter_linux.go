package userns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Rootless programs. A program that is not started by root continues as root of a user
// namespace, with a mount namespace of its own, in which it may mount and give files
// to other users: those of the range that the machine sets aside for the user. All
// programs with one state directory share the namespaces, as they share a containerd.
//
// A process, the holder, keeps the namespaces there while any program uses them: each
// has a shared lock on a file, for which the holder waits exclusively. Which process
// it is stands in a file that jobs cannot write.

const (
	// holderWord is the first argument of the holder: cic @namespaces USERSFILE.
	holderWord = "@namespaces"
	// enteredVariable tells a program that it has entered: its working directory, after
	// the descriptor of its lock. To enter a mount namespace is to leave the directory.
	enteredVariable = "CIC_ENTERED"

	lockName   = "namespaces.lock"
	usersName  = "namespaces.users"
	holderName = "namespaces.holder"
)

// Inside reports whether this process is in a user namespace other than the
// machine's.
var Inside = sync.OnceValue(func() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	fields := strings.Fields(string(text))
	return err == nil && (len(fields) != 3 || fields[0] != "0" || fields[1] != "0" || fields[2] != "4294967295")
})

// Owner is the user of the surrounding namespace who is root in this one.
func Owner() (uid int, err error) {
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "0" {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, errors.New("root has no user in the surrounding namespace")
}

// Main turns this process into the holder of namespaces, if its arguments say so, and
// does not return then. In a program that has entered it restores the working
// directory. A program that calls [Enter] must call it first.
func Main() {
	if len(os.Args) == 3 && os.Args[1] == holderWord {
		if err := hold(os.Args[2]); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	lock, dir, ok := strings.Cut(os.Getenv(enteredVariable), ":")
	if !ok || os.Geteuid() != 0 || !Inside() {
		return
	}
	if fd, err := strconv.Atoi(lock); err == nil {
		unix.CloseOnExec(fd) // it stays locked until this process ends
	}
	entered = true
	err := errors.Join(os.Unsetenv(enteredVariable), os.Chdir(dir))
	if err != nil {
		fmt.Fprintf(os.Stderr, "cic: error: %v\n", err)
		os.Exit(1)
	}
}

var entered bool

// Entered reports whether this program has entered a namespace by [Enter]: it is run
// by an ordinary user.
func Entered() bool { return entered }

// hold waits until nobody uses the namespaces any more.
func hold(users string) error {
	f, err := os.OpenFile(users, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return flock(int(f.Fd()), unix.LOCK_EX) // given up with the process
}

// Stay keeps the namespaces of a state directory there as long as this process lives,
// if it is in them.
func Stay(stateDir string) error {
	users := filepath.Join(stateDir, usersName)
	fd, err := unix.Open(users, unix.O_RDWR|unix.O_CLOEXEC, 0) // as an *os.File it could be collected, and closed
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: users, Err: err}
	}
	return flock(fd, unix.LOCK_SH)
}

// Enter makes this program root of the user namespace of a state directory, an
// absolute path, by starting it again there, with the same arguments and process id.
// It does nothing if the user is root. Otherwise it returns only with an error.
func Enter(stateDir string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	nsenter, err := lookTool("nsenter", "util-linux")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return fmt.Errorf("the state directory cannot be used: %w", err)
	}
	lock, err := openLocked(filepath.Join(stateDir, lockName), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	// Before the look at the holder: with this lock it cannot end.
	users, err := openLocked(filepath.Join(stateDir, usersName), unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer users.Close()
	user, mnt, err := namespaces(stateDir)
	if err != nil {
		return err
	}
	defer user.Close()
	defer mnt.Close()
	for _, f := range []*os.File{users, user, mnt} {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	if err := os.Setenv(enteredVariable, fmt.Sprintf("%d:%s", users.Fd(), dir)); err != nil {
		return err
	}
	args := append([]string{nsenter, "--user=" + fdPath(user), "--mount=" + fdPath(mnt), "--", self}, os.Args[1:]...)
	return fmt.Errorf("run %s: %w", nsenter, unix.Exec(nsenter, args, os.Environ()))
}

func fdPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// namespaces opens those of a state directory, and makes them if there are none. The
// caller holds the lock.
func namespaces(stateDir string) (user, mnt *os.File, err error) {
	record := filepath.Join(stateDir, holderName)
	if text, err := os.ReadFile(record); err == nil {
		pid, _, _ := strings.Cut(string(text), " ")
		if id, err := identify(pid); err == nil && id == string(text) {
			return openNamespaces(pid)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	pid, err := startHolder(filepath.Join(stateDir, usersName))
	if err != nil {
		return nil, nil, err
	}
	id, err := identify(pid)
	if err == nil {
		err = os.WriteFile(record, []byte(id), 0o600)
	}
	if err != nil {
		return nil, nil, err
	}
	return openNamespaces(pid)
}

// identify names a process for good: by its id and the time of its start, the 22nd
// field of proc_pid_stat(5).
func identify(pid string) (string, error) {
	if _, err := strconv.ParseUint(pid, 10, 32); err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return "", err
	}
	// The second field, a name in parentheses, may hold anything.
	rest := string(text)[strings.LastIndexByte(string(text), ')')+1:]
	fields := strings.Fields(rest)
	const start = 22 - 3 // the first two are gone
	if len(fields) <= start || fields[0] == "Z" {
		return "", fs.ErrNotExist
	}
	return pid + " " + fields[start], nil
}

func openNamespaces(pid string) (user, mnt *os.File, err error) {
	if user, err = os.Open(filepath.Join("/proc", pid, "ns/user")); err != nil {
		return nil, nil, err
	}
	if mnt, err = os.Open(filepath.Join("/proc", pid, "ns/mnt")); err != nil {
		return nil, nil, errors.Join(err, user.Close())
	}
	return user, mnt, nil
}

// startHolder makes the namespaces and the process that holds them.
func startHolder(users string) (pid string, err error) {
	uids, gids, err := ownMaps()
	if err != nil {
		return "", err
	}
	holder, err := os.StartProcess("/proc/self/exe", []string{"cic", holderWord, users}, &os.ProcAttr{
		Dir: "/", Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS, Setsid: true},
	})
	if err != nil {
		return "", &SupportError{Err: fmt.Errorf("make a user namespace: %w", err),
			Help: "allow them: sysctl user.max_user_namespaces, and on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0; or run cic as root"}
	}
	pid = strconv.Itoa(holder.Pid)
	for _, m := range []struct {
		tool string
		ids  []string
	}{{"newuidmap", uids}, {"newgidmap", gids}} {
		tool, err := lookTool(m.tool, "uidmap")
		if err == nil {
			var out []byte
			if out, err = exec.Command(tool, append([]string{pid}, m.ids...)...).CombinedOutput(); err != nil {
				err = fmt.Errorf("%s: %w: %s", m.tool, err, strings.TrimSpace(string(out)))
			}
		}
		if err != nil {
			err = errors.Join(err, holder.Kill())
			_, waitErr := holder.Wait()
			return "", errors.Join(err, waitErr)
		}
	}
	return pid, holder.Release()
}

// openLocked opens a file and locks it (flock(2)).
func openLocked(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("flock", err)
		}
	}
}
