//go:build linux

package containerd

import (
	"encoding/binary"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestServicePorts(t *testing.T) {
	for _, tt := range []struct {
		exposed, env string
		want         []int
	}{
		{"", "", nil},
		{"5432/tcp", "", []int{5432}},
		{"8080 443/tcp 53/udp 80/TCP 8080/tcp", "", []int{80, 443, 8080}},
		{"7000-7002/tcp 9/sctp", "", []int{7000, 7001, 7002}},
		{"0/tcp 65536/tcp -1/tcp x 5-x/tcp 9-7/tcp", "", nil},
		{"5432/tcp", "HEALTHCHECK_TCP_PORT=80", []int{80}},
		{"5432/tcp", "HEALTHCHECK_TCP_PORT=", []int{5432}},
	} {
		exposed := map[string]struct{}{}
		for _, e := range strings.Fields(tt.exposed) {
			exposed[e] = struct{}{}
		}
		got, err := servicePorts(exposed, []string{"A=b", tt.env})
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s %s: got %v, %v", tt.exposed, tt.env, got, err)
		}
	}
	if got, err := servicePorts(map[string]struct{}{"1-65535/tcp": {}}, nil); err != nil || len(got) != maxPorts || got[0] != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"http", "0", "65536", "80/tcp"} {
		if _, err := servicePorts(nil, []string{"HEALTHCHECK_TCP_PORT=" + bad}); err == nil {
			t.Errorf("port %q is accepted", bad)
		}
	}
}

// What the kernel of a little-endian machine shows.
const socketList = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0200D50A:0051 0300D50A:1538 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
`

const socketList6 = `  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A
   1: 00000000000000000000000000000000:0052 00000000000000000000000000000000:0000 0A
   2: 0000000000000000FFFF00000100007F:1F92 00000000000000000000000000000000:0000 0A
`

func TestParseListeners(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the lists are those of a little-endian machine")
	}
	for list, want := range map[string][]listener{
		socketList:  {{8080, true}, {80, false}},
		socketList6: {{8081, true}, {82, false}, {8082, true}},
		"":          nil,
		"a\nb c d 0A\n0: 0:0 0 0A\n1: 0100007:1F90 0 0A\n2: 0100007F:11F90 0 0A\n": nil,
	} {
		got, err := parseListeners(strings.NewReader(list))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	}
}

// This process's own network, and one that is not there.
func TestListeners(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	found, err := listeners(os.Getpid())
	if err != nil || !slices.Contains(found, listener{l.Addr().(*net.TCPAddr).Port, true}) {
		t.Errorf("got %v, %v", found, err)
	}
	if found, err := listeners(1 << 30); err != nil || len(found) > 0 {
		t.Errorf("got %v, %v", found, err)
	}
}

func FuzzParseListeners(f *testing.F) {
	f.Add(socketList)
	f.Add(socketList6)
	f.Add("0: 0100007F:1F90 00000000:0000 0A")
	f.Fuzz(func(t *testing.T, list string) {
		found, err := parseListeners(strings.NewReader(list))
		if err != nil {
			return
		}
		for _, l := range found {
			if l.port < 0 || l.port > 65535 {
				t.Errorf("port %d", l.port)
			}
		}
	})
}
