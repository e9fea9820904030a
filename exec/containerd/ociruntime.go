//go:build linux

package containerd

import (
	"errors"
	"os"
	"path/filepath"
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
