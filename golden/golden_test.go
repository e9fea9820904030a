// Package golden holds the project's golden cases and the tests that run them.
//
// Each *.txtar here is one case of the compiler, one lesson: a pipeline file in,
// the plan and the scripts, or the whole text of the diagnostic, out. Those in
// run/ execute pipelines in containers. A case is a testscript: its first part
// is the session, with cic as a command; the rest are files.
//
//	go test ./golden -update
//
// rewrites the expected files from what cic does now; read the difference.
package golden

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cic-ci/cic/cmd"
	"github.com/cic-ci/cic/exec/containerd"
)

var update = flag.Bool("update", false, "rewrite the expected files of the golden cases")

func TestMain(m *testing.M) {
	// As cic's containerd and its shim this program has other names than cic; nor may
	// the shim be a command of the scripts, where another containerd would find it.
	containerd.Main()
	testscript.Main(m, map[string]func(){
		"cic": func() {
			code := cmd.Main()
			reportPeak()
			os.Exit(code)
		},
	})
}

// TestCompile runs the cases of the compiler.
func TestCompile(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 ".",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup:               gitIdentity,
		Cmds:                commands(),
	})
}

// gitIdentity lets scripts commit, on any machine in the same way.
func gitIdentity(env *testscript.Env) error {
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	env.Setenv("GIT_AUTHOR_NAME", "A")
	env.Setenv("GIT_AUTHOR_EMAIL", "a@example.com")
	env.Setenv("GIT_COMMITTER_NAME", "A")
	env.Setenv("GIT_COMMITTER_EMAIL", "a@example.com")
	return nil
}

// TestScriptsParse checks that the shell a golden script is for can read it.
func TestScriptsParse(t *testing.T) {
	cases, err := filepath.Glob("*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	scripts := 0
	for _, name := range cases {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if !strings.HasSuffix(f.Name, ".sh") {
				continue
			}
			scripts++
			shell := "sh"
			if bytes.HasPrefix(f.Data, []byte("#!/usr/bin/env bash\n")) {
				shell = "bash"
			}
			check := exec.Command(shell, "-n")
			check.Stdin = bytes.NewReader(f.Data)
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v\n%s", name, f.Name, err, out)
			}
		}
	}
	if scripts == 0 {
		t.Error("no golden script found")
	}
}
