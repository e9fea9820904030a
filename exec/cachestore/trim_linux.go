package cachestore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/workspace"
)

// kept is a generation that counts.
type kept struct {
	*Generation
	used time.Time
}

// Trim removes garbage and then, the least recently used first, generations until
// the limits hold. One that a workspace uses stays.
func (s *Store) Trim(limits Limits) (t Trimmed, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("trim caches: %w", err)
		}
	}()
	if !limits.DryRun {
		if err := s.emptyTrash(); err != nil {
			return t, err
		}
	}
	all, garbage, err := s.list(!limits.DryRun)
	if err != nil {
		return t, err
	}
	t.Garbage, t.Left = garbage, len(all)
	for _, k := range all {
		t.Size += k.Disk
	}
	slices.SortStableFunc(all, func(a, b kept) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.dir(), b.dir())) })
	for _, k := range all {
		if t.Size <= limits.Size && !k.used.Before(limits.Unused) {
			continue
		}
		gone := limits.DryRun
		if !gone {
			if gone, err = k.evict(); err != nil {
				return t, err
			}
		}
		if gone {
			t.Removed++
			t.Freed += k.Disk
			t.Left--
			t.Size -= k.Disk
		}
	}
	return t, nil
}

// list returns the generations that count. With prune the others are removed.
func (s *Store) list(prune bool) (all []kept, garbage int, err error) {
	projects, err := directories(s.dir)
	if err != nil {
		return nil, 0, err
	}
	for _, project := range projects {
		keys, err := directories(project)
		if err != nil {
			return nil, 0, err
		}
		for _, key := range keys {
			if prune {
				n, err := s.prune(key)
				if err != nil {
					return nil, 0, err
				}
				garbage += n
			}
			k, err := s.kept(key)
			if err != nil {
				return nil, 0, err
			}
			if k.Generation != nil {
				all = append(all, k)
			}
		}
		if !prune {
			continue
		}
		if err := removeEmpty(project); err != nil {
			return nil, 0, err
		}
	}
	return all, garbage, nil
}

// directories lists those below dir whose name is a digest.
func directories(dir string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if e.IsDir() && hashed.MatchString(e.Name()) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, err
}

// kept describes the generation of a key that counts, without holding it. One
// whose description cannot be read counts as used long ago and as large as nothing.
func (s *Store) kept(keyDir string) (kept, error) {
	name, err := current(keyDir)
	if name == "" || err != nil {
		return kept{}, err
	}
	k := kept{Generation: &Generation{keyDir: keyDir, name: name, store: s}}
	info, err := os.Lstat(filepath.Join(k.dir(), infoName))
	if err == nil {
		k.used = info.ModTime()
		_, err = k.read()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return kept{}, nil // replaced meanwhile
	}
	return k, err
}

// evict removes a generation that counts, unless it is held or no longer counts.
func (k kept) evict() (gone bool, err error) {
	path, err := func() (path string, err error) {
		lock, err := lockDir(k.keyDir, unix.LOCK_EX)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		} else if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
		name, err := current(k.keyDir)
		if name != k.name || err != nil {
			return "", err
		}
		if path, err = k.store.discard(k.dir()); path == "" || err != nil {
			return "", err
		}
		return path, os.Remove(filepath.Join(k.keyDir, currentName))
	}()
	if path == "" || err != nil {
		return false, err
	}
	err = workspace.Remove(path)
	_, pruneErr := k.store.prune(k.keyDir)
	return true, errors.Join(err, pruneErr, removeEmpty(filepath.Dir(k.keyDir)))
}

// removeEmpty removes the directory of a project without caches. Another process
// may just make one in it.
func removeEmpty(project string) error {
	err := os.Remove(project)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// emptyTrash removes what a process that was killed had thrown away.
func (s *Store) emptyTrash() error {
	dir := filepath.Join(s.dir, trashName)
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, workspace.Remove(filepath.Join(dir, e.Name())))
	}
	return err
}

// Flush waits until all that was saved is on the disk. What was not flushed when
// the machine goes down is not restored afterwards: its files may be empty.
func (s *Store) Flush() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("flush caches: %w", err)
		}
	}()
	all, _, err := s.list(false)
	if err != nil {
		return err
	}
	pending := slices.DeleteFunc(all, func(k kept) bool {
		_, err := os.Lstat(filepath.Join(k.dir(), durableName))
		return err == nil || k.Boot != s.boot
	})
	if len(pending) == 0 {
		return nil
	}
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Syncfs(int(dir.Fd())), dir.Close()); err != nil {
		return err
	}
	for _, k := range pending {
		err := os.WriteFile(filepath.Join(k.dir(), durableName), nil, 0o600)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // replaced meanwhile
			return err
		}
	}
	return nil
}
