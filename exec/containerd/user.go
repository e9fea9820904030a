//go:build linux

package containerd

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// account is who a job's processes are.
type account struct {
	uid, gid uint32
	// groups are the supplementary groups.
	groups []uint32
	home   string
}

// lookupAccount resolves "uid", "uid:gid", "name" or "name:group" (empty: root)
// with an image's passwd and group files. Numbers above the largest int32 are
// refused: they have overflowed to root before (CVE-2024-40635).
func lookupAccount(spec, passwd, group string) (account, error) {
	if spec == "" {
		spec = "0"
	}
	user, groupName, hasGroup := strings.Cut(spec, ":")
	a, name, err := lookupUser(user, passwd)
	if err != nil {
		return account{}, err
	}
	if !hasGroup {
		a.groups = memberships(name, group)
		return a, nil
	}
	if isNumber(groupName) {
		a.gid, err = parseID("group", groupName)
		return a, err
	}
	for fields := range records(group, 3) {
		if fields[0] == groupName {
			a.gid, err = parseID("group", fields[2])
			return a, err
		}
	}
	return account{}, fmt.Errorf("no group %q", groupName)
}

// lookupUser finds a user by number or name. A number need not be in the file;
// name is empty then.
func lookupUser(user, passwd string) (a account, name string, err error) {
	a.home = "/"
	column := 0
	if isNumber(user) {
		column = 2
		if a.uid, err = parseID("user", user); err != nil {
			return account{}, "", err
		}
		user = strconv.FormatUint(uint64(a.uid), 10)
		if a.uid == 0 {
			a.home = "/root"
		}
	}
	for fields := range records(passwd, 6) {
		if fields[column] != user {
			continue
		}
		if a.uid, err = parseID("user", fields[2]); err != nil {
			return account{}, "", err
		}
		if a.gid, err = parseID("group", fields[3]); err != nil {
			return account{}, "", err
		}
		if strings.HasPrefix(fields[5], "/") {
			a.home = fields[5]
		}
		return a, fields[0], nil
	}
	switch {
	case column == 2:
		return a, "", nil
	case user == "root":
		// An image without accounts has root nevertheless.
		return account{home: "/root"}, user, nil
	}
	return account{}, "", fmt.Errorf("no user %q", user)
}

// memberships lists the groups that a user is a member of.
func memberships(user, group string) []uint32 {
	var groups []uint32
	if user == "" {
		return nil
	}
	for fields := range records(group, 4) {
		if !slices.Contains(strings.Split(fields[3], ","), user) {
			continue
		}
		if gid, err := parseID("group", fields[2]); err == nil {
			groups = append(groups, gid)
		}
	}
	return groups
}

// records yields the lines of a passwd or group file that have at least n fields.
func records(text string, n int) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			fields := strings.Split(strings.TrimRight(line, "\r\n"), ":")
			if len(fields) >= n && fields[0] != "" && !yield(fields) {
				return
			}
		}
	}
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func parseID(what, s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > math.MaxInt32 {
		return 0, fmt.Errorf("%s id %q is not a number between 0 and %d", what, s, math.MaxInt32)
	}
	return uint32(n), nil
}
