// Package vendoring keeps copies of the files that a pipeline includes from
// elsewhere: in the project, pinned by digest, so that they are reviewed and
// compiled like the project's own, without a network.
package vendoring

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/resolve"
)

const (
	// Dir is where the copies are, in the project.
	Dir = ".cic/vendor"
	// LockFile lists them.
	LockFile = Dir + "/lock.json"
	// formatVersion is that of the lock file.
	formatVersion = "1.0"
	maxLock       = 1 << 20
)

// Lock is the list of copies.
type Lock struct {
	FormatVersion string `json:"format_version"`
	// Files are sorted by kind, name, file and ref.
	Files []File `json:"files"`
}

// File is one copy.
type File struct {
	// Kind, Name, File and Ref are those of a [resolve.Location].
	Kind string `json:"kind"`
	Name string `json:"name"`
	File string `json:"file,omitempty"`
	Ref  string `json:"ref,omitempty"`
	// URL is where the copy was fetched.
	URL string `json:"url"`
	// Path is that of the copy below [Dir].
	Path string `json:"path"`
	// SHA256 is its lower-case hexadecimal digest.
	SHA256 string `json:"sha256"`
}

// location is what the copy is of.
func (f *File) location() resolve.Location {
	return resolve.Location{Kind: f.Kind, Name: f.Name, File: f.File, Ref: f.Ref}
}

// Read reads the lock file of a project; without one the lock is empty.
func Read(project *os.Root) (*Lock, error) {
	lock := &Lock{FormatVersion: formatVersion}
	data, err := readFile(project, LockFile, maxLock)
	if errors.Is(err, fs.ErrNotExist) {
		return lock, nil
	}
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(lock); err != nil {
		return nil, fmt.Errorf("%s: %w", LockFile, err)
	}
	if major, _, _ := strings.Cut(lock.FormatVersion, "."); major != "1" {
		return nil, fmt.Errorf("%s has format version %q; this cic reads version 1", LockFile, lock.FormatVersion)
	}
	return lock, nil
}

// Copy returns the copy of a location and the name of its file, as [resolve.Options]
// wants it: [fs.ErrNotExist] where the lock does not list it.
func (l *Lock) Copy(project *os.Root, loc resolve.Location) (name string, data []byte, err error) {
	i := slices.IndexFunc(l.Files, func(f File) bool { return f.location() == loc })
	if i < 0 {
		return "", nil, fs.ErrNotExist
	}
	f := &l.Files[i]
	if !fs.ValidPath(f.Path) {
		return "", nil, fmt.Errorf("%s: %q is no path", LockFile, f.Path)
	}
	name = path.Join(Dir, f.Path)
	if data, err = readFile(project, name, maxFile); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s is listed in %s and does not exist", name, LockFile)
		}
		return "", nil, err
	}
	if digest(data) != f.SHA256 {
		return "", nil, fmt.Errorf("%s is not the file that %s lists: its digest differs", name, LockFile)
	}
	return name, data, nil
}

// add puts a copy into the project and the lock.
func (l *Lock) add(project *os.Root, loc resolve.Location, url string, data []byte) error {
	f := File{Kind: loc.Kind, Name: loc.Name, File: loc.File, Ref: loc.Ref, URL: url, Path: copyPath(loc), SHA256: digest(data)}
	name := path.Join(Dir, f.Path)
	if err := project.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := project.WriteFile(name, data, 0o644); err != nil {
		return err
	}
	l.Files = slices.DeleteFunc(l.Files, func(other File) bool { return other.location() == loc })
	l.Files = append(l.Files, f)
	slices.SortFunc(l.Files, func(a, b File) int { return strings.Compare(a.location().String(), b.location().String()) })
	return nil
}

// write writes the lock file.
func (l *Lock) write(project *os.Root) error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	if err := project.MkdirAll(Dir, 0o755); err != nil {
		return err
	}
	return project.WriteFile(LockFile, append(data, '\n'), 0o644)
}

// copyPath is where a copy goes: readable, and its own on any file system.
func copyPath(loc resolve.Location) string {
	sum := sha256.Sum256([]byte(loc.String()))
	base := path.Base(loc.Name)
	if loc.File != "" {
		base = path.Base(loc.File)
	}
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(base, ".yml"), ".yaml")) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
		if b.Len() >= 40 {
			break
		}
	}
	return path.Join(loc.Kind, b.String()+"-"+hex.EncodeToString(sum[:6])+".yml")
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// readFile reads a regular file of bounded size.
func readFile(project *os.Root, name string, limit int64) ([]byte, error) {
	info, err := project.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s is not a regular file of at most %d KiB", name, limit>>10)
	}
	return project.ReadFile(name)
}
