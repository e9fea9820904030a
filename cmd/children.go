package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cic-ci/cic/cmd/vendoring"
	"github.com/cic-ci/cic/compile"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// compileChild compiles a child pipeline for the executor, by the context that the
// plan has frozen and the files of the project. What is found goes to diagnostics.
func (p *project) compileChild(ctx context.Context, r exec.ChildRequest, diagnostics io.Writer) (made *exec.ChildPlan, err error) {
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	o, err := p.childOptions(ctx, root, r.Plan)
	if err != nil {
		return nil, err
	}
	result, found, sources := compile.CompileChild(*o, compile.Dynamic{
		Trigger: r.Job.Name, Depth: depth(r.Plan, r.Job), Include: r.Job.Trigger.Include, Given: r.Given,
		Artifact: func(job, path string) (string, []byte, error) {
			data, err := r.Artifact(job, path)
			return "artifacts of " + job + "/" + path, data, err
		},
	})
	if err := found.Render(diagnostics, sources, syntax.RenderOptions{}); err != nil {
		return nil, err
	}
	if result == nil {
		errs := 0
		for _, d := range found {
			if d.Severity == syntax.SeverityError {
				errs++
			}
		}
		return nil, fmt.Errorf("%s; files of the project were looked for in %s", count(errs, "error"), exec.DisplayName(p.dir))
	}
	if len(result.Plan.Jobs) == 0 { // specification section 28
		return nil, errors.New("its rules leave no job to run")
	}
	return &exec.ChildPlan{Plan: result.Plan, Scripts: result.Scripts, Map: result.Map}, nil
}

// childOptions are the options by which the plan was compiled, as it records them.
func (p *project) childOptions(ctx context.Context, root *os.Root, pl *plan.Plan) (*compile.Options, error) {
	lock, err := vendoring.Read(root)
	if err != nil {
		return nil, err
	}
	at := pl.Context
	since := at.Options["changes-since"]
	if since == "" && at.Event == plan.EventMergeRequest {
		since = p.branch(ctx, at.TargetBranch)
	}
	o := &compile.Options{
		Source: pl.Source,
		Ref:    at.Ref, Tag: at.RefType == "tag", Event: at.Event, TargetBranch: at.TargetBranch,
		Predefined:      p.variables(ctx, at),
		DefaultImage:    at.Options["default-image"],
		Artifacts:       at.Options["artifacts"],
		POSIX:           at.Options["posix"] != "",
		SkipUnsupported: at.Options["skip-unsupported"] != "",
		StubIncludes:    at.Options["stub-includes"] != "",
		Project:         root.FS(),
		Tree:            func() ([]string, error) { return p.files(ctx) },
		Changes:         p.changes(ctx, since),
		Vendored:        func(loc resolve.Location) (string, []byte, error) { return lock.Copy(root, loc) },
	}
	if _, err := readLock(o, at.Options["lock"]); err != nil {
		return nil, err
	}
	if given := at.Options["job-input"]; given != "" {
		if o.JobInputs, err = compile.ParseJobInputTexts(given); err != nil {
			return nil, err
		}
	}
	if requests := at.Options["request"]; requests != "" {
		for _, text := range strings.Split(requests, "; ") {
			r, err := compile.ParseRequest(text)
			if err != nil {
				return nil, err
			}
			o.Requests = append(o.Requests, r)
		}
	}
	for _, text := range strings.Fields(at.Options["warnings"]) {
		r, err := compile.ParseWarningRule(text)
		if err != nil {
			return nil, err
		}
		o.Warnings = append(o.Warnings, r)
	}
	return o, nil
}

// depth is how many pipelines stand above that of a job.
func depth(p *plan.Plan, j *plan.Job) int {
	n := 0
	for name := j.Pipeline; name != "" && n <= plan.MaxDepth; n++ {
		for i := range p.Jobs {
			if p.Jobs[i].Name == name {
				name = p.Jobs[i].Pipeline
				break
			}
		}
	}
	return n
}
