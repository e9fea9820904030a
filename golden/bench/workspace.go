//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
)

const (
	workspaceRepetitions = 201
	managerRepetitions   = 21
	gitRepetitions       = 5
)

// source is a project of some size and what is measured on it.
type source struct {
	dir, work        string
	mask             []string
	manager          *workspace.Manager
	jobs, runs, asks sample
}

// measureWorkspace compares a small project with a large one: what a job costs,
// what is done once a run, and git's answer to what it ignores.
func measureWorkspace(b *bench) (_ []row, err error) {
	dir, unmount, err := b.memory("projects")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	sizes := []int{100, 100_000}
	sources := make([]*source, len(sizes))
	for i, n := range sizes {
		if sources[i], err = newSource(b, filepath.Join(dir, fmt.Sprint(n)), n); err != nil {
			return nil, err
		}
	}
	steps := []struct {
		n    int
		once func(*bench, *source, int) error
	}{
		{gitRepetitions, askGit},
		{managerRepetitions, newManager},
		{workspaceRepetitions, oneWorkspace},
	}
	for _, step := range steps {
		for i := range step.n {
			for _, s := range sources {
				if err := step.once(b, s, i); err != nil {
					return nil, err
				}
			}
			if b.ctx.Err() != nil {
				return nil, b.ctx.Err()
			}
		}
	}
	small, large := sources[0], sources[1]
	job := over(large.jobs.median(), small.jobs.median())
	line := func(figure string, a, b sample) row {
		return row{figure: figure, measured: show(a.median()), against: "100 files: " + show(b.median()), ratio: over(a.median(), b.median())}
	}
	first := line("workspace of 100,000 files, a job", large.jobs, small.jobs)
	first.bar, first.over = "≤ 1.1", job > 1.1
	return []row{
		first,
		line("workspace of 100,000 files, once a run", large.runs, small.runs),
		line("git's list of ignored files in 100,000", large.asks, small.asks),
	}, nil
}

// newSource makes a git repository of n empty files in dir, of which git ignores
// one in a hundred.
func newSource(b *bench, dir string, n int) (_ *source, err error) {
	s := &source{dir: dir}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if s.work, err = b.mkdir("workspaces", fmt.Sprint(n)); err != nil {
		return nil, err
	}
	for i := range n {
		dir := filepath.Join(s.dir, fmt.Sprintf("dir-%03d", i/100))
		if i%100 == 0 {
			if err := os.Mkdir(dir, 0o755); err != nil {
				return nil, err
			}
		}
		name := fmt.Sprintf("file-%d.c", i)
		if i%100 == 99 {
			name = "file.o"
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, ".gitignore"), []byte("*.o\n"), 0o644); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}} {
		if _, err := b.command(nil, "git", append([]string{"-C", s.dir}, args...)...); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// askGit asks as cic does.
func askGit(b *bench, s *source, _ int) error {
	var out bytes.Buffer
	u, err := b.command(&out, "git", "-C", s.dir, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
	if err != nil {
		return err
	}
	s.asks = append(s.asks, u.wall)
	s.mask = strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00")
	return nil
}

// newManager prepares a run; the last one is kept for the jobs.
func newManager(_ *bench, s *source, i int) (err error) {
	dir := filepath.Join(s.work, fmt.Sprint(i))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	start := time.Now()
	s.manager, err = workspace.New(workspace.Config{Source: s.dir, Dir: dir, Mask: s.mask})
	s.runs = append(s.runs, time.Since(start))
	return err
}

// oneWorkspace is what one job needs, from nothing to nothing.
func oneWorkspace(_ *bench, s *source, i int) error {
	start := time.Now()
	w, err := s.manager.Open(fmt.Sprintf("job-%d", i))
	if err != nil {
		return err
	}
	if err := w.Mount(nil); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	s.jobs = append(s.jobs, time.Since(start))
	return nil
}
