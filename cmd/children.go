package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/cic-ci/cic/cmd/vendoring"
	"github.com/cic-ci/cic/compile"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// compileChild compiles a child pipeline for the executor, by the context that the
// plan has frozen and the files of the project that the trigger job is of. What is found
// goes to diagnostics.
func (p *project) compileChild(ctx context.Context, r exec.ChildRequest, diagnostics io.Writer) (made *exec.ChildPlan, err error) {
	at, prefix, source := r.Plan.Context, "", r.Plan.Source
	if of := r.Plan.ProjectOf(r.Job); of != nil {
		if p = p.others[of.Path]; p == nil {
			return nil, fmt.Errorf("project %q is not given", of.Path)
		}
		other := otherContext(of.Ref)
		other.Options, at = maps.Clone(at.Options), other
		delete(other.Options, "changes-since") // of the plan's own project
		prefix, source = compile.Prefix(of.Path), of.Source
	}
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	o, err := p.childOptions(ctx, root, at)
	if err != nil {
		return nil, err
	}
	asked := p.externals()
	defer asked.close()
	o.Prefix, o.Source = prefix, source
	vendored := o.Vendored
	o.Vendored = func(loc resolve.Location) (string, []byte, error) {
		name, data, err := vendored(loc)
		return prefix + name, data, err
	}
	o.External = func(path string) (*compile.External, error) { return asked.get(ctx, path) }
	result, found, sources := compile.CompileChild(*o, compile.Dynamic{
		Trigger: r.Job.Name, Depth: depth(r.Plan, r.Job), Above: above(r.Plan, r.Job), Include: r.Job.Trigger.Include, Given: r.Given,
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

// childOptions are the options by which a plan was compiled, as its context records them,
// for a project in root.
func (p *project) childOptions(ctx context.Context, root *os.Root, at plan.Context) (*compile.Options, error) {
	lock, err := vendoring.Read(root)
	if err != nil {
		return nil, err
	}
	since := at.Options["changes-since"]
	if since == "" && at.Event == plan.EventMergeRequest {
		since = p.branch(ctx, at.TargetBranch)
	}
	o := &compile.Options{
		Ref: at.Ref, Tag: at.RefType == "tag", Event: at.Event, TargetBranch: at.TargetBranch,
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

// triggersAbove are the trigger jobs above a job, the nearest first.
func triggersAbove(p *plan.Plan, j *plan.Job) (triggers []*plan.Job) {
	for at := j.Pipeline; at != "" && len(triggers) <= plan.MaxPipelines; {
		i := slices.IndexFunc(p.Jobs, func(other plan.Job) bool { return other.Name == at })
		if i < 0 {
			break
		}
		triggers = append(triggers, &p.Jobs[i])
		at = p.Jobs[i].Pipeline
	}
	return triggers
}

// depth is how many pipelines of its project stand above that of a job.
func depth(p *plan.Plan, j *plan.Job) int {
	n := 0
	for _, t := range triggersAbove(p, j) {
		if t.Trigger.Project != nil {
			break
		}
		n++
	}
	return n
}

// above are the other projects of which the pipeline of a job is, and those above it.
func above(p *plan.Plan, j *plan.Job) (projects []*plan.Project) {
	for _, t := range triggersAbove(p, j) {
		if c := p.Pipeline(t.Name); c != nil && c.Project != nil {
			projects = append(projects, c.Project)
		}
	}
	return projects
}
