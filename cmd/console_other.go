//go:build !linux

package cmd

import (
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec/containerd"
)

// openConsole is an error: containers run on Linux only.
func openConsole(*cli.Context, bool) (containerd.Console, func(), error) {
	return containerd.Console{}, nil, errors.New("running jobs needs Linux")
}
