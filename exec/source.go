package exec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// SourceScan digests the files of a project that jobs see.
type SourceScan struct {
	// Dir is the project.
	Dir string
	// Files are the paths that jobs see, relative, with forward slashes; nil stands
	// for all that is there, but for git's own directory.
	Files []string
	// Cache is a file that keeps digests from one scan to the next: a file that has the
	// same size, times and inode is not read again.
	Cache string
	Now   time.Time
}

// maxSourceParts is up to how many files each has a part of its own.
const maxSourceParts = 100

// Parts returns a part a file or, of a larger project, one a file or directory at
// the top.
func (s *SourceScan) Parts() ([]KeyPart, error) {
	digests, err := s.scan()
	if err != nil {
		return nil, err
	}
	paths := make([]string, 0, len(digests))
	for p := range digests {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	if len(paths) <= maxSourceParts {
		parts := make([]KeyPart, len(paths))
		for i, p := range paths {
			parts[i] = KeyPart{"file " + p, digests[p]}
		}
		return parts, nil
	}
	var parts []KeyPart
	for i := 0; i < len(paths); {
		top, _, below := strings.Cut(paths[i], "/")
		if !below {
			parts = append(parts, KeyPart{"file " + top, digests[top]})
			i++
			continue
		}
		h := sha256.New()
		for ; i < len(paths) && strings.HasPrefix(paths[i], top+"/"); i++ {
			fmt.Fprintf(h, "%q %s\n", paths[i], digests[paths[i]])
		}
		parts = append(parts, KeyPart{"directory " + top, hex.EncodeToString(h.Sum(nil))})
	}
	return parts, nil
}

// sourceEntry is a file in the cache.
type sourceEntry struct {
	Stamp  string `json:"stamp"`
	Digest string `json:"digest"`
}

// scan returns the digest of each file: its type, whether it can be executed, and
// its content or where it links to.
func (s *SourceScan) scan() (map[string]string, error) {
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	known := s.readCache()
	next := make(map[string]sourceEntry, len(known))
	digests := make(map[string]string, len(s.Files))
	visit := func(name string, info fs.FileInfo) error {
		stamp := fileStamp(info)
		if old, ok := known[name]; ok && stamp != "" && old.Stamp == stamp {
			digests[name], next[name] = old.Digest, old
			return nil
		}
		digest, err := sourceDigest(root, name, info)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went while we looked
		} else if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		digests[name] = digest
		// A file may change twice within the time that its stamp tells apart.
		if stamp != "" && s.Now.Sub(info.ModTime()) > 2*time.Second {
			next[name] = sourceEntry{stamp, digest}
		}
		return nil
	}
	names := s.Files
	if names == nil {
		names = []string{"."}
	}
	for _, name := range names {
		if err := walkSource(root, path.Clean(name), visit); err != nil {
			return nil, err
		}
	}
	return digests, s.writeCache(next)
}

// walkSource visits what is at name, and below it if it is a directory.
func walkSource(root *os.Root, name string, visit func(string, fs.FileInfo) error) error {
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted, and still known to git
	} else if err != nil {
		return err
	}
	if !info.IsDir() {
		return visit(name, info)
	}
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	entries, err := dir.ReadDir(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == ".git" {
			continue
		}
		if err := walkSource(root, path.Join(name, e.Name()), visit); err != nil {
			return err
		}
	}
	return nil
}

func sourceDigest(root *os.Root, name string, info fs.FileInfo) (string, error) {
	h := sha256.New()
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		link, err := root.Readlink(name)
		if err != nil {
			return "", err
		}
		return "link " + link, nil
	case !mode.IsRegular():
		return mode.Type().String(), nil
	}
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	digest := hex.EncodeToString(h.Sum(nil))
	if info.Mode()&0o111 != 0 {
		digest += " executable"
	}
	return digest, nil
}

// readCache returns what the last scan knew; without it, everything is read.
func (s *SourceScan) readCache() map[string]sourceEntry {
	known := map[string]sourceEntry{}
	if data, err := os.ReadFile(s.Cache); err != nil || json.Unmarshal(data, &known) != nil {
		return nil
	}
	return known
}

func (s *SourceScan) writeCache(entries map[string]sourceEntry) error {
	if s.Cache == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.Cache), 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	return writeDurably(s.Cache, data)
}
