package cachestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Draft is a generation that is being saved. Nobody sees it before Commit.
type Draft struct {
	project   *Project
	key       string
	dir       string
	lock      *os.File
	committed bool
}

// Begin begins a new generation under a clean key.
func (p *Project) Begin(key string) (_ *Draft, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("save cache %q: %w", key, err)
		}
	}()
	if key == "" {
		return nil, errors.New("no key")
	}
	keyDir := p.keyDir(key)
	lock, err := lockNewDir(keyDir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	d := &Draft{project: p, key: key, dir: filepath.Join(keyDir, randomName())}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return nil, err
	}
	d.lock, err = lockDir(d.dir, unix.LOCK_SH|unix.LOCK_NB)
	return d, err
}

// Files is where the caller makes the directory of the files. It does not exist
// yet, and its place stays the same after Commit.
func (d *Draft) Files() string { return filepath.Join(d.dir, filesName) }

// Commit makes the files what is kept under the key. info's Key, Project, Saved
// and Boot are filled in.
//
// The new generation is seen at once; that its files are on the disk is for
// [Store.Flush], as a job waits here.
func (d *Draft) Commit(info Info) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("save cache %q: %w", d.key, err)
		}
	}()
	s := d.project.store
	info.Key, info.Project, info.Saved, info.Boot = d.key, d.project.id, s.now().UTC(), s.boot
	data, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.dir, infoName), append(data, '\n'), 0o600); err != nil {
		return err
	}
	keyDir, name := filepath.Split(d.dir)
	lock, err := lockDir(filepath.Clean(keyDir), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	// A link cannot be replaced in place, only by renaming another over it.
	link := filepath.Join(keyDir, currentName+"."+name)
	if err := os.Symlink(name, link); err != nil {
		return err
	}
	if err := os.Rename(link, filepath.Join(keyDir, currentName)); err != nil {
		return err
	}
	d.committed = true
	return nil
}

// Close ends the work on the generation: one that was not committed is removed.
// It may be called twice.
func (d *Draft) Close() error {
	if d.lock == nil {
		return nil
	}
	err := d.lock.Close()
	d.lock = nil
	_, pruneErr := d.project.store.prune(filepath.Dir(d.dir))
	return errors.Join(err, pruneErr)
}
