//go:build linux

package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Besides nf_tables the kernel has the tables of iptables before 1.8, today called
// iptables-legacy, of which nf_tables shows nothing; a packet must pass both. They
// can be replaced only as a whole, which would race with whoever else does, so they
// are read and never changed.
//
// Source: include/uapi/linux/netfilter_ipv4/ip_tables.h and netfilter/x_tables.h.
const (
	// legacyTables lists the tables that this network namespace has. To ask for
	// another would load its module, or make it.
	legacyTables = "/proc/thread-self/net/ip_tables_names"
	legacyFilter = "filter"

	soGetInfo    = 64 // IPT_SO_GET_INFO
	soGetEntries = 65 // IPT_SO_GET_ENTRIES

	hookForward = 2 // NF_INET_FORWARD
)

// legacyInfo is struct ipt_getinfo.
type legacyInfo struct {
	Name       [32]byte
	ValidHooks uint32
	HookEntry  [5]uint32
	Underflow  [5]uint32
	Entries    uint32
	Size       uint32
}

// legacyRule is struct ipt_entry, without the counters at its end.
type legacyRule struct {
	Src, Dst, SrcMask, DstMask uint32
	In, Out, InMask, OutMask   [unix.IFNAMSIZ]byte
	Proto                      uint16
	Flags, Inverted            uint8
	Cache                      uint32
	Target, Next               uint16
	Comefrom                   uint32
}

// Sizes in bytes, where 64-bit numbers are aligned to as much: struct ipt_entry, the
// head of struct ipt_get_entries, and struct xt_entry_target with the place of its
// name and the verdict that follows it in a standard target.
const (
	legacyRuleBytes    = 112
	legacyHeadBytes    = 40
	legacyTargetBytes  = 32
	legacyTargetName   = 2
	legacyVerdictBytes = 4
)

// The verdicts of a standard target: -NF_DROP-1 and -NF_ACCEPT-1.
const (
	legacyDrop   = -1
	legacyAccept = -2
)

// legacyObstacle says what of iptables-legacy drops the packets that are forwarded
// for a link; it is empty if nothing does.
func legacyObstacle(link string) (string, error) {
	names, err := os.ReadFile(legacyTables)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil // no such module
	}
	if err != nil {
		return "", err
	}
	if !slices.Contains(strings.Fields(string(names)), legacyFilter) {
		return "", nil
	}
	info, rules, err := readLegacy()
	if err != nil {
		return "", fmt.Errorf("read the rules of iptables-legacy: %w", err)
	}
	obstacle, err := judgeLegacy(rules, info.HookEntry[hookForward], info.Underflow[hookForward], link)
	if err != nil {
		return "", fmt.Errorf("read the rules of iptables-legacy: %w", err)
	}
	return obstacle, nil
}

// readLegacy reads the filter table. That it changes in between shows by its size.
func readLegacy() (info legacyInfo, rules []byte, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return info, nil, err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	for range 10 {
		buf := make([]byte, binary.Size(info))
		copy(buf, legacyFilter)
		if err := getsockopt(fd, soGetInfo, buf); err != nil {
			return info, nil, err
		}
		if _, err := binary.Decode(buf, binary.NativeEndian, &info); err != nil {
			return info, nil, err
		}
		buf = make([]byte, legacyHeadBytes+int(info.Size))
		copy(buf, legacyFilter)
		binary.NativeEndian.PutUint32(buf[len(info.Name):], info.Size)
		err := getsockopt(fd, soGetEntries, buf)
		if !errors.Is(err, unix.EAGAIN) {
			return info, buf[legacyHeadBytes:], err
		}
	}
	return info, nil, unix.EAGAIN
}

// getsockopt is getsockopt(2) of SOL_IP for an option that takes and gives bytes.
func getsockopt(fd, option int, buf []byte) error {
	size := uint32(len(buf))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_IP, uintptr(option),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// judgeLegacy says how a chain ends the way of what is forwarded for link. The chain
// lies in rules from the offset begin to its policy, which is at end. What a rule
// passes on to another chain is not followed.
func judgeLegacy(rules []byte, begin, end uint32, link string) (string, error) {
	passesIn, passesOut, refused := false, false, false
	for at := begin; at < end; {
		r, err := legacyRuleAt(rules, at)
		if err != nil {
			return "", err
		}
		if r.verdict == legacyAccept && r.general() {
			passesIn = passesIn || linkMatches(r.In, r.InMask, link) && r.OutMask == anyLink
			passesOut = passesOut || linkMatches(r.Out, r.OutMask, link) && r.InMask == anyLink
		}
		if passesIn && passesOut {
			return "", nil
		}
		refused = r.verdict == legacyDrop || r.target == "REJECT"
		at += uint32(r.Next)
	}
	policy, err := legacyRuleAt(rules, end)
	switch {
	case err != nil:
		return "", err
	case policy.verdict == legacyDrop:
		return "its chain FORWARD has the policy DROP", nil
	case refused:
		return "the last rule of its chain FORWARD drops or rejects", nil
	}
	return "", nil
}

// anyLink is the mask of a rule that asks for no link.
var anyLink [unix.IFNAMSIZ]byte

// legacyTarget is a rule with the name of its target or, if that is a standard
// target, without a name, its verdict.
type legacyTarget struct {
	legacyRule
	target  string
	verdict int32
}

func legacyRuleAt(rules []byte, at uint32) (r legacyTarget, err error) {
	if uint64(at)+legacyRuleBytes > uint64(len(rules)) {
		return r, errLegacyBounds
	}
	rest := rules[at:]
	if _, err := binary.Decode(rest, binary.NativeEndian, &r.legacyRule); err != nil {
		return r, err
	}
	if r.Target < legacyRuleBytes || int(r.Next) < int(r.Target)+legacyTargetBytes+legacyVerdictBytes || int(r.Next) > len(rest) {
		return r, errLegacyBounds
	}
	target := rest[r.Target:r.Next]
	if r.target = unix.ByteSliceToString(target[legacyTargetName : legacyTargetBytes-1]); r.target == "" {
		r.verdict = int32(binary.NativeEndian.Uint32(target[legacyTargetBytes:]))
	}
	return r, nil
}

var errLegacyBounds = errors.New("a rule is out of bounds")

// general reports whether a rule asks for nothing but links.
func (r *legacyRule) general() bool {
	return r.SrcMask == 0 && r.DstMask == 0 && r.Proto == 0 && r.Flags == 0 && r.Inverted == 0 && r.Target == legacyRuleBytes
}

// linkMatches compares the name of a link as the kernel does, up to where the mask
// ends: before the final NUL for a pattern like cic+, nowhere for any link.
func linkMatches(pattern, mask [unix.IFNAMSIZ]byte, link string) bool {
	var name [unix.IFNAMSIZ]byte
	copy(name[:], link)
	for i := range name {
		name[i] &= mask[i]
		pattern[i] &= mask[i]
	}
	return bytes.Equal(name[:], pattern[:])
}
