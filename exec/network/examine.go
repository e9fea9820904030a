//go:build linux

package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/google/nftables"
)

// Findings is what the machine says to a network for jobs.
type Findings struct {
	// Pool is the range that addresses would be taken from.
	Pool netip.Prefix
	// Forwards: the machine forwards IPv4 packets; if not, the first run makes it.
	Forwards bool
	// Strict names the machine's own chains that end the way of forwarded packets,
	// into which a run puts rules for its link.
	Strict []string
	// Obstacle, if not nil, keeps jobs from reaching anything outside.
	Obstacle *ObstacleError
	// Resolver is [ErrNoResolver] if jobs could look up no names.
	Resolver error
}

// Examine looks at what a network for jobs needs, and changes nothing. An error
// says why there could be none.
func Examine() (*Findings, error) {
	n, err := Open("examine")
	if err != nil {
		return nil, err
	}
	found := &Findings{Pool: n.pool}
	if err := n.Close(); err != nil {
		return nil, err
	}
	now, err := os.ReadFile(forwarding)
	if err != nil {
		return nil, err
	}
	found.Forwards = strings.TrimSpace(string(now)) != "0"
	if _, err := ResolvConf(); errors.Is(err, ErrNoResolver) {
		found.Resolver = err
	} else if err != nil {
		return nil, err
	}
	c, err := nftables.New()
	if err != nil {
		return nil, rulesError(err)
	}
	strict, err := strictChains(c)
	if err != nil {
		return nil, err
	}
	for _, chain := range strict {
		found.Strict = append(found.Strict, fmt.Sprintf("%s %s", chain.Table.Name, chain.Name))
	}
	if found.Obstacle, err = obstacle(hostPrefix + "0"); err != nil {
		return nil, err
	}
	return found, nil
}
