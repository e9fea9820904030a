package exec

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestBuryUnmounts: a run that was killed leaves mounts. The sweep removes them,
// and nothing of what was mounted: with a shared workspace that is the project.
func TestBuryUnmounts(t *testing.T) {
	project, precious := t.TempDir(), "precious"
	if err := os.WriteFile(filepath.Join(project, precious), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	r, err := CreateRun(state, "killed")
	if err != nil {
		t.Fatal(err)
	}
	mounted := filepath.Join(r.WorkspacesDir(), "job", "builds", "project")
	if err := os.MkdirAll(mounted, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(project, mounted, "", syscall.MS_BIND, ""); err != nil {
		if os.Getenv("CIC_REQUIRE_CONTAINERD") == "1" {
			t.Fatal(err)
		}
		t.Skipf("needs the right to mount: %v", err)
	}
	die(t, r, "")
	dead, err := DeadRuns(state)
	if err != nil || len(dead) != 1 {
		t.Fatalf("%v, %v", ids(dead), err)
	}
	if err := dead[0].Bury(time.Now()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(r.Dir, "work")); !os.IsNotExist(err) {
		t.Errorf("work: %v", err)
	}
	if _, err := os.Stat(filepath.Join(project, precious)); err != nil {
		t.Errorf("the project was harmed: %v", err)
	}
}
