package compile

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"

	"github.com/cic-ci/cic/compile/match"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/script"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
	"github.com/cic-ci/cic/plan/credential"
)

// defaultImage is what a job without any image runs in: the article's choice.
const defaultImage = "python:3.11"

// Events are the pipeline sources that GitLab knows (specification section 11).
var Events = []string{
	"push", "web", "schedule", "api", "trigger", plan.OtherEvent, plan.ChildEvent, plan.EventMergeRequest,
	"external", "external_pull_request_event", "chat", "webide",
}

// environment is what a compilation knows apart from the pipeline file.
type environment struct {
	options Options
	event   string
	// context is the plan's record of it; Read is filled in later.
	context plan.Context
	// predefined are the predefined variables that are known now and common to all jobs.
	predefined plan.Variables
	// merge: this is a merge request pipeline, which is neither a branch nor a tag
	// pipeline, or a child of one.
	merge bool
	// depth is how many pipelines stand above; budget is shared with these.
	depth  int
	budget *budget
	// above are the other projects whose pipelines stand above, where those are not
	// compiled together with this one.
	above []*plan.Project
	// matcher matches the patterns of rules, only and except.
	matcher *match.Matcher
	// generators make scripts, one a processor; they are shared with the pipelines above.
	generators []script.Generator
	// sources finds places in the files that were read.
	sources *sources
	files   *files
	// stubs are the places of includes whose files are left out, leftOut the jobs that
	// are because of these.
	stubs   resolve.Stubs
	leftOut []resolve.LeftOut
	// trace notes where the files of diagnostics are included; nil until they are read.
	trace func(syntax.ErrorList)
}

func newEnvironment(o Options) (*environment, syntax.ErrorList) {
	var errs syntax.ErrorList
	switch o.Artifacts {
	case "", "upstream", "needs":
	default:
		errs.Add(codeOption, syntax.Pos{}, 0, fmt.Sprintf("artifacts: %q is neither upstream nor needs", o.Artifacts))
	}
	if o.Event != "" && !slices.Contains(Events, o.Event) {
		errs.Add(codeOption, syntax.Pos{}, 0, fmt.Sprintf("event: %q is none of %s", o.Event, strings.Join(Events, ", ")))
	}
	if o.TargetBranch != "" && o.Event != plan.EventMergeRequest {
		errs.Add(codeOption, syntax.Pos{}, 0, fmt.Sprintf("target branch: event %q is no merge request", o.Event))
	}
	if o.Tag && o.Event == plan.EventMergeRequest {
		errs.Add(codeOption, syntax.Pos{}, 0, "a merge request is made of a branch, not of a tag")
	}
	for _, name := range sortedNames(o.Given) {
		if !plan.IsIdentifier(name) {
			errs.Add(codeOption, syntax.Pos{}, 0, fmt.Sprintf("%q, given on the command line, is no name for a variable", name))
		}
		if credential.Holds(o.Given[name]) {
			errs.Warn(codeCredential, syntax.Pos{}, 0, fmt.Sprintf("variable %q, given on the command line, looks like a credential; it is in the plan for all to read", name)).Help =
				"give it when the plan is run: cic exec --secret " + name
		}
	}
	env := &environment{options: o, event: o.Event, files: newFiles(o), budget: &budget{}, matcher: match.New(match.Texts),
		generators: make([]script.Generator, runtime.GOMAXPROCS(0))}
	if env.event == "" {
		env.event = "push"
	}
	env.context = plan.Context{
		Ref: o.Ref, RefType: "branch", Event: env.event, TargetBranch: o.TargetBranch,
		Options: changedOptions(o), Given: sortedNames(o.Given),
	}
	if o.Tag {
		env.context.RefType = "tag"
	}
	env.merge = env.event == plan.EventMergeRequest
	env.predefined = plan.ContextVariables(env.context)
	config := filepath.ToSlash(o.Source)
	if o.parent != nil {
		env.descend(o.parent)
		if o.child.other == nil {
			return env, errs
		}
		config = o.child.other.File
	}
	for _, v := range []plan.Variable{
		{Name: "CI_CONFIG_PATH", Value: plan.Literal(config)},
		{Name: "CI_NODE_TOTAL", Value: plan.Literal("1")},
	} {
		if _, ok := env.predefined.Get(v.Name); !ok {
			env.predefined = append(env.predefined, v)
		}
	}
	sort.Slice(env.predefined, func(i, k int) bool { return env.predefined[i].Name < env.predefined[k].Name })
	return env, errs
}

// changedOptions are the options that change meaning and differ from their default.
func changedOptions(o Options) map[string]string {
	options := map[string]string{}
	if o.Artifacts == "needs" {
		options["artifacts"] = o.Artifacts
	}
	if o.ChangesSince != "" {
		options["changes-since"] = o.ChangesSince
	}
	if o.DefaultImage != "" && o.DefaultImage != defaultImage {
		options["default-image"] = o.DefaultImage
	}
	if o.LockFile != "" {
		options["lock"] = o.LockFile
	}
	if o.POSIX {
		options["posix"] = "true"
	}
	if o.SkipUnsupported {
		options["skip-unsupported"] = "true"
	}
	if len(o.JobInputs) > 0 {
		options["job-input"] = jobInputTexts(o.JobInputs)
	}
	if len(o.Requests) > 0 {
		options["request"] = requestTexts(o.Requests)
	}
	if len(options) == 0 {
		return nil
	}
	return options
}

// refText names the ref for a person.
func (e *environment) refText() string {
	if e.merge {
		return "a merge request pipeline"
	}
	return fmt.Sprintf("%s %q (event %s)", e.context.RefType, e.options.Ref, e.event)
}

// persisted are the predefined variables that exist only once a job does, so that
// neither rules nor includes see them (specification section 18.4).
var persisted = []string{
	"CI_DEPLOY_PASSWORD", "CI_DEPLOY_USER", "CI_JOB_ID", "CI_JOB_STARTED_AT", "CI_JOB_TOKEN", "CI_JOB_URL",
	"CI_PIPELINE_ID", "CI_PIPELINE_URL", "CI_REGISTRY_PASSWORD", "CI_REGISTRY_USER", "CI_REPOSITORY_URL",
}

// lookup returns a predefined variable as rules see it.
func (e *environment) lookup(name string) (string, bool) {
	if t, ok := e.predefined.Get(name); ok {
		return t.Value, true
	}
	if slices.Contains(persisted, name) {
		return "", false
	}
	v, ok := e.options.Predefined[name]
	return v, ok
}
