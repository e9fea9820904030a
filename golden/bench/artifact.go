//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/workspace"
)

const (
	artifactFiles    = 8
	artifactFileSize = 128 << 20
	artifactReaders  = 3
)

// measureArtifact passes 1 GiB from one job to three.
func measureArtifact(b *bench) (_ []row, err error) {
	project, err := b.mkdir("artifact", "project")
	if err != nil {
		return nil, err
	}
	work, err := b.mkdir("artifact", "work")
	if err != nil {
		return nil, err
	}
	m, err := workspace.New(workspace.Config{Source: project, Dir: work})
	if err != nil {
		return nil, err
	}
	producer, err := m.Open("producer")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, producer.Close()) }()
	if err := producer.Mount(nil); err != nil {
		return nil, err
	}
	out := filepath.Join(producer.Builds(), "project", "out")
	if err := writeArtifact(out); err != nil {
		return nil, err
	}
	copied, err := b.command(nil, "cp", "-a", out, filepath.Join(b.dir, "copy"))
	if err != nil {
		return nil, err
	}
	// What the writing left to the disk must be neither in the time nor in the blocks.
	unix.Sync()
	before, err := diskUsage(work)
	if err != nil {
		return nil, err
	}
	took, readers, err := passOn(m, producer, filepath.Join(work, "collected"))
	for _, r := range readers {
		defer func() { err = errors.Join(err, r.Close()) }()
	}
	if err != nil {
		return nil, err
	}
	unix.Sync()
	after, err := diskUsage(work)
	if err != nil {
		return nil, err
	}
	const size = artifactFiles * artifactFileSize
	extra := after - before
	return []row{
		{figure: "artifact of 1 GiB to 3 jobs, time", measured: show(took), against: "cp -a of it, once: " + show(copied.wall),
			ratio: over(took, copied.wall), bar: "< 100 ms", over: took >= 100*time.Millisecond},
		{figure: "artifact of 1 GiB to 3 jobs, more disk", measured: kib(extra), against: "one copy: " + mib(size),
			ratio: float64(extra) / size, bar: "< 1 MiB", over: extra >= 1<<20},
	}, nil
}

// passOn collects the artifact and mounts it for its readers.
func passOn(m *workspace.Manager, producer *workspace.Workspace, dst string) (took time.Duration, readers []*workspace.Workspace, err error) {
	for i := range artifactReaders {
		w, err := m.Open(fmt.Sprintf("reader-%d", i))
		if err != nil {
			return 0, readers, err
		}
		readers = append(readers, w)
	}
	start := time.Now()
	if _, err := producer.Collect(workspace.Patterns{Paths: []string{"out/"}}, dst); err != nil {
		return 0, readers, err
	}
	for _, w := range readers {
		if err := w.Mount([]string{dst}); err != nil {
			return 0, readers, err
		}
	}
	took = time.Since(start)
	for _, w := range readers {
		info, err := os.Stat(filepath.Join(w.Builds(), "project", "out", "file-0"))
		if err != nil {
			return 0, readers, err
		}
		if info.Size() != artifactFileSize {
			return 0, readers, fmt.Errorf("a reader sees %d bytes of %d", info.Size(), artifactFileSize)
		}
	}
	return took, readers, nil
}

// writeArtifact writes files that no file system stores for less.
func writeArtifact(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	random := bufio.NewReaderSize(rand.NewChaCha8([32]byte{}), 1<<20)
	for i := range artifactFiles {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("file-%d", i)))
		if err != nil {
			return err
		}
		_, err = io.CopyN(f, random, artifactFileSize)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// diskUsage counts the bytes of all blocks below a directory on its file system,
// those of a file with several names once.
func diskUsage(dir string) (total int64, err error) {
	var top unix.Stat_t
	if err := unix.Lstat(dir, &top); err != nil {
		return 0, err
	}
	seen := map[uint64]bool{}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		if st.Dev != top.Dev {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !seen[st.Ino] {
			seen[st.Ino] = true
			total += st.Blocks * 512 // stat(2)
		}
		return nil
	})
	return total, err
}
