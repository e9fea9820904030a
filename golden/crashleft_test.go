//go:build linux

package golden

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// process is a process and its arguments.
type process struct {
	pid  int
	args []string
}

// processes lists all processes that have arguments.
func processes(t *testing.T) (list []process) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil || len(data) == 0 { // it has ended, or is of the kernel
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, process{pid, strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")})
	}
	return list
}

// left lists what is left, apart from what belongs to the run beside and to a
// containerd that nobody uses.
func (l *lane) left() (left []string) {
	for deadline := time.Now().Add(leftoversPatience); ; time.Sleep(50 * time.Millisecond) {
		left = slices.Concat(l.leftInKernel(), l.leftInFiles())
		if len(left) == 0 {
			return l.leftInContainerd()
		}
		if time.Now().After(deadline) {
			return left
		}
	}
}

// others are the names by which the run beside is known.
func (l *lane) others() []string {
	run := l.bystander.runID()
	sum := sha256.Sum256([]byte(run))
	return []string{run, hex.EncodeToString(sum[:8]) + "-"}
}

// mine reports whether a line is about this lane and not about the run beside.
func (l *lane) mine(line string) bool {
	return (strings.Contains(line, l.state+"/") || strings.Contains(line, l.run+"/")) &&
		!slices.ContainsFunc(l.others(), func(name string) bool { return strings.Contains(line, name) })
}

func (l *lane) leftInKernel() (left []string) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		l.t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if l.mine(line) {
			left = append(left, "mount: "+strings.TrimSpace(line))
		}
	}
	for _, p := range processes(l.t) {
		line := strings.Join(p.args, " ")
		if l.mine(line) && p.pid != l.bystander.cmd.Process.Pid {
			left = append(left, fmt.Sprintf("process %d: %s", p.pid, line))
		}
	}
	runs, err := os.ReadDir(filepath.Join(l.state, "runs"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, run := range runs {
		if slices.Contains(l.others(), run.Name()) {
			continue
		}
		for _, pattern := range []string{"/sys/fs/cgroup/cic/", "/sys/fs/cgroup/*/cic/"} {
			found, err := filepath.Glob(pattern + run.Name())
			if err != nil {
				l.t.Fatal(err)
			}
			left = append(left, found...)
		}
	}
	return left
}

// leftInFiles lists working directories, FIFOs and the state of containers.
func (l *lane) leftInFiles() (left []string) {
	for _, dir := range []string{l.state, l.run} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case slices.Contains(l.others(), d.Name()), d.IsDir() && filepath.Base(filepath.Dir(path)) == "snapshots":
				return fs.SkipDir
			case d.Type()&fs.ModeNamedPipe != 0 && l.mine(path), d.Name() == "work" && filepath.Dir(filepath.Dir(path)) == filepath.Join(l.state, "runs"):
				left = append(left, path)
			}
			return nil
		})
		if err != nil {
			l.t.Fatal(err)
		}
	}
	found, err := filepath.Glob(filepath.Join(l.run, "runc", "cic", "*"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, path := range found {
		if l.mine(path) {
			left = append(left, path)
		}
	}
	return left
}

// leftInContainerd asks a containerd for what it knows; a snapshot whose kind is
// Committed is a layer of an image.
func (l *lane) leftInContainerd() (left []string) {
	for _, list := range [][]string{{"containers", "ls", "-q"}, {"tasks", "ls", "-q"}, {"leases", "ls", "-q"}, {"snapshots", "ls"}} {
		args := append([]string{"--address", filepath.Join(l.run, "containerd.sock"), "--namespace", "cic"}, list...)
		out, err := exec.Command("ctr", args...).CombinedOutput()
		if err != nil {
			l.t.Fatalf("ctr %s: %v\n%s", strings.Join(list, " "), err, out)
		}
		for line := range strings.Lines(string(out)) {
			fields := strings.Fields(line)
			known := len(fields) == 0 || slices.Contains([]string{"KEY", "Committed"}, fields[0]) || fields[len(fields)-1] == "Committed"
			if !known && !slices.ContainsFunc(l.others(), func(name string) bool { return strings.Contains(line, name) }) {
				left = append(left, strings.Join(list[:1], " ")+": "+strings.TrimSpace(line))
			}
		}
	}
	return left
}
