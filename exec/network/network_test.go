//go:build linux

package network

import (
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestSegments(t *testing.T) {
	machine(t)
	n := open(t, "r")
	found, err := n.Outbound()
	must(t, err)
	if !found.Switched {
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

	neighbour(t)
	n := open(t, "r")
	found, err := n.Outbound()
	must(t, err)
	if found.Obstacle != nil {
		t.Error(found.Obstacle)
	}
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
	n.remover.Close()
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

// A segment that was given up is removed while the network lives, and its place
// is free then.
func TestSegmentRemoved(t *testing.T) {
	machine(t)
	n := open(t, "r")
	for range 3 {
		s, err := n.Segment(false)
		must(t, err)
		attach(t, s)
		must(t, s.Close())
		must(t, s.Close())
	}
	n.removals.Wait()
	links, err := n.links.LinkList()
	must(t, err)
	for _, link := range links {
		if link.Type() == "bridge" {
			t.Errorf("left: %s", link.Attrs().Name)
		}
	}
	s, err := n.Segment(false)
	must(t, err)
	if s.number != 0 || len(n.used) != 1 {
		t.Errorf("segment %d of %d", s.number, len(n.used))
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
