//go:build linux

package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/containerd"
	"github.com/cic-ci/cic/exec/network"
	"github.com/cic-ci/cic/exec/userns"
)

// Run makes all checks, in a fixed order.
func Run(ctx context.Context, cfg Config) []Check {
	checks := []Check{kernel(), root(cfg.Entry)}
	checks = append(checks, cgroups(), seccomp(), networks())
	checks = append(checks, runtimes(ctx, cfg)...)
	return append(checks, state(cfg.StateDir)...)
}

// Kernel versions, as major<<16 | minor: the first with pidfd_open for waiting
// and the mount API, and the first whose overlay takes layers one by one (lowerdir+).
const (
	minKernel  = 5<<16 | 4
	goodKernel = 6<<16 | 7
)

func kernel() Check {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return Check{"kernel", Warn, "its version cannot be had: " + err.Error(), ""}
	}
	release := unix.ByteSliceToString(name.Release[:])
	return judgeKernel(release)
}

func judgeKernel(release string) Check {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return Check{"kernel", Warn, fmt.Sprintf("unknown version %q", release), ""}
	}
	switch version := major<<16 | minor; {
	case version < minKernel:
		return Check{"kernel", Fail, "Linux " + release + " is too old", "use Linux 5.4 or later; 6.7 or later is best"}
	case version < goodKernel:
		return Check{"kernel", OK, "Linux " + release + "; from 6.7 on a workspace can have more layers", ""}
	}
	return Check{"kernel", OK, "Linux " + release, ""}
}

func networks() Check {
	if userns.Entered() {
		return Check{"network", OK, "jobs reach nothing but their services, or with --network host what the machine reaches", ""}
	}
	return judgeNetwork(network.Examine())
}

// judgeNetwork is about --network bridge, the default; jobs run without it too.
func judgeNetwork(found *network.Findings, err error) Check {
	const name = "network"
	if err != nil {
		return Check{name, Warn, "jobs can have no network of their own: " + err.Error(), "load nf_tables and veth, or use --network host"}
	}
	text := fmt.Sprintf("jobs get addresses from %s", found.Pool)
	if len(found.Strict) > 0 {
		text += "; a run puts rules for its link into " + strings.Join(found.Strict, ", ") + ", which end the way of forwarded packets"
	}
	switch {
	case found.Obstacle != nil:
		return Check{name, Warn, text + "; " + found.Obstacle.Error(), found.Obstacle.Help}
	case found.Resolver != nil:
		return Check{name, Warn, text + "; " + found.Resolver.Error(), "name a server in /etc/resolv.conf that is not on the loopback, or use --network host"}
	case !found.Forwards:
		return Check{name, OK, text + "; the first run switches net.ipv4.ip_forward on", ""}
	}
	return Check{name, OK, text, ""}
}

func root(entry error) Check {
	if uid := os.Geteuid(); uid != 0 {
		return withoutRoot(uid, entry)
	}
	if userns.Entered() {
		return Check{"root", OK, "root of a user namespace: jobs have the rights of the user who runs cic", ""}
	}
	return Check{"root", OK, "running as root", ""}
}

// withoutRoot says what keeps a user from entering a user namespace.
func withoutRoot(uid int, err error) Check {
	help := "run cic exec with sudo"
	var missing *userns.SupportError
	if errors.As(err, &missing) {
		help = missing.Help
	}
	return Check{"root", Fail, fmt.Sprintf("this is user %d, and cannot run jobs: %v", uid, err), help}
}

const cgroupDir = "/sys/fs/cgroup"

// controllers are those with which cic limits jobs.
var controllers = []string{"cpu", "memory", "pids"}

func cgroups() Check {
	var fs unix.Statfs_t
	if err := unix.Statfs(cgroupDir, &fs); err != nil {
		return Check{"cgroups", Fail, fmt.Sprintf("%s: %v", cgroupDir, err), "mount the cgroup file system"}
	}
	if fs.Flags&unix.ST_RDONLY != 0 {
		return Check{"cgroups", Fail, cgroupDir + " is read-only: containers cannot be made",
			"inside a container, start that with a writable cgroup file system, for instance privileged"}
	}
	if userns.Entered() {
		return Check{"cgroups", Warn, "an ordinary user's jobs have no limits", "run cic as root where they need them"}
	}
	if fs.Type == unix.CGROUP2_SUPER_MAGIC {
		data, err := os.ReadFile(filepath.Join(cgroupDir, "cgroup.controllers"))
		if err != nil {
			return Check{"cgroups", Warn, "v2, but " + err.Error(), ""}
		}
		available := strings.Fields(string(data))
		return judgeControllers("v2", func(name string) bool { return slices.Contains(available, name) })
	}
	kind := "v1"
	if hybrid() {
		kind = "v1 with v2 beside it (hybrid)"
	}
	return judgeControllers(kind, func(name string) bool {
		_, err := os.Stat(filepath.Join(cgroupDir, name))
		return err == nil
	})
}

