//go:build !linux

package workspace

import (
	"errors"
	"os"

	"github.com/cic-ci/cic/exec/userns"
)

var errUnsupported = errors.New("running jobs needs Linux")

// Manager makes workspaces, on Linux.
type Manager struct{}

// New returns an error: workspaces need Linux.
func New(Config) (*Manager, error) { return nil, errUnsupported }

// Mapped returns an error: workspaces need Linux.
func (*Manager) Mapped(*userns.Namespace) (*Manager, error) { return nil, errUnsupported }

// Open returns an error: workspaces need Linux.
func (*Manager) Open(string) (*Workspace, error) { return nil, errUnsupported }

// Reopen returns an error: workspaces need Linux.
func (*Manager) Reopen(string, string, []string) (*Workspace, error) { return nil, errUnsupported }

// Workspace is one job's tree, on Linux.
type Workspace struct{}

// Builds returns nothing: workspaces need Linux.
func (*Workspace) Builds() string { return "" }

// Written returns nothing: workspaces need Linux.
func (*Workspace) Written() []string { return nil }

// Usage returns an error: measuring needs Linux.
func Usage(...string) (int64, error) { return 0, errUnsupported }

// Mount returns an error: workspaces need Linux.
func (*Workspace) Mount([]string) error { return errUnsupported }

// Collect returns an error: workspaces need Linux.
func (*Workspace) Collect(Patterns, string) (*Manifest, error) { return nil, errUnsupported }

// Unchanged returns an error: workspaces need Linux.
func (*Workspace) Unchanged(Patterns, string) (bool, error) { return false, errUnsupported }

// Keep returns an error: workspaces need Linux.
func (*Workspace) Keep(string) ([]string, error) { return nil, errUnsupported }

// Close does nothing.
func (*Workspace) Close() error { return nil }

// Remove removes dir and all that is in it. It is no error if dir does not exist.
func Remove(dir string) error { return os.RemoveAll(dir) }

// Link returns an error: workspaces need Linux.
func Link(string, string) error { return errUnsupported }

// UnmountAll does nothing: nothing was mounted.
func UnmountAll(string) error { return nil }
