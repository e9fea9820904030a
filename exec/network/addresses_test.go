//go:build linux

package network

import (
	"net/netip"
	"strings"
	"testing"
)

func TestChoosePool(t *testing.T) {
	for _, test := range []struct{ taken, want string }{
		{"", "10.213.0.0/16"},
		{"192.168.0.0/16 10.0.0.0/24", "10.213.0.0/16"},
		{"10.213.4.5/32", "10.147.0.0/16"},
		{"10.0.0.0/8", "172.29.0.0/16"},
		{"10.0.0.0/8 172.16.0.0/12", "198.18.0.0/16"},
		{"0.0.0.0/1 128.0.0.0/1", ""},
	} {
		var taken []netip.Prefix
		for _, p := range strings.Fields(test.taken) {
			taken = append(taken, netip.MustParsePrefix(p))
		}
		got, err := choosePool(taken)
		if want := test.want; (err != nil) != (want == "") || err == nil && got.String() != want {
			t.Errorf("taken %s: got %v, %v; want %s", test.taken, got, err, want)
		}
	}
}

// The ranges of segments and uplinks do not meet.
func TestAddresses(t *testing.T) {
	pool := netip.MustParsePrefix("10.213.0.0/16")
	if got := segmentPrefix(pool, 0).String(); got != "10.213.0.0/26" {
		t.Error(got)
	}
	last := segmentPrefix(pool, maxSegments-1)
	if last.String() != "10.213.127.192/26" {
		t.Error(last)
	}
	s := &Segment{prefix: last}
	var h *Host
	for range maxHosts {
		var err error
		h, err = s.Host()
		must(t, err)
	}
	if h.Addr.String() != "10.213.127.254" {
		t.Error(h.Addr)
	}
	if _, err := s.Host(); err == nil {
		t.Error("a host more than there are addresses")
	}
}
