package network

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
)

// resolvConf is the machine's resolver configuration (resolv.conf(5)).
const resolvConf = "/etc/resolv.conf"

// systemdResolvConf names the servers that systemd-resolved asks, where the
// ordinary file names only itself (systemd-resolved.service(8)).
const systemdResolvConf = "/run/systemd/resolve/resolv.conf"

// ErrNoResolver says that containers cannot reach any of the machine's name servers.
var ErrNoResolver = errors.New("the machine's name servers have only loopback or IPv6 addresses, which jobs cannot reach")

// ResolvConf returns the machine's resolver configuration for a container with a
// network of its own: without servers on the loopback or of IPv6. If no server is
// left, the error is [ErrNoResolver].
func ResolvConf() ([]byte, error) {
	unreachable := false
	for _, path := range []string{resolvConf, systemdResolvConf} {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		text, servers, dropped := reachable(data)
		if servers > 0 {
			return text, nil
		}
		unreachable = unreachable || dropped > 0
	}
	if unreachable {
		return nil, ErrNoResolver
	}
	return nil, nil
}

// reachable drops the name servers of a configuration that a container cannot
// reach, and counts both kinds.
func reachable(data []byte) (text []byte, servers, dropped int) {
	var b bytes.Buffer
	for line := range strings.Lines(string(data)) {
		if server, ok := nameserver(line); ok {
			if server.IsLoopback() || server.IsUnspecified() || server.Is6() {
				dropped++
				continue
			}
			servers++
		}
		b.WriteString(line)
	}
	return b.Bytes(), servers, dropped
}

// nameserver is the address that a line names.
func nameserver(line string) (netip.Addr, bool) {
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[0] != "nameserver" {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(fields[1])
	return addr.Unmap(), err == nil
}

// nameservers are the machine's.
func nameservers() (servers []netip.Addr, err error) {
	for _, path := range []string{resolvConf, systemdResolvConf} {
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for line := range strings.Lines(string(data)) {
			if server, ok := nameserver(line); ok {
				servers = append(servers, server)
			}
		}
	}
	return servers, nil
}

// Name is an entry of a hosts file.
type Name struct {
	Addr  netip.Addr
	Names []string
}

// HostsFile is the text of a hosts(5) file: the loopback, then own. base replaces
// the loopback's entries if it is not nil.
func HostsFile(base []byte, own []Name) []byte {
	b := bytes.NewBuffer(bytes.Clone(base))
	if base == nil {
		b.WriteString("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
	} else if len(base) > 0 && base[len(base)-1] != '\n' {
		b.WriteByte('\n')
	}
	for _, n := range own {
		fmt.Fprintf(b, "%s %s\n", n.Addr, strings.Join(n.Names, " "))
	}
	return b.Bytes()
}

// Loopback is the address of every network's own loopback.
var Loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})
