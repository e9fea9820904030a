// Package cachestore keeps what the caches of jobs hold, from run to run.
//
// A cache is a directory tree under a key of a project. What is saved is a
// generation of its own that never changes again, so that it can be a layer of
// any number of workspaces: to restore costs the same for ten files and for a
// million. A cache of one project is never seen by another.
//
// On the disk, below the store's directory (mode 0700; the names are digests, so
// that no key and no path of a pipeline's author is ever one of the host):
//
//	PROJECT/KEY/current        a symbolic link: the generation that counts
//	PROJECT/KEY/GENERATION/    info.json, files/ (the layer), durable (see Flush)
//	trash/                     generations on their way out
//
// Processes meet through flock(2) on the directories themselves, which the kernel
// gives up when its holder dies: a change of KEY/ takes KEY's lock for a moment,
// and whoever fills or uses a generation holds that of GENERATION. A generation
// that is neither current nor locked is garbage: what a killed run was saving, or
// what a later save has replaced. So a reader sees all of a generation or nothing
// of it, and of several writers the last one wins.
package cachestore

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
	"time"
	"unicode"
)

// Info describes a generation.
type Info struct {
	// Key and Project are as given, for people.
	Key     string    `json:"key"`
	Project string    `json:"project"`
	Saved   time.Time `json:"saved"`
	// Files counts files and links, Size is the sum of the files' sizes in bytes,
	// and Disk what they take of the disk.
	Files int   `json:"files"`
	Size  int64 `json:"size"`
	Disk  int64 `json:"disk"`
	// Selection tells what the files were selected by. A cache whose selection is
	// another has to be saved again even if no file has changed.
	Selection string `json:"selection"`
	// Boot is the kernel's boot_id when the generation was saved.
	Boot string `json:"boot"`
}

// Limits say what [Store.Trim] leaves.
type Limits struct {
	// Size bounds what all generations take of the disk, in bytes.
	Size int64
	// Unused: generations that were last used before go; none if zero.
	Unused time.Time
	// DryRun: nothing is removed.
	DryRun bool
}

// Trimmed is what [Store.Trim] did.
type Trimmed struct {
	// Removed counts caches, and Freed is what they took, in bytes, as if nothing
	// shared their files.
	Removed int
	Freed   int64
	// Garbage counts generations that no cache needs any more.
	Garbage int
	// Left and Size are what there is now.
	Left int
	Size int64
}

// CleanKey is the key that an expanded cache:key stands for: encoded slashes and
// dots and backslashes are read as what they stand for, ".." leads nowhere, and
// white space at the end is dropped. It is empty if nothing is left, which is no
// key. Source: specification section 23.
func CleanKey(raw string) string {
	key := strings.NewReplacer("%2f", "/", "%2F", "/", `\`, "/", "%2e", ".", "%2E", ".").Replace(raw)
	for {
		clean := strings.TrimRightFunc(path.Clean("/" + key)[1:], unicode.IsSpace)
		if clean == key {
			return key
		}
		key = clean
	}
}

// hashName is the name on the disk for a text of any content and length.
func hashName(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:nameBytes])
}

// nameBytes is how much of a digest makes a name: 160 bits.
const nameBytes = 20
