//go:build unix

package exec

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// errLocked says that another process, or another file of this one, has the lock.
var errLocked = errors.New("locked by a living run")

// openLocked opens a file, made if missing, and takes its flock(2), which the
// kernel gives up when the last descriptor is closed, by death too.
func openLocked(path string, wait bool) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	for {
		switch err = syscall.Flock(int(f.Fd()), how); {
		case err == nil:
			return f, nil
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			err = errLocked
		}
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
}
