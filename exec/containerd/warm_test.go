//go:build linux

package containerd

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cic-ci/cic/exec"
)

// Without a user the containerd ends itself, with what killed runs left.
func TestDaemonEndsWhenIdle(t *testing.T) {
	requireContainerd(t)
	dir := t.TempDir()
	killed := acquire(t, dir, time.Millisecond)
	j := begin(t, killed)
	d := killed.daemon
	left := pids(t, d)
	ended, stop, err := processEnd(left[0])
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	die(t, killed)
	<-ended
	<-j.ended
	if got := processesOf(t, d.run); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
	if _, err := os.Stat(d.run); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", d.run, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte(d.run)) {
		t.Errorf("mounts are left: %v", err)
	}
	if got := controlGroups(t, killed.cfg.RunID); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
}

// Until then it stays, and serves the next run.
func TestDaemonStaysWarm(t *testing.T) {
	requireContainerd(t)
	dir := t.TempDir()
	first := acquire(t, dir, time.Hour)
	started := pids(t, first.daemon)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	last := acquire(t, dir, 0)
	if got := pids(t, last.daemon); !slices.Equal(got, started) {
		t.Errorf("processes %v, want %v", got, started)
	}
}

// A state directory that was removed takes its containerd with it.
func TestDaemonEndsWithItsStateDirectory(t *testing.T) {
	requireContainerd(t)
	dir := filepath.Join(t.TempDir(), "state")
	r := acquire(t, dir, time.Hour)
	d := r.daemon
	ended, stop, err := processEnd(pids(t, d)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := errors.Join(r.Close(), os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	<-ended
	if _, err := os.Stat(d.run); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", d.run, err)
	}
}

// The containerd of another build is replaced where nobody uses it, joined where
// it fits, and refused where not.
func TestDaemonOfAnotherBuild(t *testing.T) {
	requireContainerd(t)
	other := filepath.Join(t.TempDir(), "other")
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	id, err := buildID("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	another := []byte(id)
	another[len(another)-2]++
	if err := os.WriteFile(other, bytes.ReplaceAll(program, []byte(id), another), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, protocol string
		used           bool
		joined, fails  bool
	}{
		{name: "unused", protocol: protocol},
		{name: "used", protocol: protocol, used: true, joined: true},
		{name: "unused misfit", protocol: "0"},
		{name: "used misfit", protocol: "0", used: true, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			d := newDaemon(dir)
			d.program, d.protocol = other, test.protocol
			c, err := d.acquire(t.Context(), time.Hour, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			before := pids(t, d)
			if !test.used {
				if err := d.users.Close(); err != nil {
					t.Fatal(err)
				}
			}
			r, err := Open(t.Context(), Config{StateDir: dir})
			after := pids(t, d)
			switch {
			case test.fails != (err != nil), test.fails && classOf(err) != exec.ClassSystem:
				t.Errorf("got %v", err)
			case slices.Equal(before, after) != (test.joined || test.fails):
				t.Errorf("processes %v, then %v", before, after)
			}
			if test.used {
				if err := d.users.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err != nil {
				if err := os.WriteFile(d.idle(), []byte("0s"), 0o600); err != nil {
					t.Fatal(err)
				}
				ended, stop, err := processEnd(after[0])
				if err != nil {
					t.Fatal(err)
				}
				defer stop()
				<-ended
			} else if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
