//go:build linux

package network

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// requireRoot skips a test where no network namespace can be made.
func requireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CIC_REQUIRE_CONTAINERD") == "1" {
		t.Fatal("CIC_REQUIRE_CONTAINERD=1, but network namespaces need root")
	}
	t.Skip("network namespaces need root")
}

// machine moves the test to a network namespace of its own, which plays the
// machine: with a link that leads nowhere to 192.0.2.2, as the real one's
// settings are not the test's to change.
func machine(t *testing.T) {
	t.Helper()
	requireRoot(t)
	runtime.LockOSThread()
	home, err := netns.Get()
	must(t, err)
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	t.Cleanup(func() {
		if err := errors.Join(netns.Set(home), home.Close()); err != nil {
			t.Error(err)
			return // the thread ends with the test
		}
		runtime.UnlockOSThread()
	})
	must(t, os.WriteFile(forwarding, []byte("0"), 0))
	for _, l := range []struct{ name, addr string }{{"lo", "127.0.0.1/8"}, {"uplink", "192.0.2.2/24"}} {
		if l.name != "lo" {
			attrs := netlink.NewLinkAttrs()
			attrs.Name, attrs.MTU = l.name, 1400
			must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "nowhere"}))
			peer, err := netlink.LinkByName("nowhere")
			must(t, err)
			must(t, netlink.LinkSetUp(peer))
		}
		link, err := netlink.LinkByName(l.name)
		must(t, err)
		must(t, netlink.LinkSetUp(link))
		addr, err := netlink.ParseAddr(l.addr)
		must(t, err)
		if l.name != "lo" {
			must(t, netlink.AddrAdd(link, addr))
			must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.IPv4(192, 0, 2, 1)}))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, run string) *Network {
	t.Helper()
	n, err := Open(run)
	must(t, err)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// container is a process in a network namespace of its own.
type container struct {
	pid  int
	ns   netns.NsHandle
	host *Host
}

func attach(t *testing.T, s *Segment) *container {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: 0}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	h, err := s.Host()
	must(t, err)
	must(t, h.Attach(cmd.Process.Pid))
	ns, err := netns.GetFromPid(cmd.Process.Pid)
	must(t, err)
	t.Cleanup(func() { ns.Close() })
	return &container{cmd.Process.Pid, ns, h}
}

// in calls do on a thread in a network namespace.
func in(t *testing.T, ns netns.NsHandle, do func() error) error {
	t.Helper()
	return elsewhere(func() error { return netns.Set(ns) }, do)
}

// socket makes a TCP socket on this thread: package net resolves and dials on others.
func socket() (int, error) {
	return unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

const port = 7777

// serve listens in a namespace and answers each connection with its peer's address.
func serve(t *testing.T, ns netns.NsHandle, addr netip.Addr) {
	t.Helper()
	var file *os.File
	must(t, in(t, ns, func() error {
		fd, err := socket()
		if err != nil {
			return err
		}
		file = os.NewFile(uintptr(fd), "listener")
		return errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: addr.As4()}), unix.Listen(fd, 8))
	}))
	l, err := net.FileListener(file)
	must(t, errors.Join(err, file.Close()))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, c.RemoteAddr().(*net.TCPAddr).IP)
			c.Close()
		}
	}()
}

// dial connects from a namespace and returns what the server says.
func dial(t *testing.T, ns netns.NsHandle, addr string) (said string, err error) {
	t.Helper()
	to := netip.MustParseAddr(addr)
	err = in(t, ns, func() error {
		fd, err := socket()
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(fd), "connection")
		defer file.Close()
		// Where nothing answers the test must end all the same, and fail.
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 20}); err != nil {
			return err
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: to.As4()}); err != nil {
			return err
		}
		data, err := io.ReadAll(file)
		said = string(data)
		return err
	})
	return said, err
}

func here(t *testing.T) netns.NsHandle {
	t.Helper()
	ns, err := netns.Get()
	must(t, err)
	t.Cleanup(func() { ns.Close() })
	return ns
}

// links and rules of the machine that are cic's.
func left(t *testing.T) (found []string) {
	t.Helper()
	list, err := consistent(netlink.LinkList)
	must(t, err)
	for _, l := range list {
		if isHostLink(l.Attrs().Name) {
			found = append(found, "link "+l.Attrs().Name)
		}
	}
	c, err := nftables.New()
	must(t, err)
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyIPv4)
	must(t, err)
	for _, table := range tables {
		chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
		must(t, err)
		if isHostLink(table.Name) {
			found = append(found, "table "+table.Name)
		}
		for _, chain := range chains {
			rules, err := c.GetRules(table, chain)
			if chain.Table.Name != table.Name || err != nil {
				continue
			}
			for _, r := range rules {
				if link := linkOf(r); isHostLink(link) {
					found = append(found, "rule for "+link)
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// neighbour makes 203.0.113.9, which the machine reaches through a link, as
// 203.0.113.1, and serves there.
func neighbour(t *testing.T) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ns, err := netns.GetFromPid(cmd.Process.Pid)
	must(t, err)
	t.Cleanup(func() { ns.Close() })
	pair := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "eth0"}
	pair.Name, pair.PeerNamespace = "lan", netlink.NsFd(ns)
	must(t, netlink.LinkAdd(pair))
	must(t, netlink.LinkSetUp(pair))
	must(t, netlink.AddrAdd(pair, ipAddr(netip.MustParseAddr("203.0.113.1"), 24)))
	inside, err := netlink.NewHandleAt(ns)
	must(t, err)
	t.Cleanup(inside.Close)
	eth0, err := inside.LinkByName("eth0")
	must(t, err)
	must(t, inside.AddrAdd(eth0, ipAddr(netip.MustParseAddr("203.0.113.9"), 24)))
	must(t, inside.LinkSetUp(eth0))
	serve(t, ns, netip.IPv4Unspecified())
}
