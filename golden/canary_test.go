package golden

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// canaryPipeline uses a secret in every way that a job can. It waits for a file,
// so that the machine can be searched while it runs, and only then writes the
// secret where that is its own affair: into an artifact and into a test report.
const canaryPipeline = `
default: {image: "alpine:latest"}
stages: [use, later]
use:
  stage: use
  secrets:
    CANARY_FILE: {vault: a/b}
  services: [{name: "alpine:latest", alias: printer, command: [sh, -c, "while true; do nc -l -p 7000; done"]}]
  script:
    - set -x
    - echo "env $CANARY"
    - cat "$CANARY_FILE"
    - echo "$CANARY" | base64
    - echo "x$CANARY" | base64
    - printf %s "$CANARY" | od -An -v -tx1 | tr -d ' \n'; echo
    - printf '{"key":"%s"}\n' "$CANARY"
    - for i in $(seq ${#CANARY}); do printf %s "$CANARY" | cut -c "$i" | tr -d '\n'; done; echo
    - echo "$CANARY" >&2
    - ls "/nowhere/$CANARY" || true
    - until echo "$CANARY" | nc printer 7000; do sleep 0.1; done
    - echo "waiting"
    - while [ ! -e go ]; do sleep 0.1; done
    - echo "$CANARY" > artifact.txt
    - echo "<testsuite><testcase name='a'><failure message='$CANARY'>$CANARY</failure></testcase></testsuite>" > junit.xml
    - echo "<testsuite></$CANARY>" > broken.xml
    - exit 3
  after_script: ['echo "after $CANARY"']
  artifacts: {when: always, paths: [artifact.txt], reports: {junit: [junit.xml, broken.xml]}}
later: {stage: later, when: always, script: ['cat artifact.txt', 'echo "${CANARY+unset here}"']}
`

