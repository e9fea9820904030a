//go:build !linux

package golden

import "github.com/rogpeppe/go-internal/testscript"

// room needs Linux, as the scripts do that use it.
func room(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("room needs Linux") }
