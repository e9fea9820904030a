package userns

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// toolDirs is where programs are looked for that change the ids of processes: fixed,
// so that a project cannot put others in their place.
var toolDirs = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

func lookTool(name, pkg string) (string, error) {
	for _, dir := range toolDirs {
		path := filepath.Join(dir, name)
		if unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", &SupportError{Err: fmt.Errorf("%s is not installed, which running without root needs", name),
		Help: "install the package " + pkg + " (Debian's name for it), or run cic as root"}
}

// ownMaps are the maps of a namespace of which this user is root, as newuidmap(1) and
// newgidmap(1) take them: the range of /etc/subuid follows.
func ownMaps() (uids, gids []string, err error) {
	uid, gid := os.Getuid(), os.Getgid()
	name := strconv.Itoa(uid)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	for _, m := range []struct {
		file string
		own  int
		args *[]string
	}{{"/etc/subuid", uid, &uids}, {"/etc/subgid", gid, &gids}} {
		first, found, err := ownRange(m.file, name, strconv.Itoa(uid))
		if err != nil {
			return nil, nil, err
		}
		if !found {
			return nil, nil, &SupportError{Err: fmt.Errorf("%s gives user %s no range of %d ids, which running without root needs", m.file, name, Size),
				Help: fmt.Sprintf("sudo usermod --add-subuids 200000-265535 --add-subgids 200000-265535 %s, with ids that nobody has; or run cic as root", name)}
		}
		*m.args = []string{"0", strconv.Itoa(m.own), "1", "1", strconv.FormatUint(uint64(first), 10), strconv.Itoa(Size)}
	}
	return uids, gids, nil
}
