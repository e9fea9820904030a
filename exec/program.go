package exec

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/cic-ci/cic/plan"
)

// errTimeout is the cause of the end of a job that took too long, and
// errScriptTimeout of a script with a limit of its own.
var (
	errTimeout       = errors.New("timed out")
	errScriptTimeout = errors.New("the script timed out")
)

// runScript runs the job's script within its time limit.
func (w *worker) runScript(l launch, res *JobResult) {
	if w.ctx.Err() != nil {
		w.judge(res, 0, context.Cause(w.ctx))
		return
	}
	seconds, cause := w.job.Timeout, errTimeout
	if w.job.ScriptTimeout > 0 { // which is shorter
		seconds, cause = w.job.ScriptTimeout, errScriptTimeout
	}
	ctx, cancel := context.WithTimeoutCause(w.ctx, time.Duration(seconds)*time.Second, cause)
	defer cancel()
	progress := w.follow(w.job.Script)
	code, err := w.box.Run(ctx, w.program("script", w.job.Script, l, "running"), io.MultiWriter(progress, w.log))
	w.log.Settle()
	w.judge(res, code, err)
	res.blame(progress.command())
}

func (w *worker) program(name string, s plan.Script, l launch, status string) Program {
	p := Program{
		Name:  name,
		Body:  w.scripts[s.Path],
		Shell: s.Shell,
		Env: []string{
			"CI_JOB_STARTED_AT=" + l.at.UTC().Format(time.RFC3339),
			"CI_JOB_STATUS=" + status,
		},
		Grace: w.r.Grace,
		Kill:  w.r.Kill,
	}
	if w.exports != "" {
		p.Env = append(p.Env, dotenvName+"="+w.exports)
	}
	return p
}
