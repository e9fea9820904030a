package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/exec/bundle"
	"github.com/cic-ci/cic/plan"
)

func showCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "print a plan for a person",
		ArgsUsage: "PLAN [JOB]",
		Description: "PLAN is a plan.json or the directory that holds it. With JOB, that job whole, and by which\n" +
			"rules it is in the plan or left out.\n\n" +
			"Example:\n   cic show plan\n   cic show plan unit-tests",
		Action: func(c *cli.Context) error {
			if n := c.Args().Len(); n < 1 || n > 2 {
				return usage("show takes PLAN and perhaps JOB, got %s", count(n, "argument"))
			}
			d, err := readPlan(c, c.Args().First())
			if err != nil {
				return err
			}
			var b bytes.Buffer
			if job := c.Args().Get(1); job != "" {
				err = showJob(&b, d, job)
			} else {
				err = plan.Show(&b, d.Plan)
			}
			if err != nil {
				return err
			}
			_, err = c.App.Writer.Write(b.Bytes())
			return err
		},
	}
}

func showJob(b *bytes.Buffer, d *plan.Dir, name string) error {
	var names []string
	for i := range d.Plan.Jobs {
		names = append(names, d.Plan.Jobs[i].Name)
	}
	for i := range d.Plan.Excluded {
		names = append(names, d.Plan.Excluded[i].Name)
	}
	if slices.Contains(names, name) {
		if err := plan.ShowJob(b, d.Plan, name, d.Script); err != nil {
			return planError(err)
		}
		return nil
	}
	if best := syntax.Suggest(name, names); best != "" {
		return usage("the plan has no job %q; did you mean %q?", name, best)
	}
	return usage("the plan has no job %q", name)
}

// readPlan reads a plan and prints its warnings.
func readPlan(c *cli.Context, path string) (*plan.Dir, error) {
	if path == "" {
		return nil, usage("the name of the PLAN is empty")
	}
	read := plan.ReadDir
	if bundle.Is(path) {
		read = readBundle
	}
	d, err := read(path)
	if err != nil {
		return nil, planError(err)
	}
	for _, w := range d.Warnings {
		fmt.Fprintf(c.App.ErrWriter, "cic: warning: %s\n", w)
	}
	return d, nil
}

// planError gives an error of reading a plan its exit code.
func planError(err error) error {
	var integrity *plan.IntegrityError
	if errors.As(err, &integrity) {
		return fail(exitIntegrity, err)
	}
	return fail(exitInvalid, err)
}
