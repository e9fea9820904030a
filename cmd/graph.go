package cmd

import (
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/plan/draw"
)

// graphFormats are the values of --format.
var graphFormats = []string{"text", "mermaid", "dot", "svg"}

func graphCommand() *cli.Command {
	return &cli.Command{
		Name:      "graph",
		Usage:     "draw which job waits for which",
		ArgsUsage: "PLAN",
		Description: "PLAN is a plan.json or the directory that holds it. In a large plan, jobs that wait for\n" +
			"the same and for which the same wait are drawn as one.\n\n" +
			"Example:\n   cic graph plan --format svg > plan.svg",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: "text", Usage: "`FORM` of the drawing: " + strings.Join(graphFormats, ", ")},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Len() != 1 {
				return usage("graph takes one PLAN, got %s", count(c.Args().Len(), "argument"))
			}
			format := c.String("format")
			if !slices.Contains(graphFormats, format) {
				return usage("--format is one of %s, not %q", strings.Join(graphFormats, ", "), format)
			}
			d, err := readPlan(c, c.Args().First())
			if err != nil {
				return err
			}
			drawing, err := draw.New(d.Plan)
			if err != nil {
				return planError(err)
			}
			write := map[string]func(io.Writer) error{
				"text": drawing.WriteText, "mermaid": drawing.WriteMermaid, "dot": drawing.WriteDOT, "svg": drawing.WriteSVG,
			}[format]
			return write(c.App.Writer)
		},
	}
}
