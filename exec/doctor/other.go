//go:build !linux

package doctor

import (
	"context"
	"runtime"
)

// Run says that containers need Linux.
func Run(context.Context, Config) []Check {
	return []Check{{"kernel", Fail, "running jobs needs Linux; this is " + runtime.GOOS,
		"compile, show and diff work here; run the plan on a Linux machine"}}
}
