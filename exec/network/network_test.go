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
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
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
	list, err := netlink.LinkList()
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

func TestSegments(t *testing.T) {
	machine(t)
	n := open(t, "r")
	changed, err := n.Outbound()
	must(t, err)
	if !changed {
		t.Error("the machine of the test forwarded before")
	}
	one, err := n.Segment(false)
	must(t, err)
	other, err := n.Segment(false)
	must(t, err)
	job, service, stranger := attach(t, one), attach(t, one), attach(t, other)
	for _, c := range []*container{service, stranger} {
		serve(t, c.ns, netip.IPv4Unspecified())
	}
	world := here(t)
	serve(t, world, netip.IPv4Unspecified())

	if said, err := dial(t, job.ns, service.host.Addr.String()); err != nil || said != job.host.Addr.String() {
		t.Errorf("the job's service saw %q, %v", said, err)
	}
	if said, err := dial(t, job.ns, "192.0.2.2"); err != nil || said != n.up.inner.String() {
		t.Errorf("the machine saw %q, %v", said, err)
	}
	for _, addr := range []string{stranger.host.Addr.String(), "169.254.169.254"} {
		if said, err := dial(t, job.ns, addr); !errors.Is(err, unix.EHOSTUNREACH) {
			t.Errorf("%s said %q, %v; it must be refused", addr, said, err)
		}
	}
	if said, err := dial(t, world, service.host.Addr.String()); err == nil {
		t.Errorf("a segment that is not exposed said %q to the machine", said)
	}
	link, err := netlink.LinkByName("cic0")
	must(t, err)
	if link.Attrs().MTU != 1400 {
		t.Errorf("MTU %d", link.Attrs().MTU)
	}
}

// Two networks live side by side, and each exposes what belongs to it.
func TestExposed(t *testing.T) {
	machine(t)
	world := here(t)
	for _, run := range []string{"a", "b"} {
		n := open(t, run)
		s, err := n.Segment(true)
		must(t, err)
		c := attach(t, s)
		serve(t, c.ns, netip.IPv4Unspecified())
		if said, err := dial(t, world, c.host.Addr.String()); err != nil || said != n.up.outer.String() {
			t.Errorf("run %s: the service saw %q, %v", run, said, err)
		}
		if said, err := dial(t, c.ns, "192.0.2.2"); !errors.Is(err, unix.EHOSTUNREACH) {
			t.Errorf("run %s: the machine said %q, %v", run, said, err)
		}
	}
	if got := strings.Join(left(t), ", "); got != "link cic0, link cic1" {
		t.Errorf("on the machine: %s", got)
	}
}

// Without any uplink there is the segment and nothing else.
func TestUnconnected(t *testing.T) {
	machine(t)
	n := open(t, "r")
	s, err := n.Segment(false)
	must(t, err)
	job, service := attach(t, s), attach(t, s)
	serve(t, service.ns, netip.IPv4Unspecified())
	if _, err := dial(t, job.ns, service.host.Addr.String()); err != nil {
		t.Error(err)
	}
	if said, err := dial(t, job.ns, "192.0.2.2"); !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("the machine said %q, %v", said, err)
	}
	if got := left(t); len(got) > 0 {
		t.Errorf("on the machine: %v", got)
	}
}

// A second process of a container takes over its address at once.
func TestAttachAgain(t *testing.T) {
	machine(t)
	n := open(t, "r")
	s, err := n.Segment(false)
	must(t, err)
	job, service := attach(t, s), attach(t, s)
	serve(t, job.ns, netip.IPv4Unspecified())
	if _, err := dial(t, service.ns, job.host.Addr.String()); err != nil {
		t.Fatal(err)
	}
	next := attach(t, s)
	must(t, next.host.detach())
	must(t, job.host.Attach(next.pid))
	serve(t, next.ns, netip.IPv4Unspecified())
	if said, err := dial(t, service.ns, job.host.Addr.String()); err != nil || said != service.host.Addr.String() {
		t.Errorf("got %q, %v", said, err)
	}
}

