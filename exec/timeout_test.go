package exec

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/plan"
)

// A script's own time limit fails the job, and unlike the job's it is followed by
// after_script, whose limit is the job's too.
func TestScriptTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status string
		w := &world{
			script: map[string]func(context.Context, Program, io.Writer) (int, error){"a": sleeps(time.Hour), "b": sleeps(30 * time.Second)},
			after: map[string]func(context.Context, Program, io.Writer) (int, error){
				"a": func(ctx context.Context, p Program, out io.Writer) (int, error) {
					status = p.Env[slices.IndexFunc(p.Env, func(e string) bool { return strings.HasPrefix(e, "CI_JOB_STATUS=") })]
					return sleeps(time.Hour)(ctx, p, out)
				},
			},
		}
		h := newHarness(t, w)
		p := parsePlan(t, "1 a\n1 b")
		for i := range p.Jobs {
			p.Jobs[i].Timeout, p.Jobs[i].ScriptTimeout, p.Jobs[i].AfterScriptTimeout = 600, 60, 1200
			p.Jobs[i].AfterScript = &plan.Script{Path: "after"}
		}
		begin := time.Now()
		res := h.run(t, t.Context(), p)
		if got, want := states(res), "a=failed/timeout b=success"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := res.Jobs[0].Error, "the script timed out after 60s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if status != "CI_JOB_STATUS=failed" {
			t.Errorf("after_script sees %q", status)
		}
		if got, want := time.Since(begin), (60+1200)*time.Second; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
		if log := readLog(t, h, "a"); !strings.Contains(log, "cic: warning: after_script: ended after its time limit") {
			t.Errorf("log:\n%s", log)
		}
	})
}
