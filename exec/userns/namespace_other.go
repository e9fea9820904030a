//go:build !linux

package userns

import "errors"

var errUnsupported = errors.New("user namespaces need Linux")

// Namespace exists on Linux only.
type Namespace struct{ Mapping }

// Open returns an error: user namespaces need Linux.
func Open(string) (*Namespace, error) { return nil, errUnsupported }

// Close does nothing.
func (*Namespace) Close() error { return nil }

// Main does nothing.
func Main() {}

// Enter does nothing: what needs it fails by itself.
func Enter(string) error { return nil }

// Entered is false.
func Entered() bool { return false }
