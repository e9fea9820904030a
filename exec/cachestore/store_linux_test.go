package cachestore

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is one whose time is set by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func open(t testing.TB) (*Store, *clock) {
	t.Helper()
	c := &clock{time.Unix(1_800_000_000, 0)}
	s, err := Open(filepath.Join(t.TempDir(), "caches"), c.now)
	must(t, err)
	return s, c
}

// save keeps files, name and content in turn, under a key.
func save(t testing.TB, p *Project, key string, files ...string) *Draft {
	t.Helper()
	d := fill(t, p, key, files...)
	must(t, d.Commit(Info{Files: len(files) / 2, Disk: 100}))
	return d
}

func fill(t testing.TB, p *Project, key string, files ...string) *Draft {
	t.Helper()
	d, err := p.Begin(key)
	must(t, err)
	must(t, os.Mkdir(d.Files(), 0o755))
	for i := 0; i < len(files); i += 2 {
		must(t, os.WriteFile(filepath.Join(d.Files(), files[i]), []byte(files[i+1]), 0o644))
	}
	return d
}

// restored is the content of a file under a key, "-" if there is nothing.
func restored(t testing.TB, p *Project, key, file string) string {
	t.Helper()
	g, err := p.Restore(key)
	must(t, err)
	if g == nil {
		return "-"
	}
	defer func() { must(t, g.Close()) }()
	data, err := os.ReadFile(filepath.Join(g.Files(), file))
	must(t, err)
	return string(data)
}

// generations counts what lies in the store, whatever it is.
func generations(t testing.TB, s *Store) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, "*", "*", "????????????????"))
	must(t, err)
	trash, err := filepath.Glob(filepath.Join(s.dir, "trash", "*"))
	must(t, err)
	return len(found) + len(trash)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSaveAndRestore(t *testing.T) {
	s, _ := open(t)
	p := s.Project("a")
	if got := restored(t, p, "k", "f"); got != "-" {
		t.Errorf("an empty store gave %q", got)
	}
	d := fill(t, p, "k", "f", "1")
	if got := restored(t, p, "k", "f"); got != "-" {
		t.Errorf("what is not committed was restored: %q", got)
	}
	must(t, d.Commit(Info{}))
	files := d.Files()
	must(t, d.Close())
	must(t, d.Close())
	if got := restored(t, p, "k", "f"); got != "1" {
		t.Errorf("restored %q", got)
	}
	if _, err := os.Stat(files); err != nil {
		t.Errorf("the files are not where they were collected: %v", err)
	}
	if got := restored(t, s.Project("b"), "k", "f"); got != "-" {
		t.Errorf("another project got %q", got)
	}
	must(t, save(t, p, "k", "f", "2").Close())
	if got := restored(t, p, "k", "f"); got != "2" {
		t.Errorf("restored %q", got)
	}
	if n := generations(t, s); n != 1 {
		t.Errorf("%d generations of one key are left", n)
	}
	info, err := os.Stat(s.dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the store has mode %v", info.Mode())
	}
}

func TestDraftThatIsNotCommittedLeavesNothing(t *testing.T) {
	s, _ := open(t)
	must(t, fill(t, s.Project("a"), "k", "f", "1").Close())
	found, err := filepath.Glob(filepath.Join(s.dir, "*", "*"))
	must(t, err)
	if len(found) > 0 {
		t.Errorf("left: %q", found)
	}
}

func TestLastCommitWins(t *testing.T) {
	s, _ := open(t)
	p := s.Project("a")
	first, second := fill(t, p, "k", "f", "1"), fill(t, p, "k", "f", "2")
	must(t, second.Commit(Info{}))
	must(t, first.Commit(Info{}))
	for _, d := range []*Draft{first, second} {
		if _, err := os.Stat(d.Files()); err != nil {
			t.Errorf("files that a workspace may still need are gone: %v", err)
		}
	}
	must(t, second.Close())
	must(t, first.Close())
	if got := restored(t, p, "k", "f"); got != "1" {
		t.Errorf("restored %q", got)
	}
	if n := generations(t, s); n != 1 {
		t.Errorf("%d generations are left", n)
	}
}

