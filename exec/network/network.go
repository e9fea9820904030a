//go:build linux

package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Network is the private network of one run. Its methods may be called
// concurrently.
type Network struct {
	run    string
	router netns.NsHandle
	// links manages the router's links, host those of the machine. remover is for what
	// links must not wait for.
	links, host, remover *netlink.Handle
	// pool is the /16 that all addresses are taken from: segments from its first
	// half, uplinks from its second.
	pool netip.Prefix
	mtu  int

	mu sync.Mutex
	// used are the numbers of the segments that exist.
	used map[int]bool
	// failed are the errors of removals.
	failed []error
	// ends counts the links to containers that were made.
	ends     int
	up       *uplink // nil until there is one
	outbound bool

	// removals are bridges to be removed, of which removing lets one through.
	removals sync.WaitGroup
	removing sync.Mutex
	closing  atomic.Bool
}

// Open makes the network of a run; nothing is connected yet, and the machine is
// unchanged.
func Open(run string) (_ *Network, err error) {
	n := &Network{run: run, router: netns.None(), used: map[int]bool{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if n.host, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	if n.router, err = newNamespace(); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	for _, handle := range []**netlink.Handle{&n.links, &n.remover} {
		if *handle, err = linksIn(n.router); err != nil {
			return nil, fmt.Errorf("network: %w", err)
		}
	}
	taken, mtu, err := surroundings(n.host)
	if err != nil {
		return nil, err
	}
	n.mtu = mtu
	n.pool, err = choosePool(taken)
	return n, err
}

// Close removes the network with all its links. It may be called twice.
func (n *Network) Close() error {
	n.closing.Store(true)
	n.removals.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	errs := n.failed
	n.failed = nil
	if n.up != nil {
		errs = append(errs, n.up.remove(n.host))
		n.up = nil
	}
	for _, handle := range []**netlink.Handle{&n.links, &n.host, &n.remover} {
		if *handle != nil {
			(*handle).Close()
			*handle = nil
		}
	}
	if n.router.IsOpen() {
		errs = append(errs, n.router.Close())
	}
	return errors.Join(errs...)
}

// newNamespace makes a network namespace that forwards nothing, where the kernel's
// default is to do as the machine does, and in which bridged frames do not pass
// through the rules for what is routed.
func newNamespace() (ns netns.NsHandle, err error) {
	ns = netns.None()
	err = elsewhere(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() error {
		// /proc/sys/net is that of the thread.
		if err := os.WriteFile(forwarding, []byte("0"), 0); err != nil {
			return err
		}
		// The file is there if the module is.
		err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("0"), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		ns, err = netns.Get()
		return err
	})
	return ns, err
}

// inside calls do on a thread of the router.
func (n *Network) inside(do func() error) error {
	return elsewhere(func() error { return netns.Set(n.router) }, do)
}

// linksIn manages the links of a namespace.
func linksIn(ns netns.NsHandle) (links *netlink.Handle, err error) {
	err = elsewhere(func() error { return netns.Set(ns) }, func() error {
		links, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	return links, err
}

// elsewhere calls do on a thread that leave has taken to another namespace, and
// takes the thread back. One that cannot go back ends with its goroutine: the machine's
// namespace is closed to an ordinary user who has left it.
func elsewhere(leave, do func() error) error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			failed <- err
			return
		}
		if err = leave(); err == nil {
			err = do()
		}
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		failed <- errors.Join(err, home.Close())
	}()
	return <-failed
}
