package workspace

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUsage(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	const size = 1 << 20
	if err := os.WriteFile(filepath.Join(outside, "large"), make([]byte, 16*size), 0o644); err != nil {
		t.Fatal(err)
	}
	measure := func() int64 {
		t.Helper()
		n, err := Usage(dir)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	base := measure()
	for _, step := range []struct {
		name string
		make func() error
		want int64 // in all
	}{
		{"a file", func() error {
			if err := os.Mkdir(filepath.Join(dir, "sub"), 0o000); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "sub", "a"), make([]byte, size), 0o000)
		}, size},
		{"a second name", func() error { return os.Link(filepath.Join(dir, "sub", "a"), filepath.Join(dir, "b")) }, size},
		{"a hole", func() error {
			f, err := os.Create(filepath.Join(dir, "sparse"))
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Truncate(1 << 40)
		}, size},
		{"a link out", func() error { return os.Symlink(outside, filepath.Join(dir, "out")) }, size},
		{"a link to a file", func() error { return os.Symlink(filepath.Join(outside, "large"), filepath.Join(dir, "file")) }, size},
		{"a FIFO", func() error { return unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600) }, size},
		{"an odd name", func() error { return os.WriteFile(filepath.Join(dir, "a\nb\xff"), make([]byte, size), 0o644) }, 2 * size},
	} {
		if err := step.make(); err != nil {
			t.Fatal(err)
		}
		// Directories and names take a few blocks of their own.
		if got := measure() - base; got < step.want || got > step.want+64<<10 {
			t.Errorf("with %s: %d bytes, want about %d", step.name, got, step.want)
		}
	}
	if n, err := Usage(dir, outside); err != nil || n < 18*size || n > 19*size {
		t.Errorf("two directories: %d, %v", n, err)
	}
	if _, err := Usage(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory that is not there has a size")
	}
	if _, err := Usage(filepath.Join(dir, "out")); err == nil {
		t.Error("a link is followed")
	}
}

// Nothing can be hidden by depth: such a tree is an error.
func TestUsageDepth(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+strings.Repeat("/d", maxUsageDepth), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Usage(dir); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("deeper than %d", maxUsageDepth)) {
		t.Errorf("got %v", err)
	}
}

// A tree that changes is measured all the same.
func TestUsageChanging(t *testing.T) {
	dir := t.TempDir()
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			path := filepath.Join(dir, "d", fmt.Sprint(i%10))
			err := os.MkdirAll(path, 0o755)
			if err == nil {
				err = os.RemoveAll(filepath.Join(dir, "d"))
			}
			if err == nil {
				err = os.Symlink("/", filepath.Join(dir, "d"))
			}
			if err == nil {
				err = os.Remove(filepath.Join(dir, "d"))
			}
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 2000 {
		if n, err := Usage(dir); err != nil || n > 1<<20 {
			t.Errorf("%d, %v", n, err)
			break
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
