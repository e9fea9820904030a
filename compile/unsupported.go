package compile

import (
	"slices"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/script"
	"github.com/cic-ci/cic/compile/syntax"
)

// skipUnsupported leaves out, on demand, the jobs whose scripts are for a shell of
// Windows, as if rules did: the plan tells why, and a job that needs one of them is
// at fault unless the need is optional.
func skipUnsupported(p *pipeline.Pipeline, sel *selection, env *environment) (none struct{}, _ syntax.ErrorList) {
	if !env.options.SkipUnsupported {
		return none, nil
	}
	for i, j := range p.Jobs {
		d := &sel.decisions[i]
		if !d.included {
			continue
		}
		for _, commands := range [][]pipeline.Command{slices.Concat(j.BeforeScript, j.Script), j.AfterScript} {
			if shell, pos := foreign(commands, env); shell != "" {
				*d = decision{reason: "its script is for " + shell + ", and --skip-unsupported leaves such jobs out", pos: pos, elsewhere: true}
				break
			}
		}
	}
	return none, nil
}

// foreign names the shell of Windows that a program is for, and where that shows.
func foreign(commands []pipeline.Command, env *environment) (shell string, pos syntax.Pos) {
	texts := make([]string, len(commands))
	for i, c := range commands {
		texts[i] = c.Text
	}
	shell, at := script.Foreign(texts)
	if at == nil {
		return "", pos
	}
	return shell, commandPos(&program{commands: commands}, at, env)
}
