// Package userns chooses the ids that jobs have outside of their user namespaces,
// and makes the namespace that file systems are mounted by, so that a job's view
// of their owners and the machine's agree (user_namespaces(7), mount_setattr(2)).
//
// A user namespace maps ids: what is user 0 in the job is a user without any rights
// outside. Files on the disk keep the ids that they would have without user
// namespaces: mounts translate between the disk and the job.
package userns

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
)

const (
	// Size is how many ids a range has: all that 16 bits can number.
	Size = 1 << 16
	// firstID begins the range where the machine names none: the last of those that
	// systemd sets aside for containers, 524288 to 1879048191 (UIDS-GIDS of systemd).
	firstID = 1879048192 - Size
	// invalidID is no id, to 16 bits (-1 is none, chown(2)).
	invalidID = math.MaxUint16
)

// Range maps the ids of a user namespace from Inside on to those of the machine
// from Host on. Size is at least 1.
type Range struct{ Inside, Host, Size uint32 }

// Mapping is what a user namespace maps.
type Mapping struct{ UID, GID []Range }

// Root returns the machine's ids of the namespace's user and group 0.
func (m Mapping) Root() (uid, gid uint32) { return m.UID[0].Host, m.GID[0].Host }

// Host returns the machine's ids of a user and a group of the namespace. ok is false
// if one of them is not mapped.
func (m Mapping) Host(uid, gid uint32) (hostUID, hostGID uint32, ok bool) {
	hostUID, hasUID := lookup(m.UID, uid)
	hostGID, hasGID := lookup(m.GID, gid)
	return hostUID, hostGID, hasUID && hasGID
}

func lookup(ranges []Range, id uint32) (uint32, bool) {
	for _, r := range ranges {
		if id >= r.Inside && id-r.Inside < r.Size {
			return r.Host + (id - r.Inside), true
		}
	}
	return 0, false
}

// SupportError says what the machine lacks for a program without root.
type SupportError struct {
	Err error
	// Help says what to do about it.
	Help string
}

// Error returns the text of Err.
func (e *SupportError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *SupportError) Unwrap() error { return e.Err }

// Choose returns the mapping for jobs that work on files of a user and a group: ids
// up to 65534, and these two where they are larger, as those of directory services
// are. It takes [Size] ids of the machine: the first that /etc/subuid and
// /etc/subgid (subuid(5)) give root, or if they give it none, those from
// 1878982656 on.
func Choose(owner, group uint32) (Mapping, error) {
	uid, err := subordinate("/etc/subuid")
	if err != nil {
		return Mapping{}, err
	}
	gid, err := subordinate("/etc/subgid")
	if err != nil {
		return Mapping{}, err
	}
	return Mapping{UID: ranges(uid, owner), GID: ranges(gid, group)}, nil
}

// ranges maps the ids below invalidID, and with the one that is left owner.
func ranges(first, owner uint32) []Range {
	list := []Range{{Inside: 0, Host: first, Size: invalidID}}
	if owner > invalidID && owner < math.MaxUint32-1 { // see spareID
		list = append(list, Range{Inside: owner, Host: first + invalidID, Size: 1})
	}
	return list
}

// subordinate finds root's range in a file like /etc/subuid, or else the default.
func subordinate(path string) (first uint32, err error) {
	first, found, err := ownRange(path, "root", "0")
	if err == nil && !found {
		first = firstID
	}
	return first, err
}

// ownRange finds the first range of [Size] ids that a file like /etc/subuid (subuid(5))
// gives a user, who stands in it with a name or a number.
func ownRange(path, name, number string) (first uint32, found bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if len(fields) != 3 || fields[0] != name && fields[0] != number {
			continue
		}
		start, startErr := strconv.ParseUint(fields[1], 10, 32)
		count, countErr := strconv.ParseUint(fields[2], 10, 32)
		if startErr != nil || countErr != nil || start == 0 || start+count > math.MaxUint32 {
			return 0, false, fmt.Errorf("%s: %q is not %s:FIRST:COUNT", path, lines.Text(), name)
		}
		if count >= Size {
			return uint32(start), true, nil
		}
	}
	return 0, false, lines.Err()
}
