package cachestore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Digest is the part of a key that cache:key:files makes: a digest of the paths
// and contents of the project's files that match one of globs, in 40 hexadecimal
// digits; empty if none does. A symbolic link counts by its target's name. Of what
// hidden reports, and of git's own directory, nothing counts. A file that vanishes
// meanwhile counts as absent.
func Digest(project *os.Root, globs []string, hidden func(path string) bool) (string, error) {
	found := map[string]bool{}
	for _, glob := range globs {
		if err := match(project, path.Clean(glob), hidden, found); err != nil {
			return "", fmt.Errorf("files of a cache's key: %q: %w", glob, err)
		}
	}
	names := make([]string, 0, len(found))
	for name, file := range found {
		if file {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	sum, files := sha256.New(), 0
	for _, name := range names {
		content, err := contentDigest(project, name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && content == "" {
			continue
		} else if err != nil {
			return "", fmt.Errorf("files of a cache's key: %w", err)
		}
		files++
		fmt.Fprintf(sum, "%s\x00%s\n", name, content)
	}
	if files == 0 {
		return "", nil
	}
	return hex.EncodeToString(sum.Sum(nil)[:nameBytes]), nil
}

// match adds the paths that a glob matches to found. Directories that cannot hold
// a match are not read.
func match(project *os.Root, glob string, hidden func(string) bool, found map[string]bool) error {
	if !doublestar.ValidatePattern(glob) {
		return errors.New("not a valid pattern")
	}
	base, rest := doublestar.SplitPattern(glob)
	if !strings.ContainsAny(glob, `*?[{\`) {
		base, rest = glob, ""
	}
	if !fs.ValidPath(base) {
		return errors.New("leads out of the project")
	}
	for _, dir := range ancestry(base) {
		info, err := project.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && (hidden(dir) || dir == ".git"):
			return nil
		case err != nil:
			return err
		case dir == base && rest == "":
			found[base] = !info.IsDir()
			return nil
		case !info.IsDir():
			return nil // a link, which is not followed
		}
	}
	return fs.WalkDir(project.FS(), base, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case hidden(name) || name == ".git":
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && doublestar.MatchUnvalidated(glob, name):
			found[name] = true
		}
		return nil
	})
}

// ancestry lists the directories on the way to name, and name itself: for a/b/c,
// a, a/b and a/b/c.
func ancestry(name string) (list []string) {
	if name == "." {
		return nil
	}
	for i := range len(name) {
		if name[i] == '/' {
			list = append(list, name[:i])
		}
	}
	return append(list, name)
}

// contentDigest is the digest of a file's content, empty for what is neither a
// file nor a link: to open a FIFO would block.
func contentDigest(project *os.Root, name string) (_ string, err error) {
	info, err := project.Lstat(name)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := project.Readlink(name)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, strings.NewReader("-> "+target))
		return hex.EncodeToString(sum.Sum(nil)), err
	case !info.Mode().IsRegular():
		return "", nil
	}
	f, err := project.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
