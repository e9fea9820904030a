//go:build linux

package network

import (
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// legacyReplace is struct ipt_replace, short of the rules that follow it.
type legacyReplace struct {
	Name       [32]byte
	ValidHooks uint32
	Entries    uint32
	Size       uint32
	HookEntry  [5]uint32
	Underflow  [5]uint32
	Counters   uint32
	Old        uint64 // where to write the counters of the old rules
}

// legacyTable is a filter table.
type legacyTable struct {
	legacyInfo
	rules []byte
}

// set replaces the filter table of this network namespace, which has as many rules
// as were, as iptables-legacy would.
func (l legacyTable) set(t *testing.T, were uint32) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	must(t, err)
	defer unix.Close(fd)
	counters := make([]byte, 16*were)
	buf, err := binary.Append(nil, binary.NativeEndian, legacyReplace{Name: l.Name, ValidHooks: l.ValidHooks,
		Entries: l.Entries, Size: uint32(len(l.rules)), HookEntry: l.HookEntry, Underflow: l.Underflow,
		Counters: were, Old: uint64(uintptr(unsafe.Pointer(&counters[0])))})
	must(t, err)
	must(t, unix.SetsockoptString(fd, unix.SOL_IP, soGetInfo, string(append(buf, l.rules...)))) // IPT_SO_SET_REPLACE
	runtime.KeepAlive(counters)
}

// with is the table with rules at the beginning of FORWARD.
func (l legacyTable) with(rules ...[]byte) legacyTable {
	l.rules = slices.Clone(l.rules)
	for _, rule := range slices.Backward(rules) {
		l.rules = slices.Insert(l.rules, int(l.HookEntry[hookForward]), rule...)
		l.Entries++
		for hook := range l.HookEntry {
			if hook > hookForward {
				l.HookEntry[hook] += uint32(len(rule))
			}
			if hook >= hookForward {
				l.Underflow[hook] += uint32(len(rule))
			}
		}
	}
	return l
}

// policy is the table with another policy of FORWARD.
func (l legacyTable) policy(verdict int32) legacyTable {
	l.rules = slices.Clone(l.rules)
	binary.NativeEndian.PutUint32(l.rules[l.Underflow[hookForward]+legacyRuleBytes+legacyTargetBytes:], uint32(verdict))
	return l
}

func (l legacyTable) judge(link string) (string, error) {
	return judgeLegacy(l.rules, l.HookEntry[hookForward], l.Underflow[hookForward], link)
}

// legacyLinks is a rule for what comes from in or goes to out, patterns that may end
// in +, empty for any link. A verdict of 0 is the target REJECT.
func legacyLinks(t testing.TB, in, out string, verdict int32) []byte {
	t.Helper()
	const target = legacyTargetBytes + 8
	r := legacyRule{Target: legacyRuleBytes, Next: legacyRuleBytes + target}
	for _, link := range []struct {
		pattern    string
		name, mask *[unix.IFNAMSIZ]byte
	}{{in, &r.In, &r.InMask}, {out, &r.Out, &r.OutMask}} {
		name, open := strings.CutSuffix(link.pattern, "+")
		n := copy(link.name[:], name)
		if !open && name != "" {
			n++ // the NUL counts
		}
		for i := range n {
			link.mask[i] = 0xff
		}
	}
	rule, err := binary.Append(nil, binary.NativeEndian, r)
	must(t, err)
	rule = append(rule, make([]byte, int(r.Next)-len(rule))...)
	binary.NativeEndian.PutUint16(rule[r.Target:], target)
	if verdict == 0 {
		copy(rule[r.Target+legacyTargetName:], "REJECT")
	}
	binary.NativeEndian.PutUint32(rule[r.Target+legacyTargetBytes:], uint32(verdict))
	return rule
}

// emptyLegacy is the table of a machine without rules: an entry for the policy of
// each of three chains.
func emptyLegacy(t testing.TB) legacyTable {
	t.Helper()
	l := legacyTable{legacyInfo: legacyInfo{Entries: 3}}
	for hook := 1; hook <= 3; hook++ {
		l.HookEntry[hook], l.Underflow[hook] = uint32(len(l.rules)), uint32(len(l.rules))
		l.rules = append(l.rules, legacyLinks(t, "", "", legacyAccept)...)
	}
	return l
}

