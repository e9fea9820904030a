//go:build !linux

package cachestore

import (
	"errors"
	"time"
)

var errUnsupported = errors.New("running jobs needs Linux")

// Store is the directory of all caches, on Linux.
type Store struct{}

// Open returns an error: caches need Linux.
func Open(string, func() time.Time) (*Store, error) { return nil, errUnsupported }

// Project returns the caches of a project.
func (*Store) Project(string) *Project { return &Project{} }

// Trim returns an error: caches need Linux.
func (*Store) Trim(Limits) (Trimmed, error) { return Trimmed{}, errUnsupported }

// Flush does nothing.
func (*Store) Flush() error { return nil }

// Project is the part of a store that belongs to one project, on Linux.
type Project struct{}

// Restore returns an error: caches need Linux.
func (*Project) Restore(string) (*Generation, error) { return nil, errUnsupported }

// Begin returns an error: caches need Linux.
func (*Project) Begin(string) (*Draft, error) { return nil, errUnsupported }

// Generation is a tree that was saved, on Linux.
type Generation struct{ Info }

// Files returns nothing: caches need Linux.
func (*Generation) Files() string { return "" }

// Close does nothing.
func (*Generation) Close() error { return nil }

// Draft is a generation that is being saved, on Linux.
type Draft struct{}

// Files returns nothing: caches need Linux.
func (*Draft) Files() string { return "" }

// Commit returns an error: caches need Linux.
func (*Draft) Commit(Info) error { return errUnsupported }

// Close does nothing.
func (*Draft) Close() error { return nil }
