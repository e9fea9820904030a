package cmd

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/compile"
	"github.com/cic-ci/cic/plan"
)

// eventFlags say what the pipeline is for.
func eventFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "event", Value: "push", Usage: "the `EVENT` that starts the pipeline: push, tag, merge_request, schedule, web, trigger, api, pipeline, parent_pipeline or another of GitLab's sources"},
		&cli.StringFlag{Name: "ref", Usage: "compile for this `BRANCH` instead of the one that is checked out"},
		&cli.StringFlag{Name: "tag", Usage: "compile for this `TAG`"},
		&cli.StringFlag{Name: "target-branch", Usage: "the `BRANCH` that a merge request is to be merged into (default: the project's default branch)"},
	}
}

// eventContext is what the flags say of ref and event, where they say nothing what
// the checkout does. The files and the commit are those of the checkout in any case.
func eventContext(c *cli.Context, p *project) (plan.Context, error) {
	ctx := plan.Context{Ref: p.ref, RefType: "branch", Event: pipelineSource(c.String("event"))}
	tag := p.tag
	switch {
	case c.IsSet("ref") && c.IsSet("tag"):
		return ctx, usage("--ref and --tag exclude each other")
	case c.IsSet("ref"):
		ctx.Ref, tag = c.String("ref"), false
	case c.IsSet("tag"):
		ctx.Ref, tag = c.String("tag"), true
	}
	if c.String("event") == "tag" && !tag {
		if c.IsSet("ref") {
			return ctx, usage("--event tag needs --tag TAG instead of --ref")
		}
		if ctx.Ref, tag = p.tagAt(c.Context), true; ctx.Ref == "" {
			return ctx, usage("--event tag needs --tag TAG: the commit that is checked out has no tag")
		}
	}
	if tag {
		ctx.RefType = "tag"
	}
	switch {
	case ctx.Ref == "":
		return ctx, usage("the branch or tag name must not be empty")
	case !slices.Contains(compile.Events, ctx.Event):
		return ctx, usage("--event is push, tag, merge_request, or one of %s, not %q", strings.Join(compile.Events[1:], ", "), c.String("event"))
	case ctx.Event != plan.EventMergeRequest && c.IsSet("target-branch"):
		return ctx, usage("--target-branch is for --event merge_request")
	case ctx.Event == plan.EventMergeRequest && tag:
		return ctx, usage("a merge request is made of a branch, not of the tag %q: name the branch with --ref", ctx.Ref)
	case ctx.Event == plan.EventMergeRequest:
		if ctx.TargetBranch = c.String("target-branch"); ctx.TargetBranch == "" {
			ctx.TargetBranch = p.facts["CI_DEFAULT_BRANCH"]
		}
	}
	return ctx, nil
}

// pipelineSource is GitLab's name of an event, CI_PIPELINE_SOURCE. A tag's pipeline
// comes of a push; the names with _event may be given without it.
func pipelineSource(event string) string {
	switch full := event + "_event"; {
	case event == "tag":
		return "push"
	case slices.Contains(compile.Events, full):
		return full
	}
	return event
}
