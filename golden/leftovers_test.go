package golden

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// leftoversPatience is how long what was ended may take to disappear: a shim
// ends by itself, a little after its container.
const leftoversPatience = 30 * time.Second

// runLine is how a run that is printed names itself.
var runLine = regexp.MustCompile(`(?m)^Run: +([0-9a-z-]+)$`)

// nothingLeft checks that nothing is left of the runs that were printed last: no
// mount, process, control group, network link or working directory, and, of the containerd
// that the command containerd started, no container, task, lease or snapshot:
//
//	nothing left
func nothingLeft(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || args[0] != "left" {
		ts.Fatalf("usage: nothing left")
	}
	runs := runLine.FindAllStringSubmatch(ts.ReadFile("stdout"), -1)
	if len(runs) == 0 {
		ts.Fatalf("the output does not name its run")
	}
	var left []string
	for deadline := time.Now().Add(leftoversPatience); ; time.Sleep(50 * time.Millisecond) {
		left = nil
		for _, run := range runs {
			left = append(left, leftovers(ts, run[1])...)
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("left behind:\n\t%s", strings.Join(left, "\n\t"))
		}
	}
	if address := ts.Getenv("CONTAINERD_ADDRESS"); address != "" {
		for _, list := range [][]string{{"containers", "ls", "-q"}, {"tasks", "ls", "-q"}, {"leases", "ls", "-q"}} {
			ts.Check(ts.Exec("ctr", append([]string{"--address", address, "--namespace", "cic"}, list...)...))
			if out := ts.ReadFile("stdout"); strings.TrimSpace(out) != "" {
				ts.Fatalf("ctr %s: left behind:\n%s", strings.Join(list, " "), out)
			}
		}
		ts.Check(ts.Exec("ctr", "--address", address, "--namespace", "cic", "snapshots", "ls"))
		if out := ts.ReadFile("stdout"); strings.Contains(out, "Active") || strings.Contains(out, "View") {
			ts.Fatalf("snapshots left behind:\n%s", out)
		}
	}
}

// leftovers lists what the kernel knows of a run.
func leftovers(ts *testscript.TestScript, run string) (left []string) {
	sum := sha256.Sum256([]byte(run))
	container := hex.EncodeToString(sum[:8]) + "-" // as containers are called
	dir := filepath.Join(ts.Getenv("CIC_STATE_DIR"), "runs", run)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	ts.Check(err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir+"/") || strings.Contains(line, "/"+container) {
			left = append(left, "mount: "+strings.TrimSpace(line))
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	ts.Check(err)
	for _, file := range processes {
		// One that ends meanwhile is not left.
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), container) {
			left = append(left, fmt.Sprintf("process: %s: %q", file, line))
		}
	}
	for _, pattern := range []string{
		"/sys/fs/cgroup/cic/" + run, "/sys/fs/cgroup/*/cic/" + run,
		"/run/containerd/runc/cic/" + container + "*", "/run/cic-*/runc/cic/" + container + "*",
		dir + "/work",
	} {
		found, err := filepath.Glob(pattern)
		ts.Check(err)
		left = append(left, found...)
	}
	links, err := filepath.Glob("/sys/class/net/cic*/ifalias")
	ts.Check(err)
	for _, file := range links {
		if alias, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(alias)) == "cic run "+run {
			left = append(left, "link: "+file)
		}
	}
	return left
}

// ownContainerd starts a containerd for this script alone and points cic to it with
// CONTAINERD_ADDRESS. It is stopped at the end of the script.
func ownContainerd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: containerd")
	}
	dir := ts.MkAbs(filepath.Join(ts.Getenv("WORK"), "containerd"))
	ts.Check(os.MkdirAll(dir, 0o700))
	socket := filepath.Join(dir, "sock")
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket)
	ts.Check(os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600))
	log, err := os.Create(filepath.Join(dir, "log"))
	ts.Check(err)
	cmd := command(ts, []string{"containerd", "--config", filepath.Join(dir, "config.toml")})
	cmd.Stdout, cmd.Stderr = log, log
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ts.Defer(func() {
		// It may have ended already; the script has its verdict.
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		_ = log.Close()
	})
	for {
		if ts.Exec("ctr", "--address", socket, "version") == nil {
			break
		}
		select {
		case err := <-ended:
			ended <- err
			ts.Fatalf("containerd ended: %v\n%s", err, ts.ReadFile(log.Name()))
		case <-time.After(50 * time.Millisecond):
		}
	}
	ts.Setenv("CONTAINERD_ADDRESS", socket)
}