func TestGenerationInUseStays(t *testing.T) {
	s, _ := open(t)
	p := s.Project("a")
	must(t, save(t, p, "k", "f", "1").Close())
	g, err := p.Restore("k")
	must(t, err)
	must(t, save(t, p, "k", "f", "2").Close())
	if _, err := s.Trim(Limits{Size: 1000}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(g.Files(), "f")); err != nil {
		t.Errorf("a generation in use is gone: %v", err)
	}
	must(t, g.Close())
	must(t, g.Close())
	if n := generations(t, s); n != 1 {
		t.Errorf("%d generations are left", n)
	}
}

func TestTrimRemovesTheLeastRecentlyUsed(t *testing.T) {
	s, c := open(t)
	p := s.Project("a")
	for _, key := range []string{"old", "used", "held", "new"} {
		must(t, save(t, p, key, "f", key).Close())
	}
	for _, key := range []string{"old", "held", "used", "new"} {
		c.at = c.at.Add(time.Hour)
		restored(t, p, key, "f")
	}
	held, err := p.Restore("held") // and so is the last to be used
	must(t, err)
	must(t, os.Chtimes(filepath.Join(held.dir(), infoName), c.at.Add(-150*time.Minute), c.at.Add(-150*time.Minute)))
	check := func(limits Limits, want Trimmed, keys string) {
		t.Helper()
		got, err := s.Trim(limits)
		must(t, err)
		if got != want {
			t.Errorf("%+v: got %+v, want %+v", limits, got, want)
		}
		var left []string
		all, _, err := s.list(false)
		must(t, err)
		for _, k := range all {
			left = append(left, k.Key)
		}
		slices.Sort(left)
		if got := strings.Join(left, " "); got != keys {
			t.Errorf("%+v leaves %q, want %q", limits, got, keys)
		}
	}
	check(Limits{Size: 400}, Trimmed{Left: 4, Size: 400}, "held new old used")
	check(Limits{Size: 399, DryRun: true}, Trimmed{Removed: 1, Freed: 100, Left: 3, Size: 300}, "held new old used")
	check(Limits{Size: 399}, Trimmed{Removed: 1, Freed: 100, Left: 3, Size: 300}, "held new used")
	check(Limits{Size: 100}, Trimmed{Removed: 2, Freed: 200, Left: 1, Size: 100}, "held")
	must(t, held.Close())
	check(Limits{Size: 400, Unused: c.at}, Trimmed{Removed: 1, Freed: 100}, "")
	if n := generations(t, s); n != 0 {
		t.Errorf("%d generations are left", n)
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) != 1 {
		t.Errorf("beside the trash there are %v, %v", left, err)
	}
}

func TestNotOnTheDiskWhenTheMachineWentDown(t *testing.T) {
	s, _ := open(t)
	p := s.Project("a")
	must(t, save(t, p, "flushed", "f", "1").Close())
	must(t, s.Flush())
	must(t, save(t, p, "lost", "f", "2").Close())
	must(t, save(t, p, "torn", "f", "3").Close())
	all, _, err := s.list(false)
	must(t, err)
	for _, k := range all {
		if k.Key == "torn" {
			must(t, os.Truncate(filepath.Join(k.dir(), infoName), 0))
		}
	}
	s.boot = "another"
	for key, want := range map[string]string{"flushed": "1", "lost": "-", "torn": "-"} {
		if got := restored(t, p, key, "f"); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	must(t, save(t, p, "lost", "f", "4").Close())
	if got := restored(t, p, "lost", "f"); got != "4" {
		t.Errorf("got %q", got)
	}
}

func TestLinkThatLeadsNowhere(t *testing.T) {
	s, _ := open(t)
	p := s.Project("a")
	must(t, save(t, p, "k", "f", "1").Close())
	g, err := p.Restore("k")
	must(t, err)
	must(t, g.Close())
	must(t, os.RemoveAll(g.dir()))
	if got := restored(t, p, "k", "f"); got != "-" {
		t.Errorf("got %q", got)
	}
	if _, err := s.Trim(Limits{}); err != nil {
		t.Error(err)
	}
	if found, _ := filepath.Glob(filepath.Join(s.dir, "*", "*")); len(found) > 0 {
		t.Errorf("left: %q", found)
	}
}

func TestHostileLinkIsNotFollowed(t *testing.T) {
	s, _ := open(t)
	p := s.Project("a")
	must(t, save(t, p, "k", "f", "1").Close())
	link := filepath.Join(p.keyDir("k"), currentName)
	must(t, os.Remove(link))
	must(t, os.Symlink("../../../..", link))
	if _, err := p.Restore("k"); err == nil {
		t.Error("a link out of the store was followed")
	}
	if _, err := s.Trim(Limits{}); err == nil {
		t.Error("a link out of the store was taken for a generation")
	}
}

// TestManyAtOnce saves, restores and trims from many sides: whatever is restored is
// whole, and nothing is left but what counts.
func TestManyAtOnce(t *testing.T) {
	s, _ := open(t)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() { churn(t, s, fmt.Sprint(n), 40) })
	}
	wg.Wait()
	if _, err := s.Trim(Limits{Size: 1 << 40}); err != nil {
		t.Error(err)
	}
	if n := generations(t, s); n > 2 {
		t.Errorf("%d generations of two keys are left", n)
	}
}