// As on a machine where Docker runs: what is forwarded is dropped.
func TestStrictMachine(t *testing.T) {
	machine(t)
	c, err := nftables.New()
	must(t, err)
	drop := nftables.ChainPolicyDrop
	table := c.AddTable(&nftables.Table{Name: "filter", Family: nftables.TableFamilyIPv4})
	chain := c.AddChain(&nftables.Chain{Name: "FORWARD", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &drop})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Counter{}}})
	must(t, c.Flush())

	// A neighbour of the machine, behind a link of its own.
	pair := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "eth0"}
	pair.Name = "lan"
	neighbour := exec.Command("sleep", "1000")
	neighbour.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	must(t, neighbour.Start())
	defer func() { _ = neighbour.Process.Kill(); _ = neighbour.Wait() }()
	ns, err := netns.GetFromPid(neighbour.Process.Pid)
	must(t, err)
	defer ns.Close()
	pair.PeerNamespace = netlink.NsFd(ns)
	must(t, netlink.LinkAdd(pair))
	must(t, netlink.LinkSetUp(pair))
	must(t, netlink.AddrAdd(pair, ipAddr(netip.MustParseAddr("203.0.113.1"), 24)))
	inside, err := netlink.NewHandleAt(ns)
	must(t, err)
	defer inside.Close()
	eth0, err := inside.LinkByName("eth0")
	must(t, err)
	must(t, inside.AddrAdd(eth0, ipAddr(netip.MustParseAddr("203.0.113.9"), 24)))
	must(t, inside.LinkSetUp(eth0))
	serve(t, ns, netip.IPv4Unspecified())

	n := open(t, "r")
	_, err = n.Outbound()
	must(t, err)
	s, err := n.Segment(false)
	must(t, err)
	if said, err := dial(t, attach(t, s).ns, "203.0.113.9"); err != nil || said != "203.0.113.1" {
		t.Errorf("the neighbour saw %q, %v", said, err)
	}
	if got := strings.Join(left(t), ", "); got != "link cic0, rule for cic0, rule for cic0, table cic0" {
		t.Errorf("on the machine: %s", got)
	}
	must(t, n.Close())
	if got := left(t); len(got) > 0 {
		t.Errorf("left on the machine: %v", got)
	}
	rules, err := c.GetRules(table, chain)
	if err != nil || len(rules) != 1 {
		t.Errorf("%d rules of the machine are left, %v", len(rules), err)
	}
}

// What a run leaves that is killed: rules, and its link as long as the kernel
// takes; another run is not touched.
func TestSweep(t *testing.T) {
	machine(t)
	dead, live := open(t, "dead"), open(t, "live")
	for _, n := range []*Network{dead, live} {
		_, err := n.Outbound()
		must(t, err)
	}
	must(t, Sweep([]string{"dead", "unknown"}))
	if got := strings.Join(left(t), ", "); got != "link cic1, table cic1" {
		t.Errorf("on the machine: %s", got)
	}
	s, err := live.Segment(false)
	must(t, err)
	serve(t, here(t), netip.IPv4Unspecified())
	if _, err := dial(t, attach(t, s).ns, "192.0.2.2"); err != nil {
		t.Error(err)
	}
}

// With the last descriptor goes everything but the table.
func TestKilled(t *testing.T) {
	machine(t)
	n := open(t, "r")
	_, err := n.Outbound()
	must(t, err)
	s, err := n.Segment(false)
	must(t, err)
	attach(t, s)
	n.links.Close()
	must(t, n.router.Close())
	for deadline := time.Now().Add(time.Minute); len(left(t)) > 1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("left: %v", left(t))
		}
	}
	must(t, Sweep(nil))
	if got := left(t); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
	n.links = nil
}

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

func BenchmarkAttach(b *testing.B) {
	requireRoot(b)
	n, err := Open("bench")
	must(b, err)
	defer n.Close()
	for b.Loop() {
		s, err := n.Segment(false)
		must(b, err)
		h, err := s.Host()
		must(b, err)
		cmd := exec.Command("sleep", "1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
		must(b, cmd.Start())
		b.StartTimer()
		must(b, h.Attach(cmd.Process.Pid))
		b.StopTimer()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		must(b, s.Close())
		b.StartTimer()
	}
}
