package cmd

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec/doctor"
	"github.com/cic-ci/cic/exec/userns"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "check whether this machine can run jobs",
		Description: "One line a check: ok, warn or fail, and what to do. Exit code 4 if no run can work.\n\n" +
			"Example:\n   cic doctor\n   cic doctor --format json",
		Flags: []cli.Flag{
			addressFlag(), stateFlag(),
			&cli.StringFlag{Name: "format", Value: "text", Usage: "text or json"},
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			format := c.String("format")
			if format != "text" && format != "json" {
				return usage("--format is text or json, not %q", format)
			}
			state, err := stateDir(c)
			if err != nil {
				return err
			}
			checks := doctor.Run(c.Context, doctor.Config{Entry: userns.Enter(state), Address: c.String("address"), StateDir: state})
			if err := printChecks(c, format, checks); err != nil {
				return err
			}
			if !doctor.Able(checks) {
				return &exitError{code: exitSystem}
			}
			return nil
		},
	}
}

func printChecks(c *cli.Context, format string, checks []doctor.Check) error {
	if format == "json" {
		out := json.NewEncoder(c.App.Writer)
		out.SetIndent("", "  ")
		return out.Encode(struct {
			Checks []doctor.Check `json:"checks"`
		}{checks})
	}
	for _, check := range checks {
		if _, err := fmt.Fprintf(c.App.Writer, "%-4s  %-15s  %s\n", check.Level, check.Name, check.Text); err != nil {
			return err
		}
		if check.Help != "" {
			if _, err := fmt.Fprintf(c.App.Writer, "%23s  help: %s\n", "", check.Help); err != nil {
				return err
			}
		}
	}
	return nil
}
