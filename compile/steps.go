package compile

import (
	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/script"
	"github.com/cic-ci/cic/compile/syntax"
)

// stepCommands are the steps of run as commands of one program: each step is a
// subshell, since on a runner it is a shell of its own, from which neither cd nor
// variables reach the next (specification 20.4).
func stepCommands(steps []pipeline.Step) []pipeline.Command {
	var commands []pipeline.Command
	for _, s := range steps {
		at := func(text string, pos syntax.Pos) {
			commands = append(commands, pipeline.Command{Text: text, Node: syntax.NewScalar(syntax.String, text, pos)})
		}
		at("( # step "+s.Name.Value, s.Name.Pos)
		for _, v := range s.Env {
			// Quote fails for a NUL alone, which no decoded text holds.
			value, err := script.Quote(v.Value)
			if err != nil {
				panic("compile: " + err.Error())
			}
			at("export "+v.Name+"="+value, v.Pos)
		}
		commands = append(commands, s.Script)
		at(")", s.Name.Pos)
	}
	return commands
}
