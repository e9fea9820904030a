//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// accounting is a control group whose processor time is counted with that of all
// groups below it, those that are gone included.
type accounting struct{ dir string }

// accountingRoot is where the kernel counts processor time by control group.
// Source: cgroup-v1/cpuacct.rst and cgroup-v2.rst of the kernel.
func accountingRoot() string {
	const v1 = "/sys/fs/cgroup/cpuacct"
	if _, err := os.Stat(filepath.Join(v1, "cgroup.procs")); err == nil {
		return v1
	}
	return "/sys/fs/cgroup"
}

func newAccounting(name string) (accounting, error) {
	a := accounting{filepath.Join(accountingRoot(), name)}
	return a, os.MkdirAll(a.dir, 0o755)
}

// enter moves this process into the group, and with it all that it starts.
func (a accounting) enter() error {
	return os.WriteFile(filepath.Join(a.dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
}

// leave moves this process to the top.
func (a accounting) leave() error { return accounting{accountingRoot()}.enter() }

// used is the processor time so far.
func (a accounting) used() (time.Duration, error) {
	data, err := os.ReadFile(filepath.Join(a.dir, "cpuacct.usage"))
	if err == nil {
		n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		return time.Duration(n), err // in nanoseconds
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if data, err = os.ReadFile(filepath.Join(a.dir, "cpu.stat")); err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return time.Duration(n) * time.Microsecond, err
		}
	}
	return 0, fmt.Errorf("%s does not tell the processor time", a.dir)
}

// removeTimeout bounds the wait for processes that have ended, and that their
// parents have not asked about yet.
const removeTimeout = 30 * time.Second

// remove removes the group.
func (a accounting) remove() error {
	for end := time.Now().Add(removeTimeout); ; time.Sleep(pollInterval) {
		err := unix.Rmdir(a.dir)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		case !errors.Is(err, unix.EBUSY) || time.Now().After(end):
			return fmt.Errorf("remove %s: %w", a.dir, err)
		}
	}
}

// bareCPU is the processor time that f's bare containers need in all.
func (l *lab) bareCPU(f func() error) (time.Duration, error) {
	before, err := l.bareUsed()
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := l.bareUsed()
	return after - before, err
}

func (l *lab) bareUsed() (time.Duration, error) {
	system, err := l.system.used()
	if err != nil {
		return 0, err
	}
	containers, err := l.containers.used()
	return system + containers, err
}

// pollInterval is how often a group is asked that will be gone at the end.
const pollInterval = 20 * time.Millisecond

// runCPU is [lab.run] and the processor time that a run needs in all. What the
// jobs' processes did in the last milliseconds before cic removes their group is missing.
func (l *lab) runCPU(plan, project string, jobs int) (finishedRun, time.Duration, error) {
	before, err := l.system.used()
	if err != nil {
		return finishedRun{}, 0, err
	}
	found, stop, last := make(chan string, 1), make(chan struct{}), make(chan time.Duration)
	go func() {
		var containers time.Duration
		defer func() { last <- containers }()
		var group accounting
		for {
			select {
			case <-stop:
				return
			case run := <-found:
				group.dir = filepath.Join(accountingRoot(), "cic", run)
			case <-time.After(pollInterval):
			}
			if used, err := group.used(); err == nil { // there is no group at first, and none at the end
				containers = used
			}
		}
	}()
	r, err := l.runTold(plan, project, jobs, func(run string) { found <- run })
	close(stop)
	containers := <-last
	if err != nil {
		return r, 0, err
	}
	after, err := l.system.used()
	return r, after - before + containers, err
}
