//go:build linux

package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	// segmentBits is the length of a segment's prefix.
	segmentBits = 26
	// maxSegments of them fill the first half of the pool.
	maxSegments = 1 << (segmentBits - 17)
	// maxHosts is how many containers a segment can have: all of its addresses but
	// those of the network, the router and broadcasts.
	maxHosts = 1<<(32-segmentBits) - 3
	// containerLink is the name of a container's link to its segment.
	containerLink = "eth0"
)

// Segment is what a job and its services are connected to. Its methods must not
// be called concurrently.
type Segment struct {
	n      *Network
	number int
	prefix netip.Prefix
	bridge *netlink.Bridge
	// exposed: the machine has a route to the segment.
	exposed, closed bool
	// hosts counts the addresses given out.
	hosts int
}

// Host is the place of a container in a segment.
type Host struct {
	// Addr is its address, IPv4.
	Addr    netip.Addr
	segment *Segment
	end     netlink.Link // the router's end of the link to it, nil for none
}

// Segment makes a segment. With exposed, the machine's own network reaches it,
// which is for jobs that run in that.
func (n *Network) Segment(exposed bool) (*Segment, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &Segment{n: n, exposed: exposed}
	for s.number = range maxSegments {
		s.prefix = segmentPrefix(n.pool, s.number)
		if n.used[s.number] {
			continue
		}
		if exposed {
			if err := n.connect(); err != nil {
				return nil, err
			}
			// Another run may have exposed a segment of this number: the machine has one
			// route to it, and says so.
			err := n.host.RouteAdd(s.route())
			if errors.Is(err, unix.EEXIST) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("add a route to %s: %w", s.prefix, err)
			}
		}
		n.used[s.number] = true
		if err := s.makeBridge(); err != nil {
			s.closed = true
			n.removals.Go(s.remove)
			return nil, err
		}
		return s, nil
	}
	return nil, fmt.Errorf("more than %d jobs are connected to the network", maxSegments)
}

// segmentPrefix is the range of a segment's addresses.
func segmentPrefix(pool netip.Prefix, number int) netip.Prefix {
	return netip.PrefixFrom(plus(pool.Addr(), number<<(32-segmentBits)), segmentBits)
}

// route is the machine's route to the segment.
func (s *Segment) route() *netlink.Route {
	return &netlink.Route{
		LinkIndex: s.n.up.link.Attrs().Index, Gw: s.n.up.inner.AsSlice(), Dst: ipNet(s.prefix),
	}
}

// Gateway is the router's address in the segment.
func (s *Segment) Gateway() netip.Addr { return s.prefix.Addr().Next() }

func (s *Segment) makeBridge() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.Flags = fmt.Sprintf("%s%d", bridgePrefix, s.number), s.n.mtu, net.FlagUp
	// Without an address of its own a bridge takes on that of one of its ports, and
	// changes it as ports come and go.
	attrs.HardwareAddr = hardwareAddr(s.Gateway())
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := s.n.links.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make a bridge: %w", err)
	}
	s.bridge = bridge
	if err := s.n.links.AddrAdd(bridge, ipAddr(s.Gateway(), segmentBits)); err != nil {
		return fmt.Errorf("give a bridge its address: %w", err)
	}
	return nil
}

// Host reserves an address for a container.
func (s *Segment) Host() (*Host, error) {
	if s.hosts == maxHosts {
		return nil, fmt.Errorf("a job with its services has at most %d containers", maxHosts)
	}
	s.hosts++
	return &Host{Addr: plus(s.Gateway(), s.hosts), segment: s}, nil
}

// Attach connects the network namespace of a process, which must not have run
// anything of the container yet. When the namespace goes, so does the link. A
// host that was attached before moves here.
func (h *Host) Attach(pid int) (err error) {
	n := h.segment.n
	ns, err := netns.GetFromPath(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return fmt.Errorf("find the container's network: %w", err)
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	if err := h.detach(); err != nil {
		return err
	}
	n.mu.Lock()
	n.ends++
	attrs := netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("v%d", n.ends)
	gateway := n.up != nil
	n.mu.Unlock()
	attrs.MTU, attrs.MasterIndex, attrs.Flags = n.mtu, h.segment.bridge.Index, net.FlagUp
	end := &netlink.Veth{
		LinkAttrs: attrs, PeerName: containerLink, PeerNamespace: netlink.NsFd(ns),
		// It stays the same when the next process of the container comes.
		PeerHardwareAddr: hardwareAddr(h.Addr),
	}
	if err := n.links.LinkAdd(end); err != nil {
		return fmt.Errorf("connect the container: %w", err)
	}
	h.end = end
	links, err := linksIn(ns)
	if err != nil {
		return fmt.Errorf("connect the container: %w", err)
	}
	defer links.Close()
	return h.configure(links, gateway)
}

// configure gives the container's end its address and, if there is anything
// beyond the segment, its default route.
func (h *Host) configure(links *netlink.Handle, gateway bool) error {
	link, err := links.LinkByName(containerLink)
	if err == nil {
		err = links.AddrAdd(link, ipAddr(h.Addr, segmentBits))
	}
	if err == nil {
		err = links.LinkSetUp(link)
	}
	if err == nil && gateway {
		err = links.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: h.segment.Gateway().AsSlice()})
	}
	if err != nil {
		return fmt.Errorf("configure the container's network: %w", err)
	}
	return nil
}

// detach removes the link, which may be gone with the container.
func (h *Host) detach() error {
	if h.end == nil {
		return nil
	}
	if err := unlessGone(h.segment.n.links.LinkDel(h.end)); err != nil {
		return fmt.Errorf("disconnect a container: %w", err)
	}
	h.end = nil
	return nil
}

// Close gives the segment up, whose containers should be gone. The kernel takes
// tens of milliseconds to remove a bridge, which is too long for a job to wait: it
// is removed meanwhile, or with the network.
func (s *Segment) Close() error {
	n := s.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.closed || n.links == nil {
		return nil
	}
	if s.exposed {
		if err := unlessGone(n.host.RouteDel(s.route())); err != nil {
			return fmt.Errorf("remove the route to a segment of the network: %w", err)
		}
	}
	s.closed = true
	n.removals.Go(s.remove)
	return nil
}

// remove removes the bridge, one at a time as the kernel does it.
func (s *Segment) remove() {
	n := s.n
	n.removing.Lock()
	defer n.removing.Unlock()
	if n.closing.Load() {
		return // it goes with the router
	}
	var err error
	if s.bridge != nil {
		err = unlessGone(n.remover.LinkDel(s.bridge))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.failed = append(n.failed, fmt.Errorf("remove a segment of the network: %w", err))
		return // its addresses are not free
	}
	delete(n.used, s.number)
}

// unlessGone is err, but nil if it says that there is no such link or route.
func unlessGone(err error) error {
	var missing netlink.LinkNotFoundError
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrNotExist) || errors.As(err, &missing) {
		return nil
	}
	return err
}

// plus is the address i places after a.
func plus(a netip.Addr, i int) netip.Addr {
	b := a.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += uint32(i)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// hardwareAddr is a locally administered address, unique where its IPv4 address is.
func hardwareAddr(a netip.Addr) net.HardwareAddr {
	b := a.As4()
	return net.HardwareAddr{0x02, 0xc1, b[0], b[1], b[2], b[3]}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

func ipAddr(a netip.Addr, bits int) *netlink.Addr {
	return &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, bits))}
}
