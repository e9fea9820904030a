package golden

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// peakVariable names the file that cic, as a command of the tests, writes the
// largest size of its resident set to when it ends.
const peakVariable = "CIC_TEST_PEAK"

// reportPeak writes VmHWM of proc_pid_status(5), in KiB. The parent cannot tell: what
// it gets of a child that ended counts the parent's own memory, which the child shares
// until it calls execve (getrusage(2), clone(2) with CLONE_VM).
func reportPeak() {
	file := os.Getenv(peakVariable)
	if file == "" {
		return
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	_, peak, _ := bytes.Cut(status, []byte("VmHWM:"))
	peak, _, _ = bytes.Cut(peak, []byte("kB"))
	if err := os.WriteFile(file, bytes.TrimSpace(peak), 0o600); err != nil {
		panic(err)
	}
}

// runMeasured runs cic, which has an environment of its own, and returns the largest
// size of its resident set in MiB. runErr is how it ended.
func runMeasured(cmd *exec.Cmd) (mib int, runErr, err error) {
	dir, err := os.MkdirTemp("", "peak")
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "peak")
	cmd.Env = append(cmd.Environ(), peakVariable+"="+file)
	runErr = cmd.Run()
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, runErr, errors.Join(err, runErr)
	}
	kib, err := strconv.Atoi(string(text))
	return kib >> 10, runErr, err
}
