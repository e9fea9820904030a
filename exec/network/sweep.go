//go:build linux

package network

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/userns"
)

// consistent asks the kernel for a list again while others change what it lists.
func consistent[T any](list func() ([]T, error)) (found []T, err error) {
	for range 10 {
		if found, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return found, err
}

// Sweep removes what dead runs, given by their ids, left on the machine, and all
// rules for links that are gone.
func Sweep(dead []string) error {
	links, err := consistent(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("list the machine's links: %w", err)
	}
	var errs []error
	alive := map[string]bool{}
	for _, l := range links {
		if !isHostLink(l.Attrs().Name) {
			continue
		}
		run, ok := strings.CutPrefix(l.Attrs().Alias, runAlias)
		if !ok || !slices.Contains(dead, run) {
			alive[l.Attrs().Name] = true
		} else if err := unlessGone(netlink.LinkDel(l)); err != nil {
			errs = append(errs, fmt.Errorf("remove link %s: %w", l.Attrs().Name, err))
		}
	}
	errs = append(errs, removeHostRules(func(link string) bool { return !alive[link] }))
	err = errors.Join(errs...)
	if userns.Inside() && errors.Is(err, unix.EPERM) {
		return nil // the network is not this namespace's, and nothing was made in it
	}
	return err
}
