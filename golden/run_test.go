package golden

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// articlePath is where the article lies that the project comes from. It is not
// part of the project; absolute, because testscript changes directory.
var articlePath, _ = filepath.Abs(filepath.Join("..", "..", "shared", "seed", "article.md"))

// TestRun runs the scripts of run/: pipelines in real containers. They share one
// state directory, so one image store, and one containerd where they overlap.
func TestRun(t *testing.T) {
	if why := noContainers(); why != "" {
		if os.Getenv("CIC_REQUIRE_CONTAINERD") == "1" {
			t.Fatalf("containers are required here, but %s", why)
		}
		t.Skip(why)
	}
	_, noArticle := os.Stat(articlePath)
	if noArticle != nil && os.Getenv("CIC_REQUIRE_CONTAINERD") == "1" {
		t.Fatalf("the article is required here: %v", noArticle)
	}
	state := t.TempDir()
	images, err := filepath.Abs(os.Getenv("CIC_TEST_IMAGES"))
	if err != nil {
		t.Fatal(err)
	}
	load := exec.Command(cicPath(t), "image", "load", filepath.Join(images, "python.tar"), filepath.Join(images, "alpine.tar"))
	load.Env = append(os.Environ(), "CIC_STATE_DIR="+state, "CIC_IDLE=0")
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("cic image load: %v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "run",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("CIC_STATE_DIR", state)
			env.Setenv("CIC_IDLE", "0")
			env.Setenv("IMAGES", images)
			return gitIdentity(env)
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "article":
				return noArticle == nil, nil
			case "required":
				return os.Getenv("CIC_REQUIRE_CONTAINERD") == "1", nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: commands(),
	})
}

// noContainers says why this machine cannot run containers, "" if it can.
func noContainers() string {
	if os.Geteuid() != 0 {
		return "containers need root"
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return "runc is not installed"
	}
	dir := os.Getenv("CIC_TEST_IMAGES")
	if dir == "" {
		return "CIC_TEST_IMAGES does not name the test images (make images)"
	}
	if _, err := os.Stat(filepath.Join(dir, "python.tar")); err != nil {
		return err.Error()
	}
	return ""
}

// cicPath is where testscript.Main put this test binary under the name cic.
func cicPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("cic")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// article writes the files of one of the article's pipelines to the current
// directory, word for word: article 1 ... article 5, article project, or
// article extending N for the Nth snippet of that section, with a script added
// because the article leaves it out there.
func article(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: article VERSION | project | extending N")
	}
	data, err := os.ReadFile(articlePath)
	ts.Check(err)
	write := func(name, text string) {
		name = ts.MkAbs(name)
		ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
		ts.Check(os.WriteFile(name, []byte(text), 0o644))
	}
	switch args[0] {
	case "project":
		section := after(string(data), "## Testing Your Pipeline Runner")
		for _, f := range []struct{ marker, name string }{
			{"**src/calculator.py:**", "src/calculator.py"},
			{`**tests/test\_calculator.py:**`, "tests/test_calculator.py"},
			{"**pipeline.yml:**", "pipeline.yml"},
		} {
			write(f.name, codeBlock(ts, after(section, f.marker)))
		}
	case "extending":
		section := after(string(data), "## Extending the Runner")
		write("pipeline.yml", codeBlock(ts, after(section, "### "+args[1]+`\. `))+"  script: [echo ok]\n")
	default:
		write("pipeline.yml", codeBlock(ts, after(string(data), "#### Testing Version "+args[0]+"\n")))
	}
}

func after(text, marker string) string {
	_, rest, _ := strings.Cut(text, marker)
	return rest
}

// codeBlock returns the first fenced block of a text.
func codeBlock(ts *testscript.TestScript, text string) string {
	_, rest, ok := strings.Cut(text, "\n```")
	_, rest, ok2 := strings.Cut(rest, "\n")
	block, _, ok3 := strings.Cut(rest, "\n```")
	if !ok || !ok2 || !ok3 {
		ts.Fatalf("the article has no such code block")
	}
	return block + "\n"
}

// overlap checks that two jobs of the run that was printed last ran at the same
// time: each started before the other finished.
func overlap(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: overlap JOB JOB")
	}
	run := runLine.FindStringSubmatch(ts.ReadFile("stdout"))
	if run == nil {
		ts.Fatalf("the output does not name its run")
	}
	journal, err := os.Open(filepath.Join(ts.Getenv("CIC_STATE_DIR"), "runs", run[1], "journal.jsonl"))
	ts.Check(err)
	defer journal.Close()
	order := map[string]int{}
	scan := bufio.NewScanner(journal)
	for n := 1; scan.Scan(); n++ {
		var e struct{ Type, Job string }
		ts.Check(json.Unmarshal(scan.Bytes(), &e))
		order[e.Type+" "+e.Job] = n
	}
	ts.Check(scan.Err())
	at := func(event, job string) int {
		if order[event+" "+job] == 0 {
			ts.Fatalf("the journal has no %s of %s", event, job)
		}
		return order[event+" "+job]
	}
	a, b := args[0], args[1]
	both := at("job_started", a) < at("job_finished", b) && at("job_started", b) < at("job_finished", a)
	if both == neg {
		ts.Fatalf("%s and %s overlap: %v", a, b, both)
	}
}
