//go:build linux

package golden

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// crashPipeline has jobs of all kinds that leave something in the kernel, and
// takes a few seconds. Each job of its first stage leaves its own id, by which
// one can tell whether it was run again.
const crashPipeline = `
default: {image: "alpine:latest"}
stages: [make, use, end]
.make: &make
  stage: make
  script:
    - mkdir -p out/$CI_JOB_NAME
    - i=0; while [ $i -lt 40 ]; do echo "$CI_JOB_NAME $i" >out/$CI_JOB_NAME/$i; i=$((i+1)); done
    - sleep 0.$CI_NODE_TOTAL
    - echo $CI_JOB_ID >out/$CI_JOB_NAME/id
  artifacts: {paths: [out]}
a: *make
b: *make
c: *make
.use: &use
  stage: use
  script:
    - for j in $FROM; do i=0; while [ $i -lt 40 ]; do [ "$(cat out/$j/$i)" = "$j $i" ]; i=$((i+1)); done; done
    - sleep 0.1 & wait
use-a: {<<: *use, needs: [a], variables: {FROM: a}, services: [{name: "alpine:latest", alias: beside, command: [sleep, "60"]}]}
use-b: {<<: *use, needs: [a, b], variables: {FROM: a b}, after_script: [sleep 0.1], cache: {key: k, paths: [out]}}
end:
  stage: end
  script: [cat out/a/id out/b/id out/c/id >ids]
  artifacts: {paths: [ids]}
`

// crashRounds is how often TestCrash kills something; make crash does it more often.
const crashRounds = 40

// TestCrash kills cic, a shim, containerd, or all at once, at random moments of a
// run. One start of cic later nothing must be left of what died, what was done must
// still be there and not be done again, and the run must be complete. A run
// beside it must not notice.
func TestCrash(t *testing.T) {
	if why := noContainers(); why != "" {
		if os.Getenv("CIC_REQUIRE_CONTAINERD") == "1" {
			t.Fatalf("containers are required here, but %s", why)
		}
		t.Skip(why)
	}
	rounds, seed := crashRounds, uint64(time.Now().UnixNano())
	for name, value := range map[string]func(uint64){
		"CIC_CRASH_ROUNDS": func(n uint64) { rounds = int(n) },
		"CIC_CRASH_SEED":   func(n uint64) { seed = n },
	} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			value(n)
		}
	}
	t.Logf("CIC_CRASH_SEED=%d CIC_CRASH_ROUNDS=%d", seed, rounds)
	const lanes = 2
	for lane := range lanes {
		t.Run(strconv.Itoa(lane), func(t *testing.T) {
			t.Parallel()
			l := newLane(t, rand.New(rand.NewPCG(seed, uint64(lane))))
			for round := 0; round < rounds/lanes && !t.Failed(); round++ {
				l.round(round)
			}
			l.finish()
		})
	}
}

// lane is a state directory in which things crash, one after the other.
type lane struct {
	t              *testing.T
	random         *rand.Rand
	state, project string
	run            string // /run/cic-..., of the containerd
	// bystander is a run that must not notice.
	bystander *child
}

func newLane(t *testing.T, random *rand.Rand) *lane {
	state := t.TempDir()
	sum := sha256.Sum256([]byte(state))
	l := &lane{t: t, random: random, state: state, project: t.TempDir(), run: "/run/cic-" + hex.EncodeToString(sum[:8])}
	l.write(".gitlab-ci.yml", crashPipeline)
	l.write("bystander.yml", "bystander:\n  image: alpine:latest\n  script: ['while :; do echo tick; sleep 1; done']\n")
	if out, err := l.command("image", "load", filepath.Join(os.Getenv("CIC_TEST_IMAGES"), "alpine.tar")).CombinedOutput(); err != nil {
		t.Fatalf("cic image load: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		// What was left, and the containerd that has waited for the next run.
		cmd := l.command("run", "--ref", "main", "--idle", "0", "c")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("the last run: %v\n%s", err, out)
		}
	})
	l.bystander = l.start("run", "--ref", "main", "bystander.yml")
	t.Cleanup(func() {
		_ = l.bystander.cmd.Process.Signal(os.Interrupt) // it may have ended
		l.bystander.wait(t)
	})
	l.bystander.await(t, "tick")
	return l
}

