//go:build !unix

package exec

import (
	"errors"
	"fmt"
	"os"
)

var errLocked = errors.New("locked by a living run")

// openLocked is for Unix only; jobs run nowhere else.
func openLocked(path string, _ bool) (*os.File, error) {
	return nil, fmt.Errorf("%s: locks: %w", path, errors.ErrUnsupported)
}
