package cmd

import (
	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/cmd/schema"
)

func schemaCommand() *cli.Command {
	return &cli.Command{
		Name:        "schema",
		Usage:       "print the JSON Schema of plans, events, what lint finds, or pipelines",
		ArgsUsage:   "plan|events|lint|pipeline",
		Description: "Example:\n   cic schema events > events.schema.json",
		Action: func(c *cli.Context) error {
			makers := map[string]func() ([]byte, error){"plan": schema.Plan, "events": schema.Events, "lint": schema.Lint, "pipeline": schema.Pipeline}
			make, known := makers[c.Args().First()]
			if c.Args().Len() != 1 || !known {
				return usage("schema takes plan, events, lint or pipeline")
			}
			text, err := make()
			if err != nil {
				return err
			}
			_, err = c.App.Writer.Write(text)
			return err
		},
	}
}