func TestJudgeLegacy(t *testing.T) {
	empty := emptyLegacy(t)
	accept := func(in, out string) []byte { return legacyLinks(t, in, out, legacyAccept) }
	from, to := accept("cic+", ""), accept("", "cic+")
	other := slices.Clone(from)
	other[8] = 1 // a mask of the source: only some of it
	for name, test := range map[string]struct {
		table legacyTable
		want  string
	}{
		"empty":              {empty, ""},
		"drops":              {empty.policy(legacyDrop), "its chain FORWARD has the policy DROP"},
		"passes":             {empty.policy(legacyDrop).with(from, to), ""},
		"passes by name":     {empty.policy(legacyDrop).with(accept("cic0", ""), accept("", "cic0")), ""},
		"passes all":         {empty.policy(legacyDrop).with(accept("", "")), ""},
		"passes one way":     {empty.policy(legacyDrop).with(from), "its chain FORWARD has the policy DROP"},
		"passes another":     {empty.policy(legacyDrop).with(accept("cic1", ""), accept("", "cic0")), "its chain FORWARD has the policy DROP"},
		"passes between":     {empty.policy(legacyDrop).with(accept("cic+", "cic+")), "its chain FORWARD has the policy DROP"},
		"passes some":        {empty.policy(legacyDrop).with(other, to), "its chain FORWARD has the policy DROP"},
		"rejects at the end": {empty.with(accept("eth0", "eth1"), legacyLinks(t, "", "", 0)), "the last rule of its chain FORWARD drops or rejects"},
		"drops at the end":   {empty.with(legacyLinks(t, "", "", legacyDrop)), "the last rule of its chain FORWARD drops or rejects"},
		"passes before that": {empty.with(from, to, legacyLinks(t, "", "", 0)), ""},
		"drops in between":   {empty.with(legacyLinks(t, "eth0", "", legacyDrop), from), ""},
	} {
		if got, err := test.table.judge("cic0"); err != nil || got != test.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, test.want)
		}
	}
	// The kernel gives no such table; memory is not read beyond it all the same.
	for n := range empty.rules {
		cut := empty
		cut.rules = empty.rules[:n]
		if _, err := cut.judge("cic0"); err == nil && n < int(empty.HookEntry[hookForward])+legacyRuleBytes+legacyTargetBytes+legacyVerdictBytes {
			t.Fatalf("no error for %d bytes", n)
		}
	}
}

// On a machine whose iptables-legacy drops what is forwarded jobs reach nothing, and
// that is found out. Once its owner does as the help says, they do.
func TestLegacyRules(t *testing.T) {
	machine(t)
	if found, err := legacyObstacle("cic0"); found != "" || err != nil {
		t.Fatalf("without a table: %q, %v", found, err)
	}
	info, rules, err := readLegacy() // which makes the table
	if errors.Is(err, unix.ENOPROTOOPT) || errors.Is(err, unix.ENOENT) {
		// Also where all else is required: a kernel may be built without it
		// (CONFIG_IP_NF_IPTABLES_LEGACY), and nothing else offers it.
		t.Skip("this kernel has no iptables-legacy")
	}
	must(t, err)
	empty := legacyTable{info, rules}
	if found, err := legacyObstacle("cic0"); found != "" || err != nil {
		t.Fatalf("a table without rules: %q, %v", found, err)
	}
	empty.policy(legacyDrop).set(t, empty.Entries)
	neighbour(t)
	n := open(t, "r")
	found, err := n.Outbound()
	must(t, err)
	if found.Obstacle == nil || !strings.HasSuffix(found.Obstacle.Error(), "its chain FORWARD has the policy DROP, and no rule lets those of jobs pass") {
		t.Errorf("found %v", found.Obstacle)
	}
	doctor, err := Examine()
	must(t, err)
	if doctor.Obstacle == nil || doctor.Obstacle.Help != "iptables-legacy -I FORWARD -i cic+ -j ACCEPT; iptables-legacy -I FORWARD -o cic+ -j ACCEPT" {
		t.Errorf("found %v", doctor.Obstacle)
	}
	helped := empty.policy(legacyDrop).with(legacyLinks(t, "cic+", "", legacyAccept), legacyLinks(t, "", "cic+", legacyAccept))
	helped.set(t, empty.Entries)
	if found, err := legacyObstacle("cic0"); found != "" || err != nil {
		t.Errorf("helped: %q, %v", found, err)
	}
	s, err := n.Segment(false)
	must(t, err)
	if said, err := dial(t, attach(t, s).ns, "203.0.113.9"); err != nil || said != "203.0.113.1" {
		t.Errorf("the neighbour saw %q, %v", said, err)
	}
}
