//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// usage is what a process needed.
type usage struct {
	wall time.Duration
	// cpu is user and system time, of the processes that it waited for, too.
	cpu time.Duration
	// rss is the most memory it held at a time, in bytes. Linux counts in what the
	// starting process held (exec(2) keeps the mark, as the two share their memory
	// until then), so that it is never less than the memory of this program.
	rss int64
}

// build compiles cic as it is shipped.
func (b *bench) build() (string, error) {
	path := filepath.Join(b.dir, "cic")
	cmd := exec.CommandContext(b.ctx, "go", "build", "-o", path, "github.com/cic-ci/cic/cmd/cic")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// run runs cic. stdout may be nil for output that nobody reads.
func (b *bench) run(stdout io.Writer, args ...string) (usage, error) {
	path, err := b.cic()
	if err != nil {
		return usage{}, err
	}
	return b.command(stdout, path, args...)
}

func (b *bench) command(stdout io.Writer, name string, args ...string) (usage, error) {
	cmd := exec.CommandContext(b.ctx, name, args...)
	// What this machine is set up for must not decide where jobs run.
	cmd.Env = append(os.Environ(), "CONTAINERD_ADDRESS=", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	// An interrupted cic takes its containers with it, a killed one does not.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	start := time.Now()
	err := cmd.Run()
	u := usage{wall: time.Since(start)}
	if err != nil {
		return u, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, &stderr)
	}
	rusage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return u, errors.New("the system does not tell what a process used")
	}
	u.cpu = time.Duration(rusage.Utime.Nano() + rusage.Stime.Nano())
	u.rss = rusage.Maxrss << 10 // getrusage(2): in kilobytes
	return u, nil
}
