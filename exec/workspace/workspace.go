// Package workspace builds the tree that a job sees, and collects what the job
// leaves. It is the only place that knows mount(2) options.
//
// A workspace is an overlay: its lower layers are the artifacts of the job's
// dependencies (the latest on top), a mask layer that hides what git ignores,
// and the project itself; its upper layer is private. Set-up costs the same for
// ten files and for a million, and no artifact is ever copied.
//
// Reading order: this file is the contract; manager_linux.go and
// workspace_linux.go are the life of a workspace; overlay_linux.go and
// layers_linux.go talk to the kernel; view_linux.go reads the layers as the kernel would merge them;
// select_linux.go, store_linux.go and transfer_linux.go collect artifacts;
// unchanged_linux.go tells whether there is anything new to collect;
// remove_linux.go and unmount_linux.go clear up after hostile jobs.
package workspace

import (
	"fmt"
	"slices"
)

// Config describes the workspaces of a run.
type Config struct {
	// Source is the absolute path of the project. File systems that are mounted
	// below it are seen by a job only if the project is shared or copied.
	Source string
	// Dir is an existing directory for upper layers and mount points. It must not
	// be inside Source, and should be on the same file system as the artifacts.
	Dir string
	// Mask are paths relative to Source, with forward slashes, that jobs must not
	// see; directories end in a slash. A path that does not exist is ignored.
	Mask []string
	// Shared binds Source itself, read-write, into every job. Mask is without
	// effect then, and so are the layers given to Mount: what an earlier job made
	// is in the tree already.
	Shared bool
	// Tracked returns the paths that git tracks in Source, for
	// [Patterns].Untracked. It is called at most once. Nil: not a git repository.
	Tracked func() (map[string]bool, error)
	// Warn, if not nil, is told of what a user would not expect, such as a copy
	// where overlay cannot be had. It is called within New only.
	Warn func(msg string)
}

// Patterns selects the files to collect. Patterns are doublestar globs relative
// to the project; those under the project's path in the container are accepted.
type Patterns struct {
	// Paths selects; a directory stands for all that is below it.
	Paths []string
	// Exclude drops a file whose whole path it matches. A directory's own path
	// excludes nothing below the directory.
	Exclude []string
	// Untracked adds every file that git does not track, ignored ones included.
	Untracked bool
}

// Manifest describes a set of collected artifacts.
type Manifest struct {
	// Files are sorted by path, bytewise, and hold the parents of every file.
	Files []File `json:"files"`
	// Size is the sum of the files' sizes in bytes.
	Size int64 `json:"size"`
	// Disk is what files and directories take of the disk, in bytes: holes count as
	// nothing, and of several names of one file each as the whole.
	Disk int64 `json:"-"`
	// Warnings are for the job's log: a pattern without match, a skipped device.
	Warnings []string `json:"warnings,omitempty"`
}

// File is one collected file, directory or symbolic link.
type File struct {
	// Path is relative to the project, with forward slashes. It need not be UTF-8.
	Path string `json:"path"`
	// Mode is as ls prints it in octal, type bits left out: 0644.
	Mode uint32 `json:"mode"`
	// Type is file, dir or symlink.
	Type string `json:"type"`
	Size int64  `json:"size,omitempty"`
	Link string `json:"link,omitempty"`
	// SHA256 is the lower-case hexadecimal digest of a file's content; empty where it
	// was not asked for.
	SHA256 string `json:"sha256,omitempty"`
}

// The values of File.Type.
const (
	typeFile    = "file"
	typeDir     = "dir"
	typeSymlink = "symlink"
)

// SparseError says that the files to collect are all but holes, and together too
// long to be read: more than 64 GiB, and 16 times what they take of the disk.
// Nothing was collected.
type SparseError struct {
	// Path is that of the longest.
	Path string
	// Size and Disk are those of all of them, as in [Manifest].
	Size, Disk int64
}

// Error gives the numbers in bytes.
func (e *SparseError) Error() string {
	return fmt.Sprintf("%q and what is collected with it are %d bytes long, of which %d are on the disk: too many holes", e.Path, e.Size, e.Disk)
}

// maxWarnings bounds Manifest.Warnings: a job may leave a million sockets.
const maxWarnings = 100

// warn adds a warning unless it is there already.
func (m *Manifest) warn(msg string) {
	switch n := len(m.Warnings); {
	case slices.Contains(m.Warnings, msg):
	case n < maxWarnings:
		m.Warnings = append(m.Warnings, msg)
	case n == maxWarnings:
		m.Warnings = append(m.Warnings, "further warnings are left out")
	}
}