// TestCanary looks for a secret in all that a run leaves and, while it runs, in
// all that others could see: the state directory with containerd's database,
// content and snapshots, the plan, logs, events, reports, what is printed, /run,
// /tmp and the arguments of every process.
func TestCanary(t *testing.T) {
	if why := noContainers(); why != "" {
		if os.Getenv("CIC_REQUIRE_CONTAINERD") == "1" {
			t.Fatalf("containers are required here, but %s", why)
		}
		t.Skip(why)
	}
	state, project := t.TempDir(), t.TempDir()
	images, err := filepath.Abs(os.Getenv("CIC_TEST_IMAGES"))
	if err != nil {
		t.Fatal(err)
	}
	canary := "Canary-" + rand.Text() + "/+%"
	// Short of this file, which is how the secret comes in.
	input := filepath.Join(t.TempDir(), "file")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(input, "first line\n"+canary+"\n")
	write(filepath.Join(project, "ci.yml"), canaryPipeline)
	cic := func(args ...string) *exec.Cmd {
		cmd := exec.Command(cicPath(t), args...)
		cmd.Dir = project
		cmd.Env = append(os.Environ(), "CIC_STATE_DIR="+state, "CANARY="+canary, "CONTAINERD_ADDRESS=")
		return cmd
	}
	if out, err := cic("image", "load", filepath.Join(images, "alpine.tar")).CombinedOutput(); err != nil {
		t.Fatalf("cic image load: %v\n%s", err, out)
	}
	started := time.Now()
	out, err := os.Create(filepath.Join(project, "out.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	run := cic("run", "ci.yml", "--workspace", "shared", "--secret", "CANARY", "--secret", "CANARY_FILE=file:"+input,
		"--events", "events.jsonl", "--report", "report.html", "--junit", "junit-report.xml")
	run.Stdout, run.Stderr = out, out
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	printed := func() string {
		text, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	waiting := regexp.MustCompile(`(?m)^\[use\] waiting$`)
	for deadline := time.Now().Add(2 * time.Minute); !waiting.MatchString(printed()); time.Sleep(50 * time.Millisecond) {
		if len(ended) > 0 || time.Now().After(deadline) {
			t.Fatalf("the job does not come to wait:\n%s", printed())
		}
	}
	look := canarySearch{t: t, forms: canaryForms(canary), since: started}
	look.tree(state)
	look.tree(project)
	for _, dir := range []string{"/run", "/var/tmp", os.TempDir()} {
		look.recent(dir, filepath.Dir(filepath.Dir(input)))
	}
	look.processes()
	write(filepath.Join(project, "go"), "")
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v\n%s", err, printed())
	}
	// What the job itself wrote is its own affair, and the one place to find it.
	look.own = []string{"artifact.txt", "junit.xml", "broken.xml"}
	look.tree(state)
	look.tree(project)
	if look.owned == 0 {
		t.Error("not even the artifact holds the secret: nothing was tested")
	}
	for _, want := range []string{"[use] env [MASKED]", "[use] after [MASKED]", "[later] [MASKED]", "printer | [MASKED]"} {
		if !strings.Contains(printed(), want) {
			t.Errorf("%q is not printed:\n%s", want, printed())
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), state+"/runs") {
		t.Errorf("something is still mounted: %v\n%s", err, mounts)
	}
}

// canaryForms are what to look for.
func canaryForms(canary string) (forms [][]byte) {
	whole := base64.StdEncoding.EncodeToString([]byte(canary))
	shifted := base64.StdEncoding.EncodeToString([]byte("x" + canary))
	for _, f := range []string{
		canary, canary[:len(canary)-3], hex.EncodeToString([]byte(canary)), url.QueryEscape(canary), whole[:20], shifted[4:24],
	} {
		forms = append(forms, []byte(f))
	}
	return forms
}

type canarySearch struct {
	t     *testing.T
	forms [][]byte
	since time.Time
	// own are the names of files in which it may be; owned counts those where it is.
	own   []string
	owned int
}

// found looks through some bytes.
func (s *canarySearch) found(where string, data []byte) {
	for _, f := range s.forms {
		at := bytes.Index(data, f)
		if at < 0 {
			continue
		}
		for _, name := range s.own {
			if filepath.Base(where) == name {
				s.owned++
				return
			}
		}
		s.t.Errorf("the secret, as %q, is in %s: %q", f, where, data[max(0, at-40):min(len(data), at+len(f)+40)])
		return
	}
}

// tree looks through all files below a directory, short of the file systems in
// memory that hold the secrets.
func (s *canarySearch) tree(dir string) {
	s.walk(dir, func(path string, d fs.DirEntry) bool { return d.IsDir() && inMemory(path) && d.Name() == "secrets" }, 0)
}

// recent looks through what was changed since the beginning, short of one directory.
func (s *canarySearch) recent(dir, except string) {
	s.walk(dir, func(path string, d fs.DirEntry) bool {
		if path == except {
			return true
		}
		info, err := d.Info()
		return err != nil || !d.IsDir() && info.ModTime().Before(s.since)
	}, 64<<20)
}

// walk looks through files of at most limit bytes, if it is set. Files of others
// may vanish meanwhile.
func (s *canarySearch) walk(dir string, skip func(string, fs.DirEntry) bool, limit int64) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			return nil
		case err != nil:
			return err
		case skip(path, d) && d.IsDir():
			return fs.SkipDir
		case skip(path, d) || !d.Type().IsRegular():
			s.found("the name of "+filepath.Dir(path), []byte(d.Name()))
			return nil
		}
		if info, err := d.Info(); err != nil || limit > 0 && info.Size() > limit {
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil {
			s.found(path, data)
		}
		return nil
	})
	if err != nil {
		s.t.Error(err)
	}
}

// processes looks through the arguments of all processes, and through the
// environment of those that cic started outside of the container.
func (s *canarySearch) processes() {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		s.found(file, line)
		if bytes.Contains(line, []byte("containerd")) || bytes.Contains(line, []byte("-namespace\x00cic")) {
			if environment, err := os.ReadFile(filepath.Join(filepath.Dir(file), "environ")); err == nil {
				s.found(filepath.Join(filepath.Dir(file), "environ"), environment)
			}
		}
	}
}