// hybrid reports whether hierarchies of v1 are mounted with that of v2 beside them,
// where systemd puts it.
func hybrid() bool {
	_, err := os.Stat(filepath.Join(cgroupDir, "unified"))
	return err == nil
}

func judgeControllers(kind string, available func(string) bool) Check {
	var missing []string
	for _, name := range controllers {
		if !available(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return Check{"cgroups", Warn, fmt.Sprintf("%s, without %s: such limits of jobs have no effect", kind, strings.Join(missing, ", ")),
			"boot with the controllers enabled, or let systemd delegate them"}
	}
	return Check{"cgroups", OK, kind + ", with " + strings.Join(controllers, ", "), ""}
}

func seccomp() Check {
	if _, err := os.Stat("/proc/sys/kernel/seccomp/actions_avail"); err != nil {
		return Check{"seccomp", Warn, "the kernel has no system call filter: jobs can make any system call", "use a kernel with CONFIG_SECCOMP_FILTER"}
	}
	return Check{"seccomp", OK, "available", ""}
}

// runtimes checks what makes the containers.
func runtimes(ctx context.Context, cfg Config) []Check {
	var checks []Check
	if cfg.Address == "" {
		path, version, err := containerd.OCIRuntime(ctx)
		if err != nil {
			checks = append(checks, failure("oci-runtime", err))
		} else {
			program := filepath.Base(path)
			checks = append(checks, judgeVersion("oci-runtime", program, version, path))
			if program == "crun" && hybrid() {
				checks = append(checks, Check{"oci-runtime", Warn, "crun refuses to work with hybrid cgroups", "install runc, or boot with cgroup v2 alone (systemd.unified_cgroup_hierarchy=1)"})
			}
		}
	}
	status, err := containerd.FindStatus(ctx, cfg.Address, cfg.StateDir)
	if err != nil {
		return append(checks, failure("containerd", err))
	}
	where := "in cic"
	switch {
	case cfg.Address != "":
		where = "at " + cfg.Address
	case status.PID == 0:
		where += ", not running now"
	case !status.SameBuild:
		where += fmt.Sprintf(", running as process %d for another build of cic", status.PID)
	default:
		where += fmt.Sprintf(", running as process %d", status.PID)
	}
	checks = append(checks, judgeVersion("containerd", "containerd", status.Version, where))
	if cfg.Address != "" {
		checks = append(checks, systemDir(filepath.Dir(strings.TrimPrefix(cfg.Address, "unix://"))))
	}
	return checks
}

// systemDir checks the directory of a containerd's socket (CVE-2024-25621).
func systemDir(dir string) Check {
	info, err := os.Stat(dir)
	if err != nil {
		return Check{"containerd-dir", Warn, err.Error(), ""}
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return Check{"containerd-dir", Warn, fmt.Sprintf("%s has mode %04o: others can put another socket there", dir, mode), "chmod go-w " + dir}
	}
	return Check{"containerd-dir", OK, dir + " is writable for its owner alone", ""}
}

func judgeVersion(name, program, version, where string) Check {
	text := fmt.Sprintf("%s %s, %s", program, version, where)
	holes, err := containerd.Advisories(program, version)
	if err != nil {
		return Check{name, Warn, text + ": " + err.Error(), ""}
	}
	if len(holes) > 0 {
		return Check{name, Warn, text + ", may lack the fixes of " + strings.Join(holes, ", "),
			"update it, unless your distribution says that its package has them; --strict-runtime refuses to run with it"}
	}
	return Check{name, OK, text, ""}
}

// failure is a check that an error of the executor's failed.
func failure(name string, err error) Check {
	c := Check{Name: name, Level: Fail, Text: err.Error()}
	var e *exec.Error
	if errors.As(err, &e) {
		c.Help = e.Help
	}
	return c
}
