//go:build linux

// Command bench measures what cic promises to be quick at and prints one table.
// Every figure stands beside a floor or a peer that was measured in the same run,
// so that a busy or slow machine changes both:
//
//	go run ./golden/bench                  all figures, a few minutes
//	go run ./golden/bench -only 'graph'    those whose name matches
//	go run ./golden/bench -only output -output 10240    ten GiB of one job's output
//
// It runs as root on Linux, and wants CIC_TEST_IMAGES to name a directory with
// alpine.tar (make images). A figure beyond its bar is a finding, not an error:
// only a measurement that could not be made gives exit code 1.
//
// Reading order: this file; compile.go, workspace.go, artifact.go and cache.go,
// which need no containers; path.go, jobs.go, project.go and output.go, which run
// pipelines; lab.go, where they run, and cpu.go, which counts what that takes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/containerd"
	"github.com/cic-ci/cic/exec/workspace"
)

// groups are the measurements in the order of the table.
var groups = []struct {
	name    string
	measure func(*bench) ([]row, error)
}{
	{"compile", measureCompile},
	{"workspace", measureWorkspace},
	{"artifact", measureArtifact},
	{"cache", measureCache},
	{"path", measurePath},
	{"graph", measureGraph},
	{"chain", measureChain},
	{"fan-out", measureFanOut},
	{"passing", measurePassing},
	{"repository", measureRepository},
	{"memory", measureMemory},
	{"output", measureOutput},
}

// bench is what the measurements share.
type bench struct {
	ctx context.Context
	// dir is removed at the end. It is on a disk: /tmp is memory on many machines.
	dir string
	// cic returns the path of the program, built once.
	cic func() (string, error)
	// lab returns the place where pipelines run, made once.
	lab func() (*lab, error)
	// outputMiB is how much one job prints for the figures on output.
	outputMiB int
	// log is told what goes on.
	log func(format string, args ...any)
}

func main() {
	containerd.Main()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "measure only what matches `REGEXP`")
	outputMiB := flags.Int("output", 1024, "let one job print `MIB` for the figures on output; the bar is for 10240")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	pattern, err := regexp.Compile(*only)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	before := load()
	rows, err := measure(ctx, pattern, *outputMiB, stderr)
	err = errors.Join(err, printTable(stdout, rows))
	fmt.Fprintln(stdout, conditions(before, load()))
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

// measure runs the groups that match, going on after one that fails.
func measure(ctx context.Context, only *regexp.Regexp, outputMiB int, stderr io.Writer) (rows []row, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("mounting workspaces and running containers needs root")
	}
	dir, err := os.MkdirTemp("/var/tmp", "cic-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, workspace.Remove(dir)) }()
	b := &bench{ctx: ctx, dir: dir, outputMiB: outputMiB}
	b.log = func(format string, args ...any) { fmt.Fprintf(stderr, "bench: "+format+"\n", args...) }
	b.cic = sync.OnceValues(b.build)
	var opened *lab
	b.lab = sync.OnceValues(func() (l *lab, err error) {
		opened, err = openLab(b)
		return opened, err
	})
	defer func() {
		if opened != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	for _, g := range groups {
		if !only.MatchString(g.name) || ctx.Err() != nil {
			continue
		}
		b.log("%s", g.name)
		found, groupErr := g.measure(b)
		rows = append(rows, found...)
		if groupErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", g.name, groupErr))
		}
	}
	return rows, errors.Join(err, context.Cause(ctx))
}

// mkdir makes a directory below the scratch directory.
func (b *bench) mkdir(elements ...string) (string, error) {
	dir := filepath.Join(append([]string{b.dir}, elements...)...)
	return dir, os.MkdirAll(dir, 0o755)
}

// memory mounts a file system in memory below the scratch directory. Files made
// and removed by the thousand stay off the disk: ext4 passes over the inodes of
// files that were deleted in the last minutes one by one, so that each run would
// make the next one slower.
func (b *bench) memory(name string) (dir string, unmount func() error, err error) {
	if dir, err = b.mkdir(name); err != nil {
		return "", nil, err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		return "", nil, fmt.Errorf("mount a file system in memory: %w", err)
	}
	return dir, func() error { return unix.Unmount(dir, unix.MNT_DETACH) }, nil
}
