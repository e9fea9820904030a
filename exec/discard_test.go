package exec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A run that is being removed is not taken for a dead one, which would leave a run
// that nobody ever began.
func TestDeadRunsBesideRemovals(t *testing.T) {
	state := t.TempDir()
	const runs = 200
	var removals sync.WaitGroup
	for _, name := range []string{"unbegun", "ended"} {
		removals.Go(func() {
			for i := range runs {
				id := fmt.Sprintf("%s-%d", name, i)
				r, err := CreateRun(state, id)
				if err == nil && name == "ended" {
					err = r.append([]Event{{Type: EventRunFinished}})
				}
				if err == nil {
					err = r.Close()
				}
				if err == nil && name == "ended" {
					err = RemoveRun(state, id)
				}
				// One that a sweep looks at this moment can be removed later.
				if err != nil && !errors.Is(err, ErrRunLives) {
					t.Errorf("%s: %v", id, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { removals.Wait(); close(done) }()
	for {
		if dead, err := DeadRuns(state); err != nil || len(dead) > 0 {
			t.Errorf("dead: %v, %v", ids(dead), err)
		}
		select {
		case <-done:
			return
		default:
		}
		if t.Failed() {
			<-done
			return
		}
	}
}

// What a removal leaves that is killed is no run, and goes with the next sweep.
func TestHalfRemoved(t *testing.T) {
	state := t.TempDir()
	r, err := CreateRun(state, "a")
	if err != nil {
		t.Fatal(err)
	}
	die(t, r, "")
	half := filepath.Join(state, "runs", goneMark+"a")
	if err := errors.Join(os.Rename(r.Dir, half), os.Remove(filepath.Join(half, lockName))); err != nil {
		t.Fatal(err)
	}
	if ids, err := RunIDs(state); err != nil || len(ids) > 0 {
		t.Errorf("runs: %v, %v", ids, err)
	}
	if dead, err := DeadRuns(state); err != nil || len(dead) > 0 {
		t.Errorf("dead: %v, %v", ids(dead), err)
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left: %v", err)
	}
}

// One run that cannot be looked at does not keep the others from being swept.
func TestDeadRunsGoesOn(t *testing.T) {
	state := t.TempDir()
	for _, id := range []string{"a", "b"} {
		r, err := CreateRun(state, id)
		if err != nil {
			t.Fatal(err)
		}
		die(t, r, "")
	}
	lock := filepath.Join(state, "runs", "a", lockName)
	if err := errors.Join(os.Remove(lock), os.Mkdir(lock, 0o700)); err != nil {
		t.Fatal(err)
	}
	dead, err := DeadRuns(state)
	if err == nil || len(dead) != 1 || dead[0].ID != "b" {
		t.Errorf("dead: %v, %v", ids(dead), err)
	}
}
