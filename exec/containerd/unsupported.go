//go:build !linux

package containerd

import (
	"context"
	"errors"
	"io"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/bundle"
)

var errNotLinux = &exec.Error{
	Class: exec.ClassSystem,
	Help:  "compile, show and diff work here; run the plan on a Linux machine",
	Err:   errors.New("cic exec needs Linux"),
}

// Runtime exists on Linux only.
type Runtime struct{}

// Open returns an error: containers need Linux.
func Open(context.Context, Config) (*Runtime, error) { return nil, errNotLinux }

// MostJobs returns an error.
func MostJobs() (jobs, maxFiles int, err error) { return 0, 0, errNotLinux }

// Main does nothing.
func Main() {}

// Close does nothing.
func (*Runtime) Close() error { return nil }

// Setup returns an error.
func (*Runtime) Setup(context.Context, exec.Spec) (exec.Sandbox, error) { return nil, errNotLinux }

// Shell returns an error.
func (*Runtime) Shell(context.Context, exec.Spec, []string, Console) (int, error) {
	return 0, errNotLinux
}

// Address is empty.
func (*Runtime) Address() string { return "" }

// Socket is empty.
func (*Runtime) Socket() string { return "" }

// Sweep returns an error.
func (*Runtime) Sweep(context.Context, []string) error { return errNotLinux }

// LoadImage returns an error.
func (*Runtime) LoadImage(context.Context, string, string) ([]string, error) {
	return nil, errNotLinux
}

// Bundle returns an error.
func (*Runtime) Bundle(context.Context, io.Writer, []bundle.File, []ImageRequest) error {
	return errNotLinux
}

// ServedDigest returns an error.
func ServedDigest(context.Context, Config, string) (string, error) { return "", errNotLinux }

// StoredDigest returns an error.
func (*Runtime) StoredDigest(context.Context, string) (string, error) { return "", errNotLinux }

// ListImages returns an error.
func (*Runtime) ListImages(context.Context) ([]ImageInfo, error) { return nil, errNotLinux }

// RemoveImage returns an error.
func (*Runtime) RemoveImage(context.Context, string) error { return errNotLinux }
