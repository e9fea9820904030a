package exec

import (
	"context"
	"errors"
	"fmt"
)

// judge turns how a program ended into a result.
func (w *worker) judge(res *JobResult, code int, err error) {
	switch {
	case errors.Is(err, errTimeout):
		res.Status, res.Class, res.ExitCode = StatusFailed, ClassTimeout, code
		res.Error = fmt.Sprintf("timed out after %ds", w.job.Timeout)
	case errors.Is(err, errScriptTimeout):
		res.Status, res.Class, res.ExitCode = StatusFailed, ClassTimeout, code
		res.Error = fmt.Sprintf("the script timed out after %ds", w.job.ScriptTimeout)
		w.cutShort = true
	case err != nil && w.ctx.Err() != nil && !isPanic(err):
		res.Status, res.Class = StatusCanceled, ClassCanceled
		res.Error = context.Cause(w.ctx).Error()
	case err != nil:
		fail(res, err)
	case code != 0:
		res.Status, res.Class, res.ExitCode = StatusFailed, ClassScript, code
		res.Error = exitText(code)
		w.judgeHits(res)
	default:
		res.Status = StatusSuccess
		w.judgeHits(res)
	}
}

// judgeHits says which limits the script ran into. One that passes all the same
// has got over it: a shell goes on after a command that was killed.
func (w *worker) judgeHits(res *JobResult) {
	hits, limits := w.box.Hits(), w.limits()
	if hits.PIDs {
		w.log.Note(true, "the limit of %d processes was hit", limits.PIDs)
	}
	if !hits.OOM {
		return
	}
	text := "out of memory: the kernel killed a process of the job"
	if limits.Memory > 0 {
		text += " at its limit of " + ByteSize(limits.Memory)
	}
	if res.Status == StatusSuccess {
		w.log.Note(true, "%s", text)
		return
	}
	res.Class = ClassOOM
	res.Error = text + "; " + res.Error
}
