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
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cic-ci/cic/cmd"
)

var update = flag.Bool("update", false, "rewrite the expected files of the golden cases")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"cic": func() { os.Exit(cmd.Main()) },
	})
}

// TestCompile runs the cases of the compiler.
func TestCompile(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 ".",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
	})
}
