//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/cachestore"
	"github.com/cic-ci/cic/exec/workspace"
)

const (
	cacheFiles       = 50_000
	cacheFileSize    = 1 << 30 / cacheFiles
	cacheRepetitions = 21
)

// measureCache restores a cache of 1 GiB in 50,000 files into workspaces, and
// looks for changes in it after a job that has made none.
func measureCache(b *bench) (_ []row, err error) {
	l, err := newCacheLab(b)
	if err != nil {
		return nil, err
	}
	if err := l.save(); err != nil {
		return nil, err
	}
	before, err := diskUsage(b.dir)
	if err != nil {
		return nil, err
	}
	for i := range cacheRepetitions {
		if err := l.restore(fmt.Sprintf("job-%d", i)); err != nil {
			return nil, err
		}
		if b.ctx.Err() != nil {
			return nil, b.ctx.Err()
		}
	}
	after, err := diskUsage(b.dir)
	if err != nil {
		return nil, err
	}
	copied, err := b.command(nil, "cp", "-a", l.files, filepath.Join(b.dir, "cache-copy"))
	if err != nil {
		return nil, err
	}
	against := "cp -a of it, once: " + show(copied.wall)
	restored, compared := l.restored.quietest(), l.compared.quietest()
	return []row{
		{figure: "cache of 1 GiB in 50,000 files, restore", measured: show(restored), against: against,
			ratio: over(restored, copied.wall), bar: "< 50 ms", over: restored >= 50*time.Millisecond},
		{figure: "cache of 1 GiB in 50,000 files, unchanged", measured: show(compared), against: against, ratio: over(compared, copied.wall)},
		{figure: "cache of 1 GiB in 50,000 files, save", measured: show(l.saved), against: against, ratio: over(l.saved, copied.wall)},
		{figure: "cache of 1 GiB, more disk for 21 jobs", measured: kib(after - before), against: "one copy: " + mib(1<<30)},
	}, nil
}

// cacheLab is a project with one cache.
type cacheLab struct {
	caches   *cachestore.Project
	manager  *workspace.Manager
	patterns workspace.Patterns
	// files is where the cache's lie once they are saved.
	files              string
	saved              time.Duration
	restored, compared sample
}

func newCacheLab(b *bench) (*cacheLab, error) {
	project, err := b.mkdir("cache", "project")
	if err != nil {
		return nil, err
	}
	work, err := b.mkdir("cache", "work")
	if err != nil {
		return nil, err
	}
	l := &cacheLab{patterns: workspace.Patterns{Paths: []string{"deps/"}}}
	store, err := cachestore.Open(filepath.Join(b.dir, "cache", "store"), time.Now)
	if err != nil {
		return nil, err
	}
	l.caches = store.Project("bench")
	l.manager, err = workspace.New(workspace.Config{Source: project, Dir: work})
	return l, err
}

// save is what the first job does.
func (l *cacheLab) save() (err error) {
	w, err := l.manager.Open("first")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.Mount(nil); err != nil {
		return err
	}
	content := make([]byte, cacheFileSize)
	for i := range cacheFiles {
		dir := filepath.Join(w.Builds(), "project", "deps", fmt.Sprint(i/100))
		if i%100 == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), content, 0o644); err != nil {
			return err
		}
	}
	unix.Sync()
	start := time.Now()
	draft, err := l.caches.Begin("key")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, draft.Close()) }()
	if _, err := w.Collect(l.patterns, draft.Files()); err != nil {
		return err
	}
	err = draft.Commit(cachestore.Info{})
	l.saved, l.files = time.Since(start), draft.Files()
	return err
}

// restore is what each further job does.
func (l *cacheLab) restore(job string) (err error) {
	w, err := l.manager.Open(job)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	start := time.Now()
	g, err := l.caches.Restore("key")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	if err := w.Mount([]string{g.Files()}); err != nil {
		return err
	}
	l.restored = append(l.restored, time.Since(start))
	last := filepath.Join(w.Builds(), "project", "deps", fmt.Sprint((cacheFiles-1)/100), fmt.Sprint(cacheFiles-1))
	if info, err := os.Stat(last); err != nil || info.Size() != cacheFileSize {
		return fmt.Errorf("the last file is not restored: %v, %v", info, err)
	}
	start = time.Now()
	unchanged, err := w.Unchanged(l.patterns, g.Files())
	if err == nil && !unchanged {
		err = errors.New("an untouched cache counts as changed")
	}
	l.compared = append(l.compared, time.Since(start))
	return err
}
