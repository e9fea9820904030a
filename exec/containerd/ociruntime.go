//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"time"
)

// runtimeName is containerd's name for the shim that runs runc or a program like it.
const runtimeName = "io.containerd.runc.v2"

// ociRuntimes are the programs that can make containers, the preferred first.
var ociRuntimes = []string{"runc", "crun"}

// findRuntime finds a program that makes containers.
func findRuntime() (string, error) {
	for _, name := range ociRuntimes {
		for _, dir := range filepath.SplitList(daemonPath) {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return path, nil
			}
		}
	}
	return "", systemError("install one of them, for instance: apt-get install runc",
		errors.New("neither runc nor crun is installed in "+daemonPath))
}

// versionTimeout bounds a program that is asked for its version.
const versionTimeout = 10 * time.Second

// OCIRuntime finds the program that makes the containers of the embedded
// containerd, and its version. An error is an [exec.Error] of class system.
func OCIRuntime(ctx context.Context) (path, version string, err error) {
	if path, err = findRuntime(); err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := osexec.CommandContext(ctx, path, "--version")
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + daemonPath}
	out, err := cmd.Output()
	if err != nil {
		return "", "", systemError("reinstall it", fmt.Errorf("%s --version: %w", path, err))
	}
	line, _, _ := strings.Cut(string(out), "\n")
	_, version, found := strings.Cut(line, " version ")
	if !found {
		return "", "", systemError("reinstall it", fmt.Errorf("%s --version: unknown answer %q", path, line))
	}
	return path, version, nil
}

// warnAdvisories tells of known holes in what runs the jobs, in one line.
func (r *Runtime) warnAdvisories(ctx context.Context) {
	holes, err := r.holes(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.cfg.Warn(err.Error())
	case holes != "":
		r.cfg.Warn(holes + "; see cic doctor")
	}
}

// holes names the programs in use that have known holes, and these. Without any it
// is empty.
func (r *Runtime) holes(ctx context.Context) (string, error) {
	program, version := "containerd", ""
	if r.daemon == nil {
		v, err := r.client.Version(ctx)
		if err != nil {
			return "", fmt.Errorf("containerd's version: %w", err)
		}
		version = v.Version
	} else {
		path, v, err := OCIRuntime(ctx)
		if err != nil {
			return "", err
		}
		program, version = filepath.Base(path), v
	}
	found, err := Advisories(program, version)
	if err != nil || len(found) == 0 {
		return "", err
	}
	list := strings.Join(found[:min(2, len(found))], ", ")
	if more := len(found) - 2; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s %s may lack the fix of %s", program, version, list), nil
}
