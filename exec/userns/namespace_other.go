//go:build !linux

package userns

import "errors"

// Namespace exists on Linux only.
type Namespace struct{ Mapping }

// Open returns an error: user namespaces need Linux.
func Open(string) (*Namespace, error) { return nil, errors.New("user namespaces need Linux") }

// Close does nothing.
func (*Namespace) Close() error { return nil }
