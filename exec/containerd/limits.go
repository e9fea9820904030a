//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/userns"
	"github.com/cic-ci/cic/plan"
)

const (
	// cpuPeriod is the period of the CPU quota, in microseconds.
	cpuPeriod = 100_000
	// leastMemory and leastPIDs are what the OCI runtime itself needs in the
	// container's control group before the job's first process runs.
	leastMemory = 16 << 20
	leastPIDs   = 32
)

// cgroupDir is where the kernel shows the mounted control groups.
const cgroupDir = "/sys/fs/cgroup"

// controller finds the hierarchy of a control group controller: a directory of
// its own with version 1 and in a hybrid, the common one with version 2. It is
// empty where the machine has none, or this user may make no groups in it, so that
// nothing can be limited by it.
// Source: Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst of the kernel.
func controller(name string) string {
	v1 := filepath.Join(cgroupDir, name)
	if _, err := os.Stat(filepath.Join(v1, "cgroup.procs")); err == nil {
		return unlessReadOnly(v1)
	}
	list, err := os.ReadFile(filepath.Join(cgroupDir, "cgroup.controllers"))
	if err == nil {
		for field := range strings.FieldsSeq(string(list)) {
			if field == name {
				return unlessReadOnly(cgroupDir)
			}
		}
	}
	return ""
}

// unlessReadOnly is dir, but empty where this process may make nothing in it.
func unlessReadOnly(dir string) string {
	if unix.Access(dir, unix.W_OK) != nil {
		return ""
	}
	return dir
}

// limitable reports whether this process can make control groups: an ordinary user,
// who is root of a user namespace here, cannot.
func limitable() bool { return !userns.Inside() || controller("pids") != "" }

// enforceable are the limits but for the default number of processes, where an
// ordinary user may limit nothing: only what was asked for is worth a refusal.
func (r *Runtime) enforceable(want plan.Resources) plan.Resources {
	if want.PIDs == exec.DefaultPIDs && !limitable() {
		r.unlimited.Do(func() {
			r.cfg.Warn("the number of a job's processes is not limited: this user may make no control groups")
		})
		want.PIDs = 0
	}
	return want
}

// limit sets the bounds of a container's control group. A bound that the
// machine cannot hold is an error: it must not pass for one that it does.
func limit(s *oci.Spec, want plan.Resources) error {
	for _, l := range []struct {
		controller string
		wanted     bool
	}{{"memory", want.Memory > 0}, {"cpu", want.CPUs > 0}, {"pids", want.PIDs > 0}} {
		if l.wanted && controller(l.controller) == "" {
			return configError("", "this machine cannot limit a job's %s: its kernel has no such control group controller, or this user may not use it", l.controller)
		}
	}
	if want.Memory > 0 {
		if want.Memory < leastMemory {
			return configError("", "a memory limit of %d bytes is too low to start a container: it is at least %d MiB", want.Memory, leastMemory>>20)
		}
		s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &want.Memory}
		if swapLimited() {
			// Of memory and swap space together.
			s.Linux.Resources.Memory.Swap = &want.Memory
		}
	}
	if want.CPUs > 0 {
		period, quota := uint64(cpuPeriod), max(int64(want.CPUs*cpuPeriod), 1000)
		s.Linux.Resources.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota}
	}
	if want.PIDs > 0 {
		if want.PIDs < leastPIDs {
			return configError("", "a limit of %d processes is too low to start a container: it is at least %d", want.PIDs, leastPIDs)
		}
		s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &want.PIDs}
	}
	shown := slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool { return m.Type == "cgroup" })
	if (want.Memory > 0 || want.CPUs > 0) && !shown {
		// Runtimes of languages size their heaps and thread pools by these files.
		s.Mounts = append(s.Mounts, cgroupMount("ro"))
	}
	return nil
}

// swapLimited reports whether the kernel counts swap space by control group.
func swapLimited() bool {
	root := controller("memory")
	if root == cgroupDir {
		return true // memory.swap.max; the root itself does not have it
	}
	_, err := os.Stat(filepath.Join(root, "memory.memsw.limit_in_bytes"))
	return err == nil
}

// cgroupPath is a job's control group, below the root of each hierarchy.
func (r *Runtime) cgroupPath(jobID string) string { return path.Join("/cic", r.cfg.RunID, jobID) }

// readHits reads from the control group of a container, which is there until
// its task is deleted, what limits its processes ran into.
func readHits(group string) (exec.Hits, error) {
	// Version 1 has the count of kills among the settings, version 2 among the events.
	ooms, err := counter("memory", group, "oom_kill", "memory.events", "memory.oom_control")
	if err != nil {
		return exec.Hits{}, err
	}
	refused, err := counter("pids", group, "max", "pids.events")
	return exec.Hits{OOM: ooms > 0, PIDs: refused > 0}, err
}

// counter reads a named value from the first of these files that a control group
// has; zero where there is none.
func counter(controllerName, group, name string, files ...string) (int64, error) {
	root := controller(controllerName)
	if root == "" {
		return 0, nil
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(root, group, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("read limits: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) == 2 && fields[0] == name {
				n, err := strconv.ParseInt(fields[1], 10, 64)
				if err != nil {
					return 0, fmt.Errorf("read limits: %s: %w", file, err)
				}
				return n, nil
			}
		}
	}
	return 0, nil
}

// errNoLayer says that the job's files are among the image's.
var errNoLayer = errors.New("its root file system is no overlay, and what the job writes cannot be told from the image")

// written is the directory that holds what is written to the root file system of
// a container.
func (s *sandbox) written(ctx context.Context) (string, error) {
	if s.img.stored == nil {
		return s.rootfsUpper(), nil
	}
	mounts, err := s.r.client.SnapshotService(s.r.snapshotter).Mounts(ctx, s.id)
	if err != nil {
		return "", fmt.Errorf("look for the layer of a container: %w", err)
	}
	for _, m := range mounts {
		if dir := overlayValue(m, "upperdir"); m.Type == "overlay" && dir != "" {
			return dir, nil
		}
	}
	return "", errNoLayer
}

// Written lists the directories that hold what the job and its services write
// outside of its workspace, if there is a limit to that.
func (s *sandbox) Written() []string {
	layers := slices.Clone(s.layers)
	for _, service := range s.services {
		layers = append(layers, service.layers...)
	}
	return layers
}

// Hits tells which limits the last program ran into.
func (s *sandbox) Hits() exec.Hits { return s.hits }
