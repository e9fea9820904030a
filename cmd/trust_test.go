package cmd

import (
	"io/fs"
	"testing"
)

func TestWriters(t *testing.T) {
	for _, test := range []struct {
		mode fs.FileMode
		open bool
	}{
		{0o644, false},
		{0o664, false},
		{0o666, true},
		{0o602, true},
		{fs.ModeDir | 0o755, false},
		{fs.ModeDir | 0o777, true},
		{fs.ModeDir | fs.ModeSticky | 0o777, false},
		{fs.ModeSticky | 0o666, true},
	} {
		if got := writers(test.mode); (got != "") != test.open {
			t.Errorf("%v: %q", test.mode, got)
		}
	}
}

func TestStranger(t *testing.T) {
	for _, test := range []struct {
		owner      uint32
		sudo, want string
	}{
		{0, "", ""},
		{0, "1000", ""},
		{1000, "1000", ""},
		{1000, "", "another user (uid 1000)"},
		{1001, "1000", "another user (uid 1001)"},
	} {
		if got := stranger(test.owner, test.sudo); got != test.want {
			t.Errorf("%d, sudo by %q: got %q", test.owner, test.sudo, got)
		}
	}
}
