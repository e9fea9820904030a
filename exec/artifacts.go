package exec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ArtifactSet is what a job of a past run left. What is in it was made by the
// job, so that no link is followed and nothing outside of it is reached.
type ArtifactSet struct{ root *os.Root }

// Artifact is a file, directory or symbolic link of an [ArtifactSet].
type Artifact struct {
	// Path is relative to the project, with forward slashes. It need not be UTF-8.
	Path string
	Mode fs.FileMode
	// Size is that of a file, in bytes.
	Size int64
	// Link is where a symbolic link points to.
	Link string
}

// OpenArtifacts opens the artifacts of a job. fs.ErrNotExist: it left none.
func (r *Record) OpenArtifacts(job string) (*ArtifactSet, error) {
	root, err := os.OpenRoot(filepath.Join(r.Dir, artifactsName, JobID(job)))
	if err != nil {
		return nil, err
	}
	return &ArtifactSet{root}, nil
}

// Close closes the set.
func (s *ArtifactSet) Close() error { return s.root.Close() }

// List returns what is at the paths and below, in order; no paths stand for
// everything. A path that is not there is [ErrNoArtifact].
func (s *ArtifactSet) List(paths []string) ([]Artifact, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var found []Artifact
	for _, p := range paths {
		name, info, err := s.lookup(p)
		if err != nil {
			return nil, err
		}
		if found, err = s.walk(found, name, info); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// ErrNoArtifact says that a path is not one of an artifact, or not of a file
// where one is wanted.
var ErrNoArtifact = errors.New("no such artifact")

// lookup finds what a user's path names.
func (s *ArtifactSet) lookup(p string) (string, fs.FileInfo, error) {
	name := path.Clean(filepath.ToSlash(p))
	if !filepath.IsLocal(name) {
		return "", nil, fmt.Errorf("%w: %q is not below the project", ErrNoArtifact, p)
	}
	info, err := s.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("%w: %q", ErrNoArtifact, p)
	} else if err != nil {
		return "", nil, err
	}
	return name, info, nil
}

// walk adds what is at name and below. [fs.WalkDir] knows no names that are not
// UTF-8.
func (s *ArtifactSet) walk(found []Artifact, name string, info fs.FileInfo) ([]Artifact, error) {
	a := Artifact{Path: name, Mode: info.Mode()}
	switch {
	case info.Mode().IsRegular():
		a.Size = info.Size()
	case info.Mode()&fs.ModeSymlink != 0:
		var err error
		if a.Link, err = s.root.Readlink(name); err != nil {
			return nil, err
		}
	}
	if name != "." {
		found = append(found, a)
	}
	if !info.IsDir() {
		return found, nil
	}
	dir, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	entries, err := dir.ReadDir(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		info, err := e.Info()
		if err == nil {
			found, err = s.walk(found, path.Join(name, e.Name()), info)
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// Open opens an artifact that is a regular file.
func (s *ArtifactSet) Open(name string) (*os.File, error) {
	clean, info, err := s.lookup(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %q is not a file", ErrNoArtifact, name)
	}
	return openRegular(s.root, clean)
}

// CopyTo copies artifacts, as List returned them, into a directory, in which no
// link is followed out of it. Files that are there are overwritten only with
// force. Links are made as they are; warn is told of those that lead outside.
func (s *ArtifactSet) CopyTo(dir *os.Root, list []Artifact, force bool, warn func(string)) error {
	for _, a := range list {
		if err := s.copyOne(dir, a, force, warn); err != nil {
			return fmt.Errorf("%q: %w", a.Path, err)
		}
	}
	// Last, as nothing can be put into a directory that may not be written to.
	for i := len(list) - 1; i >= 0; i-- {
		if a := list[i]; a.Mode.IsDir() {
			if err := dir.Chmod(a.Path, a.Mode.Perm()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *ArtifactSet) copyOne(dir *os.Root, a Artifact, force bool, warn func(string)) error {
	if err := dir.MkdirAll(path.Dir(a.Path), 0o755); err != nil {
		return err
	}
	if a.Mode.IsDir() {
		return dir.MkdirAll(a.Path, 0o755)
	}
	if _, err := dir.Lstat(a.Path); err == nil {
		if !force {
			return fs.ErrExist
		}
		if err := dir.Remove(a.Path); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch {
	case a.Mode&fs.ModeSymlink != 0:
		if leadsOut(a) {
			warn(fmt.Sprintf("%q is a link out of the artifacts, to %q", a.Path, a.Link))
		}
		return dir.Symlink(a.Link, a.Path)
	case !a.Mode.IsRegular():
		return errors.New("neither a file, a directory nor a link")
	}
	in, err := s.Open(a.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := dir.OpenFile(a.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(a.Mode.Perm()), out.Close())
}

// leadsOut reports whether a link, taken by itself, points out of the artifacts.
func leadsOut(a Artifact) bool {
	return strings.HasPrefix(a.Link, "/") || !filepath.IsLocal(path.Join(path.Dir(a.Path), a.Link))
}
