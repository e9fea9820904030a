package exec

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cic-ci/cic/exec/workspace"
)

// superseded removes what the attempts of jobs left that were tried again: only
// that of the last attempt counts (specification section 25). Their logs stay.
func (x *Expired) superseded(r *Record, e Expiry) error {
	attempts := map[string]bool{}
	var paths, dirs []string // dirs hold nearly all of it
	for _, dir := range []string{artifactsName, reportsName} {
		entries, err := os.ReadDir(filepath.Join(r.Dir, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			if name := entry.Name(); strings.Contains(name, attemptMark) {
				attempts[strings.TrimSuffix(name, outputsSuffix)] = true
				path := filepath.Join(r.Dir, dir, name)
				paths = append(paths, path)
				if entry.IsDir() {
					dirs = append(dirs, path)
				}
			}
		}
	}
	if len(paths) == 0 {
		return nil
	}
	size, err := workspace.Usage(dirs...)
	if err != nil {
		return err
	}
	if !e.DryRun {
		lock, err := lockRun(r.StateDir(), r.ID)
		if errors.Is(err, errLocked) {
			return nil
		} else if err != nil {
			return err
		}
		var errs []error
		for _, path := range paths {
			errs = append(errs, workspace.Remove(path))
		}
		if err := errors.Join(append(errs, lock.Close())...); err != nil {
			return err
		}
	}
	x.Attempts += len(attempts)
	x.AttemptBytes += size
	return nil
}

// records removes, of what [Reuse] keeps, the records that were not used for long,
// and those of jobs whose artifacts are gone: no run can take these over.
func (x *Expired) records(stateDir string, e Expiry) error {
	old := func(info fs.FileInfo) bool { return e.Now.Sub(info.ModTime()) > e.Runs }
	keys := filepath.Join(stateDir, keysName)
	err := x.recordsIn(keys, e, func(info fs.FileInfo) bool {
		if old(info) {
			return true
		}
		root, err := os.OpenRoot(keys)
		if err != nil {
			return false
		}
		defer root.Close()
		rec, err := readKey(root, info.Name())
		if err != nil {
			return !errors.Is(err, fs.ErrNotExist) // what cannot be read counts as absent
		}
		_, err = os.Lstat(filepath.Join(stateDir, "runs", rec.Run))
		return rec.Outputs != "" && errors.Is(err, fs.ErrNotExist)
	})
	return errors.Join(err, x.recordsIn(filepath.Join(stateDir, sourcesName), e, old))
}

// recordsIn removes those of a directory's records that are of no use.
func (x *Expired) recordsIn(dir string, e Expiry, useless func(fs.FileInfo) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !strings.HasSuffix(entry.Name(), ".json") || !useless(info) {
			continue // gone meanwhile, or none
		}
		if !e.DryRun {
			if err := os.Remove(filepath.Join(dir, entry.Name())); errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				errs = append(errs, err)
				continue
			}
		}
		x.Records++
		x.RecordBytes += info.Size()
	}
	return errors.Join(errs...)
}
