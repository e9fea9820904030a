//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	passingRepetitions = 3
	passingJobs        = 10
	passingMiB         = 100

	repositoryRepetitions = 5
	repositoryFiles       = 20_000
	repositoryFileSize    = 200 << 20 / repositoryFiles
	repositoryJobs        = 4
)

// writing is what a job does that passes a file on: by large pieces, with which the
// image's program is as fast as the machine's.
func writing(file string) string {
	return fmt.Sprintf("dd if=/dev/zero of=%s bs=1M count=%d 2>/dev/null", file, passingMiB)
}

// passing is a chain of jobs each of which writes a file, and sees all before it.
func passing() string {
	var b strings.Builder
	b.WriteString("default: {image: alpine}\n")
	for i := range passingJobs {
		see, needs := ":", ""
		if i > 0 {
			needs = fmt.Sprintf("job-%d", i-1)
			see = fmt.Sprintf("test -s out/%d", i-1)
		}
		fmt.Fprintf(&b, "job-%d: {script: ['%s', 'mkdir -p out', '%s'], needs: [%s], artifacts: {paths: [out/]}}\n",
			i, see, writing(fmt.Sprintf("out/%d", i)), needs)
	}
	return b.String()
}

// measurePassing lets jobs pass 100 MiB each on to those after them.
func measurePassing(b *bench) ([]row, error) {
	l, err := b.lab()
	if err != nil {
		return nil, err
	}
	plan, err := l.compile(passing())
	if err != nil {
		return nil, err
	}
	var walls, floors, started sample
	var extra int64
	for i := range passingRepetitions {
		// Both begin with nothing left to write: else the second pays for the first.
		unix.Sync()
		floor, err := b.writeFiles(fmt.Sprintf("written-%d", i))
		if err != nil {
			return nil, err
		}
		floors = append(floors, floor.wall)
		containers, err := l.bare(passingJobs, 1)
		if err != nil {
			return nil, err
		}
		started = append(started, floor.wall+containers)
		unix.Sync()
		r, err := l.run(plan, l.project, parallelism())
		if err != nil {
			return nil, err
		}
		walls = append(walls, r.took)
		used, err := diskUsage(r.dir)
		if err != nil {
			return nil, err
		}
		extra = max(extra, used-passingJobs*passingMiB<<20)
		if err := os.RemoveAll(r.dir); err != nil {
			return nil, err
		}
	}
	figure := fmt.Sprintf("%d jobs in a chain, each passes %d MiB on", passingJobs, passingMiB)
	ratio := over(walls.median(), floors.median())
	return []row{
		{figure: figure + ", time", measured: show(walls.median()), against: "the files written without a container: " + show(floors.median()),
			ratio: ratio, bar: "≤ 1.2", over: ratio > 1.2},
		{figure: figure + ", time", measured: show(walls.median()), against: "that and as many bare containers: " + show(started.median()),
			ratio: over(walls.median(), started.median())},
		{figure: figure + ", more disk", measured: kib(extra), against: "one copy: " + mib(passingJobs*passingMiB<<20),
			ratio: float64(extra) / float64(passingJobs*passingMiB<<20), bar: "< 10 MiB", over: extra >= 10<<20},
	}, nil
}

// writeFiles writes on the same disk what the jobs do.
func (b *bench) writeFiles(name string) (usage, error) {
	dir, err := b.mkdir(name)
	if err != nil {
		return usage{}, err
	}
	var commands []string
	for i := range passingJobs {
		commands = append(commands, writing(filepath.Join(dir, fmt.Sprint(i))))
	}
	u, err := b.command(nil, "sh", "-ec", strings.Join(commands, "\n"))
	if err != nil {
		return u, err
	}
	return u, os.RemoveAll(dir)
}

// measureRepository runs jobs on a large project, each in a workspace of its own.
func measureRepository(b *bench) ([]row, error) {
	l, err := b.lab()
	if err != nil {
		return nil, err
	}
	large, err := b.repository("repository", repositoryFiles)
	if err != nil {
		return nil, err
	}
	empty, err := b.repository("no-repository", 0)
	if err != nil {
		return nil, err
	}
	var pipeline strings.Builder
	pipeline.WriteString("default: {image: alpine}\n")
	for i := range repositoryJobs {
		fmt.Fprintf(&pipeline, "job-%d: {script: ['echo %d > written']}\n", i, i)
	}
	plan, err := l.compile(pipeline.String())
	if err != nil {
		return nil, err
	}
	var walls [2]sample
	for range repositoryRepetitions {
		for i, project := range []string{large, empty} {
			r, err := l.run(plan, project, repositoryJobs)
			if err != nil {
				return nil, err
			}
			walls[i] = append(walls[i], r.wall)
		}
	}
	ratio := over(walls[0].median(), walls[1].median())
	return []row{{figure: fmt.Sprintf("%d jobs on a repository of 20,000 files, 200 MiB", repositoryJobs), measured: show(walls[0].median()),
		against: "the same in an empty one: " + show(walls[1].median()), ratio: ratio, bar: "≤ 1.2", over: ratio > 1.2}}, nil
}

// repository makes a git repository of n files, all committed.
func (b *bench) repository(name string, n int) (string, error) {
	dir, err := b.mkdir(name)
	if err != nil {
		return "", err
	}
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprint(i/100))
		if i%100 == 0 {
			if err := os.Mkdir(sub, 0o755); err != nil {
				return "", err
			}
		}
		content := bytes.Repeat(fmt.Appendf(nil, "%019d\n", i), repositoryFileSize/20)
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("file-%d.c", i)), content, 0o644); err != nil {
			return "", err
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."},
		{"-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "--allow-empty", "-m", "all"}} {
		if _, err := b.command(nil, "git", append([]string{"-C", dir}, args...)...); err != nil {
			return "", err
		}
	}
	return dir, nil
}
