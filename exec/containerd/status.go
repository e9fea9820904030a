//go:build linux

package containerd

import (
	"context"
	"errors"

	"github.com/cic-ci/cic/exec/containerd/server"
)

// Status says which containerd a run would use.
type Status struct {
	// Version is that of containerd.
	Version string
	// PID is the process of the embedded containerd, 0 if it does not run now or is
	// not the one that would be used.
	PID int
	// SameBuild: that process is of the same build of cic.
	SameBuild bool
}

// FindStatus looks at the containerd at an address, or without one at that of a
// state directory, which it does not start. An error is an [exec.Error] of class
// system.
func FindStatus(ctx context.Context, address, stateDir string) (Status, error) {
	if address != "" {
		c, err := contact(ctx, socketPath(address))
		if err != nil {
			return Status{}, err
		}
		v, err := c.Version(ctx)
		if err != nil {
			return Status{}, errors.Join(contactError(address, err), c.Close())
		}
		return Status{Version: v.Version}, c.Close()
	}
	s := Status{Version: server.Version()}
	d := newDaemon(stateDir)
	pids, err := d.processes()
	if err != nil || len(pids) == 0 {
		return s, err
	}
	s.PID = pids[0]
	s.SameBuild, _, err = d.compare()
	return s, err
}