func (l *lane) write(name, text string) {
	if err := os.WriteFile(filepath.Join(l.project, name), []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

// command is cic in the lane's project and state directory.
func (l *lane) command(args ...string) *exec.Cmd {
	path, err := exec.LookPath("cic")
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = l.project
	cmd.Env = append(os.Environ(), "CIC_STATE_DIR="+l.state)
	return cmd
}

// child is a cic that runs.
type child struct {
	cmd   *exec.Cmd
	out   *watched
	ended chan error
}

func (l *lane) start(args ...string) *child {
	c := &child{cmd: l.command(args...), out: newWatched(), ended: make(chan error, 1)}
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	if err := c.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	go func() {
		err := c.cmd.Wait()
		c.out.end()
		c.ended <- err
	}()
	return c
}

// text is all that was printed so far.
func (c *child) text() string {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return string(c.out.text)
}

// await waits until something was printed.
func (c *child) await(t *testing.T, what string) {
	for deadline := time.Now().Add(signalsPatience); !strings.Contains(c.text(), what); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it has not printed %q but\n%s", what, c.text())
		}
	}
}

// wait waits for the end and returns the exit code, -1 for a signal.
func (c *child) wait(t *testing.T) int {
	select {
	case err := <-c.ended:
		c.ended <- err
		return c.cmd.ProcessState.ExitCode()
	case <-time.After(3 * time.Minute):
		t.Fatalf("cic %s does not end\n%s", strings.Join(c.cmd.Args[1:], " "), c.text())
	}
	return 0
}

// runID is the id of the run, "" if it has none yet.
func (c *child) runID() string {
	m := runLine.FindStringSubmatch(c.text())
	if m == nil {
		return ""
	}
	return m[1]
}

// round crashes one run, starts cic once, and looks.
func (l *lane) round(n int) {
	victim := []string{"cic", "shim", "containerd", "all"}[l.random.IntN(4)]
	delay := time.Duration(l.random.IntN(2500)) * time.Millisecond
	l.t.Logf("round %d: %s after %v", n, victim, delay)
	c := l.start("run", "--ref", "main")
	select {
	case <-time.After(delay):
	case err := <-c.ended:
		c.ended <- err
	}
	l.kill(victim, c)
	code := c.wait(l.t)
	run := c.runID()
	done := l.finished(run)
	again := l.start(l.next(run, code)...)
	if got := again.wait(l.t); got != 0 {
		l.t.Errorf("round %d: the start after %s was killed (exit code %d) ended with %d\n%s\n--- before:\n%s", n, victim, code, got, again.text(), c.text())
		return
	}
	last := again.runID()
	if code == 0 {
		last = run
	}
	l.checkIDs(last, done, again)
	if left := l.left(); len(left) > 0 {
		l.t.Errorf("round %d: after %s was killed (exit code %d) and cic was started once, left are\n\t%s\n%s\n--- before:\n%s",
			n, victim, code, strings.Join(left, "\n\t"), again.text(), c.text())
	}
	select {
	case err := <-l.bystander.ended:
		l.t.Errorf("round %d: the run beside has ended (%v) as %s was killed:\n%s", n, err, victim, l.bystander.text())
		l.bystander.ended <- err
	default:
	}
}

// next is the one start after a crash: what completes the run, or another run
// where there is none to complete.
func (l *lane) next(run string, code int) []string {
	if run == "" || code == 0 || len(l.journal(run)) == 0 {
		return []string{"run", "--ref", "main", "c"}
	}
	return []string{"exec", "--resume", run}
}

