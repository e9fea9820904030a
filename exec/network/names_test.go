package network

import (
	"net/netip"
	"testing"
)

func TestReachable(t *testing.T) {
	for _, tt := range []struct {
		name, in, out    string
		servers, dropped int
	}{
		{"ordinary", "search a.example\nnameserver 192.0.2.53\noptions ndots:1\n", "search a.example\nnameserver 192.0.2.53\noptions ndots:1\n", 1, 0},
		{"systemd-resolved", "# stub\nnameserver 127.0.0.53\noptions edns0\n", "# stub\noptions edns0\n", 0, 1},
		{"mixed", "nameserver 127.0.0.1\nnameserver 10.0.0.1\nnameserver ::1\nnameserver fd00::1", "nameserver 10.0.0.1\n", 1, 3},
		{"mapped", "nameserver ::ffff:10.0.0.1\n", "nameserver ::ffff:10.0.0.1\n", 1, 0},
		{"zero is the loopback", "nameserver 0.0.0.0\n", "", 0, 1},
		{"no address", "nameserver one\nnameserver\n#nameserver 10.0.0.1\n", "nameserver one\nnameserver\n#nameserver 10.0.0.1\n", 0, 0},
		{"empty", "", "", 0, 0},
	} {
		out, servers, dropped := reachable([]byte(tt.in))
		if string(out) != tt.out || servers != tt.servers || dropped != tt.dropped {
			t.Errorf("%s: got %q, %d, %d", tt.name, out, servers, dropped)
		}
	}
}

func TestHostsFile(t *testing.T) {
	names := []Name{{netip.MustParseAddr("10.0.0.2"), []string{"cic"}}, {netip.MustParseAddr("10.0.0.3"), []string{"db", "postgres"}}}
	const own = "10.0.0.2 cic\n10.0.0.3 db postgres\n"
	if got := string(HostsFile(nil, names)); got != "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"+own {
		t.Errorf("got %q", got)
	}
	base := []byte("127.0.0.1 localhost machine")
	if got := string(HostsFile(base, names)); got != string(base)+"\n"+own {
		t.Errorf("got %q", got)
	}
	if got := string(HostsFile([]byte{}, nil)); got != "" {
		t.Errorf("got %q", got)
	}
}
