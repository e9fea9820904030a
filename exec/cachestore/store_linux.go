package cachestore

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/workspace"
)

// Store is the directory of all caches. Its methods, and those of what it gives
// out, may be called concurrently, by several processes too.
type Store struct {
	dir  string
	now  func() time.Time
	boot string
}

// Names within the store.
const (
	trashName   = "trash"
	currentName = "current"
	infoName    = "info.json"
	filesName   = "files"
	durableName = "durable"
)

var (
	hashed     = regexp.MustCompile(`^[0-9a-f]{40}$`)
	generation = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// Open opens the store in dir, which is made if it is missing. It should be on
// the file system of the workspaces. now is the clock.
func Open(dir string, now func() time.Time) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(dir, trashName), 0o700); err != nil {
		return nil, fmt.Errorf("the cache store cannot be used: %w", err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id") // random(4)
	if err != nil {
		return nil, fmt.Errorf("the cache store cannot be used: %w", err)
	}
	return &Store{dir: dir, now: now, boot: strings.TrimSpace(string(boot))}, nil
}

// Project is the part of a store that belongs to one project.
type Project struct {
	store *Store
	id    string
}

// Project returns the caches of the project that id stands for: a text of any
// content, the same for the same project and for no other.
func (s *Store) Project(id string) *Project { return &Project{store: s, id: id} }

func (p *Project) keyDir(key string) string {
	return filepath.Join(p.store.dir, hashName(p.id), hashName(key))
}

// lockDir opens a directory and takes its flock(2): how is unix.LOCK_SH or
// LOCK_EX, perhaps with LOCK_NB, where the lock of another gives EWOULDBLOCK. What
// it returns is the directory that path still names.
func lockDir(path string, how int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			return nil, err
		}
		for {
			if err = unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		if err != nil {
			return nil, errors.Join(&fs.PathError{Op: "lock", Path: path, Err: err}, f.Close())
		}
		same, err := isPath(f, path)
		if err == nil && same {
			return f, nil
		}
		// It was removed, and perhaps made anew, before the lock was had.
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
}

func isPath(f *os.File, path string) (bool, error) {
	held, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(held, named), err
}

// lockNewDir is lockDir for a directory that may be missing, with an exclusive
// lock. Others may remove it, and its project's, while it is being made, which
// os.MkdirAll reports as one that is missing or there already; that it happens
// each of so many times means something else.
func lockNewDir(path string) (f *os.File, err error) {
	for range 1000 {
		if err = os.MkdirAll(path, 0o700); err == nil {
			f, err = lockDir(path, unix.LOCK_EX)
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return nil, err
}

// current returns the name of the generation that counts; empty for none.
func current(keyDir string) (string, error) {
	name, err := os.Readlink(filepath.Join(keyDir, currentName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && !generation.MatchString(name) {
		err = fmt.Errorf("%s: not the name of a generation: %q", filepath.Join(keyDir, currentName), name)
	}
	return name, err
}

// Generation is a tree that was saved. It stays on the disk until Close.
type Generation struct {
	Info
	keyDir, name string
	lock         *os.File
	store        *Store
}

// Restore returns what is kept under a clean key, nil for nothing.
func (p *Project) Restore(key string) (_ *Generation, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore cache %q: %w", key, err)
		}
	}()
	dir := p.keyDir(key)
	lock, err := lockDir(dir, unix.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	name, err := current(dir)
	if name == "" || err != nil {
		return nil, err
	}
	g := &Generation{keyDir: dir, name: name, store: p.store}
	g.lock, err = lockDir(g.dir(), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the machine went down before the generation was on the disk
	} else if err != nil {
		return nil, err
	}
	whole, err := g.read()
	if err == nil && whole {
		// When it was last used.
		now := p.store.now()
		err = os.Chtimes(filepath.Join(g.dir(), infoName), now, now)
	}
	if err != nil || !whole {
		return nil, errors.Join(err, g.lock.Close())
	}
	return g, nil
}

func (g *Generation) dir() string { return filepath.Join(g.keyDir, g.name) }

// Files is the directory of the files, for a layer of a workspace. Nobody may
// write to it.
func (g *Generation) Files() string { return filepath.Join(g.dir(), filesName) }

// read reads the description. whole is false for one whose files may not have
// reached the disk before the machine went down.
func (g *Generation) read() (whole bool, err error) {
	data, err := os.ReadFile(filepath.Join(g.dir(), infoName))
	if err != nil {
		return false, err
	}
	_, err = os.Lstat(filepath.Join(g.dir(), durableName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	durable := err == nil
	if err := json.Unmarshal(data, &g.Info); err != nil {
		if durable {
			return false, fmt.Errorf("%s: %w", filepath.Join(g.dir(), infoName), err)
		}
		return false, nil
	}
	return durable || g.Boot == g.store.boot, nil
}

// Close gives the generation up: it may be removed if a later one has taken its
// place. It may be called twice.
func (g *Generation) Close() error {
	if g.lock == nil {
		return nil
	}
	err := g.lock.Close()
	g.lock = nil
	_, pruneErr := g.store.prune(g.keyDir)
	return errors.Join(err, pruneErr)
}

// prune removes the generations of a key that are garbage, and returns how many,
// and the key's directory if nothing is left in it.
func (s *Store) prune(keyDir string) (garbage int, err error) {
	trash, err := s.discardGarbage(keyDir)
	for _, path := range trash {
		err = errors.Join(err, workspace.Remove(path)) // takes its time, and nobody waits for a lock
	}
	return len(trash), err
}

// discardGarbage moves the generations of a key that are garbage out of sight and
// returns where they are now.
func (s *Store) discardGarbage(keyDir string) (trash []string, err error) {
	lock, err := lockDir(keyDir, unix.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	name, err := current(keyDir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(keyDir)
	if err != nil {
		return nil, err
	}
	named := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	left := 0
	for _, e := range entries {
		path := filepath.Join(keyDir, e.Name())
		switch {
		case e.Name() == name, e.Name() == currentName && named:
			left++
		case !e.IsDir(): // a link that leads nowhere, or that a killed save has not renamed
			if err := os.Remove(path); err != nil {
				return trash, err
			}
		default:
			moved, err := s.discard(path)
			if moved == "" {
				left++
			} else {
				trash = append(trash, moved)
			}
			if err != nil {
				return trash, err
			}
		}
	}
	if left == 0 {
		return trash, os.Remove(keyDir)
	}
	return trash, nil
}

// discard moves a generation that nobody holds out of sight and returns where it
// is now, empty if it is held. The key's lock keeps others from taking it.
func (s *Store) discard(dir string) (path string, err error) {
	lock, err := lockDir(dir, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	path = filepath.Join(s.dir, trashName, randomName())
	if err := errors.Join(os.Rename(dir, path), lock.Close()); err != nil {
		return "", err
	}
	return path, nil
}

func randomName() string {
	var random [8]byte
	rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}
