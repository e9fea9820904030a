package cmd

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/plan"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "compile a pipeline and run it",
		ArgsUsage: "[FILE] [JOB...]",
		Description: "FILE is a name that ends in .yml or .yaml; without one, .gitlab-ci.yml, else\n" +
			"pipeline.yml, of the project. The plan is kept with the run in the state directory.\n\n" +
			"Example:\n   cic run\n   cic run pipeline.yml unit-tests --image '*=host'",
		Flags: append(compileFlags(), execFlags()...),
		Action: func(c *cli.Context) error {
			file, jobs := "", c.Args().Slice()
			if len(jobs) > 0 && isPipelineFile(jobs[0]) {
				file, jobs = jobs[0], jobs[1:]
			}
			p, result, err := compileProject(c, file)
			if err != nil {
				return err
			}
			return start(c, p, request{plan: result.Plan, scripts: inMemory(result.Scripts), sourceMap: result.Map, names: jobs})
		},
	}
}

func isPipelineFile(name string) bool {
	return strings.HasSuffix(name, ".yml") || strings.HasSuffix(name, ".yaml")
}

// inMemory gives the scripts of a compilation that was not written.
func inMemory(scripts map[string][]byte) func(plan.Script) ([]byte, error) {
	return func(s plan.Script) ([]byte, error) { return scripts[s.Path], nil }
}