// churn does what runs do with a store, with two keys.
func churn(t testing.TB, s *Store, who string, rounds int) {
	p := s.Project("a")
	for i := range rounds {
		key := fmt.Sprint("k", i%2)
		d, err := p.Begin(key)
		if err != nil {
			t.Error(err)
			return
		}
		content := []byte(who + strings.Repeat("x", i))
		err = os.Mkdir(d.Files(), 0o755)
		for _, name := range []string{"a", "b"} {
			if err == nil {
				err = os.WriteFile(filepath.Join(d.Files(), name), content, 0o644)
			}
		}
		if err == nil && i%3 > 0 {
			err = d.Commit(Info{Disk: 1})
		}
		if err := firstError(err, d.Close()); err != nil {
			t.Error(err)
			return
		}
		if i%5 == 0 {
			if _, err := s.Trim(Limits{Size: 1}); err != nil {
				t.Error(err)
			}
		}
		if err := checkWhole(p, key); err != nil {
			t.Error(err)
		}
	}
}

func checkWhole(p *Project, key string) error {
	g, err := p.Restore(key)
	if g == nil || err != nil {
		return err
	}
	a, errA := os.ReadFile(filepath.Join(g.Files(), "a"))
	b, errB := os.ReadFile(filepath.Join(g.Files(), "b"))
	if err := firstError(errA, errB, g.Close()); err != nil {
		return err
	}
	if string(a) != string(b) || len(a) == 0 {
		return fmt.Errorf("half of a generation: %q and %q", a, b)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestTwoProcesses is TestManyAtOnce with processes, some of which are killed.
func TestTwoProcesses(t *testing.T) {
	if dir := os.Getenv("CACHESTORE_CHURN"); dir != "" {
		s, err := Open(dir, time.Now)
		must(t, err)
		churn(t, s, fmt.Sprint(os.Getpid()), 1<<30)
		return
	}
	s, _ := open(t)
	for range 12 {
		var running []*exec.Cmd
		for range 2 {
			cmd := exec.Command(os.Args[0], "-test.run=^TestTwoProcesses$")
			cmd.Env = append(os.Environ(), "CACHESTORE_CHURN="+s.dir)
			cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
			must(t, cmd.Start())
			running = append(running, cmd)
		}
		churn(t, s, "parent", 20)
		for _, cmd := range running {
			must(t, cmd.Process.Kill())
			if err := cmd.Wait(); cmd.ProcessState.Exited() {
				t.Errorf("a process ended by itself: %v", err)
			}
		}
		for _, key := range []string{"k0", "k1"} {
			must(t, checkWhole(s.Project("a"), key))
		}
		if _, err := s.Trim(Limits{Size: 1 << 40}); err != nil {
			t.Fatal(err)
		}
		if n := generations(t, s); n > 2 {
			t.Fatalf("%d generations of two keys are left after the processes were killed", n)
		}
	}
}

// TestLockNewDirRemoved has others remove what lockNewDir makes, at any point.
func TestLockNewDirRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "project", "key")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3000 {
				f, err := lockNewDir(path)
				if err != nil {
					t.Error(err)
					return
				}
				os.Remove(path)
				os.Remove(filepath.Dir(path))
				must(t, f.Close())
			}
		})
	}
	wg.Wait()
}