// kill kills a victim of the run that c is.
func (l *lane) kill(victim string, c *child) {
	prefix := ""
	if run := c.runID(); run != "" {
		sum := sha256.Sum256([]byte(run))
		prefix = hex.EncodeToString(sum[:8]) + "-"
	}
	var shims, daemons, others []int
	for _, p := range processes(l.t) {
		switch {
		case len(p.args) > 3 && p.args[1] == "@containerd" && p.args[3] == l.state:
			daemons = append(daemons, p.pid)
		case prefix != "" && slices.Contains(p.args, "-namespace") && slices.ContainsFunc(p.args, func(a string) bool { return strings.HasPrefix(a, prefix) }):
			shims = append(shims, p.pid)
		case prefix != "" && strings.Contains(strings.Join(p.args, " "), prefix):
			others = append(others, p.pid)
		}
	}
	var pids []int
	switch victim {
	case "cic":
		pids = []int{c.cmd.Process.Pid}
	case "shim":
		if len(shims) > 0 {
			pids = []int{shims[l.random.IntN(len(shims))]}
		}
	case "containerd":
		pids = daemons
	case "all":
		pids = slices.Concat([]int{c.cmd.Process.Pid}, daemons, shims, others)
	}
	for _, pid := range pids {
		// It may have ended by itself meanwhile.
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			l.t.Fatal(err)
		}
	}
}

// journal is that of a run, nil where there is none.
func (l *lane) journal(run string) []byte {
	data, err := os.ReadFile(filepath.Join(l.state, "runs", run, "journal.jsonl"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.t.Fatal(err)
	}
	return data
}

// finished maps the jobs of the first stage that a run has finished to the ids
// that they left.
func (l *lane) finished(run string) map[string]string {
	ids := map[string]string{}
	if run == "" {
		return ids
	}
	for line := range bytes.Lines(l.journal(run)) {
		var e struct{ Type, Job, Status string }
		if json.Unmarshal(line, &e) != nil { // torn by the crash
			continue
		}
		if e.Type != "job_finished" || e.Status != "success" || !slices.Contains([]string{"a", "b", "c"}, e.Job) {
			continue
		}
		artifacts := filepath.Join(l.state, "runs", run, "artifacts", e.Job)
		files, err := filepath.Glob(filepath.Join(artifacts, "out", e.Job, "*"))
		if err != nil || len(files) != 41 {
			l.t.Errorf("job %s is finished, but %d of 41 files are left of its artifacts", e.Job, len(files))
			continue
		}
		id, err := os.ReadFile(filepath.Join(filepath.Dir(files[0]), "id"))
		if err != nil {
			l.t.Error(err)
		}
		// The digests of what a job left are recorded while others run already; without
		// them it does not count as done.
		if _, err := os.Stat(artifacts + "@outputs.json"); err == nil {
			ids[e.Job] = strings.TrimSpace(string(id))
		} else if !errors.Is(err, fs.ErrNotExist) {
			l.t.Error(err)
		}
	}
	return ids
}

// checkIDs checks that what had been done was not done again.
func (l *lane) checkIDs(run string, done map[string]string, again *child) {
	files, err := filepath.Glob(filepath.Join(l.state, "runs", run, "artifacts", "end*", "ids"))
	if err != nil || len(files) != 1 {
		if len(done) > 0 {
			l.t.Errorf("run %s has left no ids: %v", run, err)
		}
		return
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		l.t.Error(err)
	}
	ids := strings.Fields(string(data))
	for i, job := range []string{"a", "b", "c"} {
		if want := done[job]; want != "" && (i >= len(ids) || ids[i] != want) {
			l.t.Errorf("job %s was done by %s before the crash; the ids afterwards are %v\n%s", job, want, ids, again.text())
		}
	}
}

// finish ends the run beside, which must have noticed nothing.
func (l *lane) finish() {
	if l.t.Failed() {
		return
	}
	if err := l.bystander.cmd.Process.Signal(os.Interrupt); err != nil {
		l.t.Error(err)
	}
	if code := l.bystander.wait(l.t); code != 130 {
		l.t.Errorf("the run beside ended with %d\n%s", code, l.bystander.text())
	}
}
