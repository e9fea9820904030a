// Command cic compiles a CI pipeline and runs it.
package main

import (
	"os"

	"github.com/cic-ci/cic/cmd"
)

func main() { os.Exit(cmd.Main()) }
