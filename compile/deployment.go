package compile

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// environmentPrefix is what the predefined variables of a job's environment
// begin with.
const environmentPrefix = "CI_ENVIRONMENT_"

// environmentTexts lowers a job's environment. Variables may mention its
// variables, while its texts mention variables: so both are expanded on demand.
type environmentTexts struct {
	job    *pipeline.Job
	report func(*syntax.Error)
	// late is what [variables.late] says.
	late func(name string) bool
	// made is the environment so far, nil before anyone asked for it; open is set
	// while its texts are being expanded, in which its variables are not defined
	// (specification 18.4).
	made *plan.Environment
	open bool
	// urlDone: the address was expanded. It may mention the other variables.
	urlDone, urlOpen bool
	// ignored: the name is empty, so that there is no environment.
	ignored bool
}

// variable is a predefined variable of the environment. Without one it is
// defined for no name, which is not the same as being known only at run time.
func (t *environmentTexts) variable(e *expander, name string) (plan.Text, bool) {
	if t.job.Environment == nil || t.open {
		return plan.Text{}, plan.RuntimeVariable(name)
	}
	t.expandName(e)
	if name == "CI_ENVIRONMENT_URL" {
		if t.urlOpen {
			return plan.Text{}, false
		}
		t.expandURL(e)
	}
	return plan.JobVariables(&plan.Job{Environment: t.made}).Get(name)
}

// lower is the whole environment, nil if the job has none.
func (t *environmentTexts) lower(e *expander) *plan.Environment {
	if t.job.Environment == nil {
		return nil
	}
	t.expandName(e)
	t.expandURL(e)
	if t.ignored {
		return nil
	}
	return t.made
}

// expandName fills everything but the address.
func (t *environmentTexts) expandName(e *expander) {
	if t.made != nil {
		return
	}
	from := t.job.Environment
	t.made = &plan.Environment{Action: from.Action}
	var tier plan.Text
	t.open = true
	e.settled(func() {
		t.made.Name = e.expandValue("", from.Name.Value, nil)
		tier = e.expandValue("", from.Tier.Value, nil)
	})
	t.open = false
	switch length := utf8.RuneCountInString(t.made.Name.Value); {
	case strings.TrimSpace(t.made.Name.Value) == "":
		t.ignored = true
		t.warn(from.Name, "environment:name %q is empty once expanded: the job has no environment", from.Name.Value)
	case length > plan.MaxName:
		t.ignored = true
		t.doubt(from.Name, "environment:name has %d characters once expanded, more than %d: the job has no environment", length, plan.MaxName)
	}
	switch {
	case tier.Template:
		t.doubt(from.Tier, "environment:deployment_tier is ignored, as it mentions a variable known only at run time: %s", tier.Value)
	case tier.Value != "" && !slices.Contains(plan.EnvironmentTiers(), tier.Value):
		t.doubt(from.Tier, "environment:deployment_tier is ignored, as %q, to which it expands, is none of %s",
			tier.Value, strings.Join(plan.EnvironmentTiers(), ", "))
	default:
		t.made.Tier = tier.Value
	}
}

func (t *environmentTexts) expandURL(e *expander) {
	from := t.job.Environment.URL
	if t.urlDone || from == nil {
		return
	}
	t.urlDone, t.urlOpen = true, true
	// The address is asked for at the end, when the job's own report is there too.
	inherited := e.late
	if reportsDotenv(t.job) {
		e.late = t.late
	}
	url := e.expandValue("", from.Value, nil)
	e.late, t.urlOpen = inherited, false
	if url.Value == "" {
		return // as where there is none
	}
	if !url.Template && !strings.HasPrefix(url.Value, "http://") && !strings.HasPrefix(url.Value, "https://") {
		t.warn(*from, "environment:url is %q once expanded, which is no address of the web and is ignored", url.Value)
		return
	}
	t.made.URL = &url
}

// doubt reports what GitLab finds wrong only once the pipeline is made.
func (t *environmentTexts) doubt(at pipeline.Text, format string, args ...any) {
	t.report(t.finding(codeEnvironment, at, format, args...))
}

// warn reports what GitLab ignores (specification section 18.4).
func (t *environmentTexts) warn(at pipeline.Text, format string, args ...any) {
	t.report(t.finding(codeNoEnvironment, at, format, args...))
}

func (t *environmentTexts) finding(code string, at pipeline.Text, format string, args ...any) *syntax.Error {
	return &syntax.Error{
		Severity: syntax.SeverityWarning, Code: code, Pos: at.Pos, Len: utf8.RuneCountInString(at.Value), Job: t.job.Name,
		Msg: fmt.Sprintf("job %q: %s", t.job.Name, fmt.Sprintf(format, args...)),
	}
}
