package exec

import (
	"context"
	"errors"
	"io"
	"time"
)

// runAfterScript runs the second program: after success, a failed script, one that
// its own time limit ended, and an interruption, but not where the job never ran,
// timed out, or is killed. Its own outcome does not count. Source: specification
// section 20.2.
func (w *worker) runAfterScript(l launch, res *JobResult) {
	ran := res.Status == StatusSuccess || res.scriptFailed() || w.cutShort || res.Class == ClassCanceled
	if w.job.AfterScript == nil || !ran || w.r.hard.Err() != nil {
		return
	}
	ctx, cancel := w.afterContext()
	defer cancel()
	w.log.EndTail() // what this prints does not tell why the script failed
	w.log.Note(false, "after_script")
	progress := w.follow(*w.job.AfterScript)
	code, err := w.box.Run(ctx, w.program("after_script", *w.job.AfterScript, l, string(res.Status)), io.MultiWriter(progress, w.log))
	w.log.Settle()
	at := ""
	if c := progress.command(); c != nil {
		at = c.String()
	}
	switch {
	case err != nil:
		w.log.Note(true, "after_script: %v%s", err, at)
	case code != 0:
		w.log.Note(true, "after_script, which does not count: %s%s", exitText(code), at)
	}
}

// errAfterTimeout is the cause of the end of an after_script that took too long.
var errAfterTimeout = errors.New("ended after its time limit")

// afterContext bounds an after_script: by its own limit, by less once the job
// is told to end, and by the end of everything.
func (w *worker) afterContext() (context.Context, context.CancelFunc) {
	limit := w.r.AfterScriptTimeout
	if s := w.job.AfterScriptTimeout; s > 0 {
		limit = time.Duration(s) * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(w.r.hard, limit, errAfterTimeout)
	go w.r.endSoonAfter(w.ctx, ctx, cancel)
	return ctx, cancel
}

// endSoonAfter calls cancel, which ends ctx, once StopBudget has passed since told
// has ended. It returns when ctx ends.
func (r *run) endSoonAfter(told, ctx context.Context, cancel func()) {
	select {
	case <-ctx.Done():
		return
	case <-told.Done():
	}
	budget := time.NewTimer(r.StopBudget)
	defer budget.Stop()
	select {
	case <-ctx.Done():
	case <-budget.C:
		cancel()
	}
}
