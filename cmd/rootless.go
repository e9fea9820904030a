package cmd

import (
	"errors"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec/userns"
)

// entering are the commands that run containers, or touch what jobs have left, which
// may belong to other users than the one who ran them.
var entering = []string{"artifacts", "bundle", "exec", "gc", "image", "run", "shell"}

// enterFor makes these commands, for an ordinary user, begin as root of that user's
// namespace.
func enterFor(commands []*cli.Command) {
	for _, c := range commands {
		if slices.Contains(entering, c.Name) {
			enterFirst(append([]*cli.Command{c}, c.Subcommands...))
		}
	}
}

func enterFirst(commands []*cli.Command) {
	for _, c := range commands {
		action := c.Action
		if action == nil || len(c.Subcommands) > 0 {
			continue
		}
		c.Action = func(c *cli.Context) error {
			if err := enterNamespace(c); err != nil {
				return err
			}
			return action(c)
		}
	}
}

// enterNamespace makes this process root of the user's namespace; it goes on from its
// beginning then.
func enterNamespace(c *cli.Context) error {
	if c.Bool("dry-run") || c.Command.Name == "lock" && !needsStore(c) {
		return nil
	}
	state, err := stateDir(c)
	if err != nil {
		return err
	}
	err = userns.Enter(state)
	if err == nil {
		return nil
	}
	var missing *userns.SupportError
	if errors.As(err, &missing) {
		return &exitError{code: exitSystem, err: err, help: missing.Help}
	}
	return fail(exitSystem, err)
}
