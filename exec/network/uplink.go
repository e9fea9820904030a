//go:build linux

package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// hostPrefix begins the names of the machine's links to routers; the number that
	// follows is unique on the machine, as the kernel sees to it, and decides the
	// addresses. The table of the machine has the same name.
	hostPrefix = "cic"
	// routerLink is the router's end.
	routerLink = "up"
	// bridgePrefix begins the names of the router's bridges.
	bridgePrefix = "b"
	// maxUplinks of four addresses each fill the second half of a pool.
	maxUplinks = 1 << 13
	// runAlias begins the alias of a link, which tells whose it is.
	runAlias = "cic run "

	forwarding = "/proc/sys/net/ipv4/ip_forward"
	defaultMTU = 1500
)

// pools are ranges of which one is used: private ones (RFC 1918) that few choose,
// then those for measurements (RFC 2544), which belong to nobody either.
var pools = []netip.Prefix{
	netip.MustParsePrefix("10.213.0.0/16"),
	netip.MustParsePrefix("10.147.0.0/16"),
	netip.MustParsePrefix("172.29.0.0/16"),
	netip.MustParsePrefix("172.22.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/16"),
	netip.MustParsePrefix("198.19.0.0/16"),
}

// choosePool returns the first pool that overlaps nothing that is taken.
func choosePool(taken []netip.Prefix) (netip.Prefix, error) {
	for _, pool := range pools {
		free := true
		for _, t := range taken {
			free = free && !pool.Overlaps(t)
		}
		if free {
			return pool, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("every range of addresses for jobs overlaps one that this machine has a route to: %v", pools)
}

// surroundings returns the ranges that the machine has routes or needs its default
// route for, and the size of packets that it can send out.
func surroundings(host *netlink.Handle) (taken []netip.Prefix, mtu int, err error) {
	links, err := consistent(host.LinkList)
	if err != nil {
		return nil, 0, fmt.Errorf("list the machine's links: %w", err)
	}
	own, sizes := map[int]bool{}, map[int]int{}
	for _, l := range links {
		own[l.Attrs().Index] = isHostLink(l.Attrs().Name)
		sizes[l.Attrs().Index] = l.Attrs().MTU
	}
	routes, err := consistent(func() ([]netlink.Route, error) {
		return host.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list the machine's routes: %w", err)
	}
	for _, r := range routes {
		addr, prefix := netip.Addr{}, 0
		if r.Dst != nil {
			addr, _ = netip.AddrFromSlice(r.Dst.IP.To4())
			prefix, _ = r.Dst.Mask.Size()
		}
		switch {
		case own[r.LinkIndex]:
		case prefix == 0:
			if mtu == 0 {
				mtu = sizes[r.LinkIndex]
			}
		case addr.IsValid():
			taken = append(taken, netip.PrefixFrom(addr, prefix))
		}
	}
	if mtu == 0 {
		mtu = defaultMTU
	}
	// What a pool covers cannot be reached through the default route any more.
	servers, err := nameservers()
	if err != nil {
		return nil, 0, fmt.Errorf("find the machine's name servers: %w", err)
	}
	for _, server := range servers {
		if server.Is4() {
			taken = append(taken, netip.PrefixFrom(server, 32))
		}
	}
	return taken, mtu, nil
}

// isHostLink reports whether a name is hostPrefix and a number.
func isHostLink(name string) bool {
	number, ok := strings.CutPrefix(name, hostPrefix)
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// uplink connects the router with the machine.
type uplink struct {
	link netlink.Link // the machine's end
	// outer is the machine's address, inner the router's.
	outer, inner netip.Addr
	// rules: the machine has rules for it.
	rules bool
}

// connect makes the uplink and lets the router forward, within its rules. n.mu
// is held.
func (n *Network) connect() error {
	if n.up != nil {
		return nil
	}
	up, err := n.newUplink()
	if err != nil {
		return err
	}
	n.up = up
	err = n.links.RouteAdd(&netlink.Route{Gw: up.outer.AsSlice()})
	if err != nil {
		err = fmt.Errorf("add the default route: %w", err)
	}
	if err == nil {
		err = addRouterRules(n.router, up.outer, false)
	}
	if err == nil {
		// Only now: without the rules, jobs would reach each other.
		err = n.inside(func() error { return os.WriteFile(forwarding, []byte("1"), 0) })
	}
	if err != nil {
		n.up = nil
		return errors.Join(err, up.remove(n.host))
	}
	return nil
}

// newUplink makes a pair of links. The first name that is free says which
// addresses are.
func (n *Network) newUplink() (*uplink, error) {
	for i := range maxUplinks {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU, attrs.Flags = fmt.Sprintf("%s%d", hostPrefix, i), n.mtu, net.FlagUp
		pair := &netlink.Veth{LinkAttrs: attrs, PeerName: routerLink, PeerNamespace: netlink.NsFd(n.router)}
		err := n.host.LinkAdd(pair)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("make a link to the jobs' network: %w", err)
		}
		outer := plus(n.pool.Addr(), 1<<15+4*i+1)
		up := &uplink{link: pair, outer: outer, inner: outer.Next()}
		if err := n.configureUplink(up); err != nil {
			return nil, errors.Join(fmt.Errorf("configure the link to the jobs' network: %w", err), up.remove(n.host))
		}
		return up, nil
	}
	return nil, fmt.Errorf("the machine has %d links to networks of jobs", maxUplinks)
}

func (n *Network) configureUplink(up *uplink) error {
	if err := n.host.LinkSetAlias(up.link, runAlias+n.run); err != nil {
		return err
	}
	inner, err := n.links.LinkByName(routerLink)
	if err != nil {
		return err
	}
	return errors.Join(
		n.host.AddrAdd(up.link, ipAddr(up.outer, 30)),
		n.links.AddrAdd(inner, ipAddr(up.inner, 30)),
		n.links.LinkSetUp(inner))
}

// remove takes the uplink off the machine. The rules go first: [Sweep] takes
// rules without their link for left over.
func (up *uplink) remove(host *netlink.Handle) error {
	var errs []error
	if up.rules {
		errs = append(errs, removeHostRules(func(name string) bool { return name == up.link.Attrs().Name }))
	}
	if err := unlessGone(host.LinkDel(up.link)); err != nil {
		errs = append(errs, fmt.Errorf("remove link %s: %w", up.link.Attrs().Name, err))
	}
	return errors.Join(errs...)
}

// WayOut is what a user should know of what [Network.Outbound] found.
type WayOut struct {
	// Switched: the machine did not forward packets before, and does so now. That
	// stays: others may have come to rely on it by the end of the run.
	Switched bool
	// Obstacle, if not nil, drops the packets all the same.
	Obstacle *ObstacleError
}

// ObstacleError says that rules of the machine that only its owner can change drop
// what is forwarded for jobs.
type ObstacleError struct {
	// Rule says which, Help what to do.
	Rule, Help string
}

func (e *ObstacleError) Error() string {
	return fmt.Sprintf("the machine's iptables-legacy drops forwarded packets: %s, and no rule lets those of jobs pass", e.Rule)
}

// obstacle looks for what drops the packets of a link.
func obstacle(link string) (*ObstacleError, error) {
	rule, err := legacyObstacle(link)
	if rule == "" || err != nil {
		return nil, err
	}
	return &ObstacleError{Rule: rule, Help: fmt.Sprintf("iptables-legacy -I FORWARD -i %s+ -j ACCEPT; iptables-legacy -I FORWARD -o %[1]s+ -j ACCEPT", hostPrefix)}, nil
}

// Outbound lets containers that are attached from now on reach what the machine
// reaches, under its address.
func (n *Network) Outbound() (found WayOut, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.outbound {
		return WayOut{}, nil
	}
	if err := n.connect(); err != nil {
		return found, err
	}
	if found.Switched, err = allowForwarding(); err != nil {
		return found, err
	}
	n.up.rules = true
	name := n.up.link.Attrs().Name
	if err := addHostRules(name, n.up.inner); err != nil {
		return found, err
	}
	if err := addRouterRules(n.router, n.up.outer, true); err != nil {
		return found, err
	}
	n.outbound = true
	found.Obstacle, err = obstacle(name)
	return found, err
}

// allowForwarding makes the machine forward IPv4 packets.
func allowForwarding() (changed bool, err error) {
	now, err := os.ReadFile(forwarding)
	if err != nil {
		return false, err
	}
	if strings.TrimSpace(string(now)) != "0" {
		return false, nil
	}
	if err := os.WriteFile(forwarding, []byte("1"), 0); err != nil {
		return false, fmt.Errorf("the machine does not forward packets (net.ipv4.ip_forward is 0), and that cannot be changed: %w", err)
	}
	return true, nil
}
