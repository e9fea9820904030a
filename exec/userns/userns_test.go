package userns

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestRanges(t *testing.T) {
	for _, test := range []struct {
		name  string
		owner uint32
		want  []Range
	}{
		{"root", 0, []Range{{0, 1000000, 65535}}},
		{"a user", 1000, []Range{{0, 1000000, 65535}}},
		{"the last of 16 bits", 65535, []Range{{0, 1000000, 65535}}},
		{"of a directory service", 1234567890, []Range{{0, 1000000, 65535}, {1234567890, 1065535, 1}}},
		{"the spare one", 1<<32 - 2, []Range{{0, 1000000, 65535}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ranges(1000000, test.owner); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestHost(t *testing.T) {
	m := Mapping{UID: ranges(1000000, 70000), GID: ranges(2000000, 0)}
	for _, test := range []struct {
		uid, gid, hostUID, hostGID uint32
		ok                         bool
	}{
		{0, 0, 1000000, 2000000, true},
		{65534, 65534, 1065534, 2065534, true},
		{70000, 100, 1065535, 2000100, true},
		{70001, 0, 0, 2000000, false},
		{65535, 0, 0, 2000000, false},
		{0, 70000, 1000000, 0, false},
	} {
		uid, gid, ok := m.Host(test.uid, test.gid)
		if uid != test.hostUID || gid != test.hostGID || ok != test.ok {
			t.Errorf("%d:%d is %d:%d, %v", test.uid, test.gid, uid, gid, ok)
		}
	}
	if uid, gid := m.Root(); uid != 1000000 || gid != 2000000 {
		t.Errorf("root is %d:%d", uid, gid)
	}
}

func TestSubordinate(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       uint32
		fails      bool
	}{
		{"nothing", "", firstID, false},
		{"others", "alice:100000:65536\n# root:1:65536\n", firstID, false},
		{"root", "alice:100000:65536\nroot:165536:65536\nroot:300000:65536\n", 165536, false},
		{"root by number", "0:165536:100000\n", 165536, false},
		{"too few", "root:1000:1000\nroot:231072:65536\n", 231072, false},
		{"no number", "root:x:65536\n", 0, true},
		{"overflow", "root:4294967295:65536\n", 0, true},
		{"root itself", "root:0:65536\n", 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "subuid")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := subordinate(path)
			if got != test.want || (err != nil) != test.fails {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
	if got, err := subordinate(filepath.Join(t.TempDir(), "missing")); got != firstID || err != nil {
		t.Errorf("without the file: %d, %v", got, err)
	}
}

// A user has a range by name or by number, and not that of another.
func TestOwnRange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "subuid")
	if err := os.WriteFile(path, []byte("alice:100000:65536\n1001:200000:65536\nbob:300000:65535\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, number string
		want         uint32
		found        bool
	}{{"alice", "1000", 100000, true}, {"carol", "1001", 200000, true}, {"bob", "1002", 0, false}, {"dave", "1003", 0, false}} {
		if got, found, err := ownRange(path, test.name, test.number); got != test.want || found != test.found || err != nil {
			t.Errorf("%s: %d, %v, %v", test.name, got, found, err)
		}
	}
}
