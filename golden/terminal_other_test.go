//go:build !linux

package golden

import "github.com/rogpeppe/go-internal/testscript"

// answers is not needed where no containers run.
func answers(ts *testscript.TestScript, neg bool, args []string) { ts.Fatalf("only on Linux") }
