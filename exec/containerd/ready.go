//go:build linux

package containerd

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxPorts is how many of a service's ports are looked at (specification 22).
	maxPorts = 20
	// healthPort is the variable that names the one port to look at.
	healthPort = "HEALTHCHECK_TCP_PORT"
	// probeInterval is how often they are looked at.
	probeInterval = 20 * time.Millisecond
	// maxSocketList bounds what is read of a list of sockets. Those that listen are
	// its beginning.
	maxSocketList = 1 << 20
)

// servicePorts are the TCP ports that say whether a service is ready: the one that
// a variable names, or those that the image exposes, ascending.
func servicePorts(exposed map[string]struct{}, env []string) ([]int, error) {
	for _, entry := range env {
		value, found := strings.CutPrefix(entry, healthPort+"=")
		if !found || value == "" {
			continue
		}
		port, err := parsePort(value)
		if err != nil {
			return nil, configError("", "%s: %w", healthPort, err)
		}
		return []int{port}, nil
	}
	var ports []int
	for spec := range exposed {
		numbers, protocol, _ := strings.Cut(spec, "/")
		if protocol != "" && !strings.EqualFold(protocol, "tcp") {
			continue
		}
		// An image may hold anything here; what is no port is none to wait for.
		low, high, ranged := strings.Cut(numbers, "-")
		first, err := parsePort(low)
		last := first
		if err == nil && ranged {
			last, err = parsePort(high)
		}
		if err != nil {
			continue
		}
		for port := first; port <= last && port < first+maxPorts; port++ {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	ports = slices.Compact(ports)
	return ports[:min(len(ports), maxPorts)], nil
}

func parsePort(s string) (int, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is no port", s)
	}
	return int(port), nil
}

// awaitReady waits until one of the service's ports is open, as GitLab does: an
// image often exposes more ports than its configuration opens. A service without
// ports is ready at once. The error says why it is not ready; none is returned
// if the service has ended, which is told apart.
func (s *service) awaitReady(ctx context.Context) error {
	if len(s.ports) == 0 {
		return nil
	}
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for local := false; ; {
		listening, err := listeners(int(s.task.Pid()))
		if err != nil {
			return fmt.Errorf("cannot be looked into: %w", err)
		}
		for _, l := range listening {
			if slices.Contains(s.ports, l.port) {
				if !l.loopback {
					return nil
				}
				local = true
			}
		}
		select {
		case <-s.ended:
			return nil
		case <-ctx.Done():
			return notReady(s.ports, s.r.cfg.ServiceTimeout, local)
		case <-tick.C:
		}
	}
}

// notReady says what was waited for.
func notReady(ports []int, timeout time.Duration, local bool) error {
	text := "port " + strconv.Itoa(ports[0]) + " is not"
	if len(ports) > 1 {
		list := make([]string, len(ports))
		for i, port := range ports {
			list[i] = strconv.Itoa(port)
		}
		text = "none of its ports " + strings.Join(list, ", ") + " is"
	}
	if local {
		return fmt.Errorf("is not ready after %v: %s open to others, it listens on its loopback only", timeout, text)
	}
	return fmt.Errorf("is not ready after %v: %s open", timeout, text)
}

// listener is a TCP socket that accepts connections.
type listener struct {
	port int
	// loopback: only from its own network namespace.
	loopback bool
}

// listeners lists those of the network namespace of a process. To look is not to
// connect: servers log connections that say nothing, and some count them. A
// process that is gone has none.
func listeners(pid int) ([]listener, error) {
	var all []listener
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // no such process, or no IPv6
		}
		if err != nil {
			return nil, err
		}
		found, err := parseListeners(io.LimitReader(f, maxSocketList))
		if err := errors.Join(err, f.Close()); err != nil && !errnoIs(err, unix.ENOENT, unix.ESRCH, unix.EINVAL) {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// parseListeners reads /proc/net/tcp or tcp6 (proc(5)): each line after the first
// holds a number, the local and the remote address, and the state. Addresses
// are 32-bit words in the machine's order, in hexadecimal.
func parseListeners(r io.Reader) ([]listener, error) {
	const stateListen = "0A"
	var found []listener
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != stateListen {
			continue
		}
		words, number, _ := strings.Cut(fields[1], ":")
		port, err := strconv.ParseUint(number, 16, 16)
		addr, ok := parseAddr(words)
		if !ok || err != nil {
			continue
		}
		found = append(found, listener{int(port), addr.Unmap().IsLoopback()})
	}
	return found, lines.Err()
}

// parseAddr reads the words of an address.
func parseAddr(s string) (netip.Addr, bool) {
	const digits = 8 // of a word
	var raw []byte
	for ; len(s) >= digits; s = s[digits:] {
		word, err := strconv.ParseUint(s[:digits], 16, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		raw = binary.NativeEndian.AppendUint32(raw, uint32(word))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return addr, ok && s == ""
}
