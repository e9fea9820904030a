package userns

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// A process is told from a later one with its id by the time of its start.
func TestIdentify(t *testing.T) {
	own, err := identify(strconv.Itoa(os.Getpid()))
	if err != nil || !strings.HasPrefix(own, strconv.Itoa(os.Getpid())+" ") {
		t.Fatal(own, err)
	}
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(child.Process.Pid)
	first, err := identify(pid)
	if err != nil || first == own {
		t.Error(first, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // by the signal
	for _, gone := range []string{pid, "0", "-1", "self", "../1", ""} {
		if id, err := identify(gone); err == nil {
			t.Errorf("%q is %q", gone, id)
		}
	}
}
