// Package workspace builds the tree that a job sees, and collects what the job
// leaves. It is the only place that knows mount(2) options.
//
// A workspace is an overlay: its lower layers are the artifacts of the job's
// dependencies (the latest on top), a mask layer that hides what git ignores,
// and the project itself; its upper layer is private. Set-up costs the same for
// ten files and for a million, and no artifact is ever copied.
package workspace

import "errors"

// Config describes the workspaces of a run.
type Config struct {
	// Source is the absolute path of the project.
	Source string
	// Dir is an existing directory for upper layers and mount points. It must not
	// be inside Source, and should be on the same file system as the artifacts.
	Dir string
	// Mask are paths relative to Source, with forward slashes, that jobs must not
	// see; directories end in a slash.
	Mask []string
	// Shared binds Source itself, read-write, into every job.
	Shared bool
	// Warn is told once of a fall-back, such as a copy where overlay cannot be had.
	Warn func(msg string)
}

// Manager makes workspaces. Its methods may be called concurrently.
type Manager struct{ cfg Config }

// New prepares the workspaces of a run: it checks the configuration and builds
// the mask layer.
func New(cfg Config) (*Manager, error) { return nil, errors.New("unimplemented") }

// Patterns selects the files to collect. Patterns are doublestar globs relative
// to the project; those under the project's path in the container are accepted.
type Patterns struct {
	Paths     []string
	Exclude   []string
	Untracked bool
}

// Manifest describes a set of collected artifacts.
type Manifest struct {
	Files []File `json:"files"`
	// Size is the sum of the files' sizes in bytes.
	Size int64 `json:"size"`
	// Warnings are for the job's log: a pattern without match, a skipped device.
	Warnings []string `json:"warnings,omitempty"`
}

// File is one collected file, directory or symbolic link.
type File struct {
	Path string `json:"path"`
	// Mode is as ls prints it in octal, type bits left out: 0644.
	Mode uint32 `json:"mode"`
	// Type is file, dir or symlink.
	Type string `json:"type"`
	Size int64  `json:"size,omitempty"`
	Link string `json:"link,omitempty"`
}
