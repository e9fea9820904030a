// Package imagelock keeps the digests of a pipeline's images in a file of the project,
// so that a tag means the same image on every machine until someone says otherwise.
package imagelock

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// File is where the lock of a project is, by its slash-separated path.
const File = ".cic/images.lock"

// maxLock bounds a lock file, in bytes.
const maxLock = 1 << 20

// Lock has the digest of each image, "sha256:" and 64 hexadecimal digits, by its
// normalised reference with a tag: docker.io/library/python:3.11.
type Lock map[string]string

var sha256Digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Read reads the lock file of that name in a project, and gives its text too. One that
// does not exist is an [fs.ErrNotExist].
func Read(project fs.FS, name string) (lock Lock, text []byte, err error) {
	info, err := fs.Stat(project, name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxLock {
		return nil, nil, fmt.Errorf("%s is not a regular file of at most %d KiB", name, maxLock>>10)
	}
	if text, err = fs.ReadFile(project, name); err != nil {
		return nil, nil, err
	}
	lock, err = parse(name, text)
	return lock, text, err
}

// parse reads the text of a lock file: an image a line, NAME:TAG@sha256:DIGEST. Lines
// that are empty or begin with # do not count.
func parse(name string, data []byte) (Lock, error) {
	lock := Lock{}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		image, digest, _ := strings.Cut(line, "@")
		if !normalised(image) || !sha256Digest.MatchString(digest) {
			return nil, fmt.Errorf("%s:%d: %q is not of the form REGISTRY/NAME:TAG@sha256:DIGEST", name, n, line)
		}
		if _, twice := lock[image]; twice {
			return nil, fmt.Errorf("%s:%d: image %s is listed twice", name, n, image)
		}
		lock[image] = digest
	}
	return lock, nil
}

// normalised reports whether a reference is as plans have it, with a tag and no more.
func normalised(image string) bool {
	ref, err := reference.ParseNormalizedNamed(image)
	return err == nil && !reference.IsNameOnly(ref) && ref.String() == image
}

// Write writes the lock to the file of that name in a project, whole or not at all.
func (l Lock) Write(project *os.Root, name string) (err error) {
	var b bytes.Buffer
	b.WriteString("# The digests of the pipeline's images, kept by cic image lock.\n")
	for _, image := range slices.Sorted(maps.Keys(l)) {
		fmt.Fprintf(&b, "%s@%s\n", image, l[image])
	}
	if err := project.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	aside := name + ".new"
	defer func() {
		if removeErr := project.Remove(aside); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	if err := project.WriteFile(aside, b.Bytes(), 0o644); err != nil {
		return err
	}
	return project.Rename(aside, name)
}
