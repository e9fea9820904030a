package compile

import (
	"fmt"
	"strings"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// The variables by which a job limits its programs one by one (specification 20.2).
const (
	scriptTimeout      = "RUNNER_SCRIPT_TIMEOUT"
	afterScriptTimeout = "RUNNER_AFTER_SCRIPT_TIMEOUT"
)

// timeouts sets the limits of the job's programs.
func (l *lowering) timeouts(e *expander, out *plan.Job, j *pipeline.Job) {
	if s := l.timeout(e, j, scriptTimeout); s > 0 && s < out.Timeout {
		out.ScriptTimeout = s
	} else if s > 0 {
		l.reportTimeout(e, j, scriptTimeout, &syntax.Error{
			Severity: syntax.SeverityWarning, Code: codeIdleTimeout,
			Msg:  fmt.Sprintf("job %q: %s is %ds and has no effect, as the whole job is ended after %ds", j.Name, scriptTimeout, s, out.Timeout),
			Help: "make it shorter than the job's timeout",
		})
	}
	if len(j.AfterScript) > 0 {
		out.AfterScriptTimeout = l.timeout(e, j, afterScriptTimeout)
	}
}

// timeout reads the duration that a variable holds, in seconds; 0 for none: it is
// not defined, empty or "0", or wrong, which GitLab's runner warns of and ignores.
func (l *lowering) timeout(e *expander, j *pipeline.Job, name string) int64 {
	var value plan.Text
	e.settled(func() { value, _ = e.value(name) })
	text := strings.TrimSpace(value.Value)
	if text == "" || text == "0" {
		return 0
	}
	wrong := &syntax.Error{Severity: syntax.SeverityWarning, Code: codeTimeout, Help: `such as "90s", "55m" or "1h 30m"`}
	seconds, err := pipeline.ParseDuration(text)
	switch {
	case value.Template:
		wrong.Msg = fmt.Sprintf("job %q: %s is ignored, as it mentions a variable known only at run time: %s", j.Name, name, text)
	case err != nil:
		wrong.Msg = fmt.Sprintf("job %q: %s is ignored, as %q is no duration: %v", j.Name, name, text, err)
	case seconds < 1 || seconds > plan.MaxTimeout:
		wrong.Msg = fmt.Sprintf("job %q: %s is ignored, as it must be from 1 second to 30 days, not %q", j.Name, name, text)
	default:
		return seconds
	}
	l.reportTimeout(e, j, name, wrong)
	return 0
}

// reportTimeout completes a diagnostic with the place where the variable is set;
// on the command line it has none.
func (l *lowering) reportTimeout(e *expander, j *pipeline.Job, name string, diag *syntax.Error) {
	diag.Job = j.Name
	if d := e.define(name); d != nil && !d.given {
		diag.Pos, diag.Len = d.pos, len(name)
	}
	l.diags.report(diag)
}
