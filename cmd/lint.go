package cmd

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/compile"
	"github.com/cic-ci/cic/compile/lint"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// lintFormats are the values of --format.
var lintFormats = []string{"text", "json", "sarif", "gitlab", "github"}

func lintCommand() *cli.Command {
	return &cli.Command{
		Name:      "lint",
		Usage:     "check a pipeline; write nothing",
		ArgsUsage: "[FILE]",
		Description: "All that compile would say, for a person or for another program: json (cic schema lint),\n" +
			"sarif (2.1.0), gitlab (a Code Quality report), github (workflow commands).\n\n" +
			"Example:\n   cic lint --all-events\n   cic lint -W error --format gitlab > gl-code-quality-report.json",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "format", Value: "text", Usage: "`FORM` of what is found: " + strings.Join(lintFormats, ", ")},
			&cli.BoolFlag{Name: "all-events", Usage: "try each kind of pipeline: a push of the branch, of a tag, a merge request, ..."},
		}, compileFlags()...),
		Action: lintPipeline,
	}
}

func lintPipeline(c *cli.Context) error {
	file, err := oneFile(c)
	if err != nil {
		return err
	}
	format := c.String("format")
	if !slices.Contains(lintFormats, format) {
		return usage("--format is one of %s, not %q", strings.Join(lintFormats, ", "), format)
	}
	if c.Bool("all-events") && c.IsSet("event") {
		return usage("--event and --all-events exclude each other")
	}
	p, o, closeProject, err := compileOptions(c, file)
	if err != nil {
		return err
	}
	defer closeProject()
	if _, err := useLock(c, p, o); err != nil {
		return err
	}
	tried := []compile.Options{*o}
	if c.Bool("all-events") {
		tried = eachEvent(c, p, *o)
	}
	found := compileEach(tried)
	if format == "text" {
		if err := printDiagnostics(c.App.ErrWriter, found.list, o.Source, found.sources); err != nil {
			return err
		}
		return printPipelines(c.App.Writer, o.Source, found)
	}
	report := lint.NewReport(projectName(p, file, o.Source), o.Source, found.list, found.sources, found.pipelines)
	if err := writeReport(c.App.Writer, format, report); err != nil {
		return err
	}
	return doesNotCompile(found.list, o.Source)
}

// eachEvent is one compilation for each kind of pipeline that a file usually tells
// apart (specification section 11). A tag is made up for a branch, and a tag is
// taken to be on the default branch.
func eachEvent(c *cli.Context, p *project, o compile.Options) []compile.Options {
	defaultBranch := p.facts["CI_DEFAULT_BRANCH"]
	branch, tag := o.Ref, "v1.0.0"
	if o.Tag {
		branch, tag = defaultBranch, o.Ref
	}
	push := plan.Context{Ref: branch, RefType: "branch", Event: "push"}
	contexts := []plan.Context{
		push, {Ref: tag, RefType: "tag", Event: "push"},
		{Ref: branch, RefType: "branch", Event: plan.EventMergeRequest, TargetBranch: defaultBranch},
	}
	for _, event := range []string{"schedule", "web", "trigger", "api"} {
		push.Event = event
		contexts = append(contexts, push)
	}
	list := make([]compile.Options, len(contexts))
	for i, at := range contexts {
		list[i] = o
		p.compileFor(c, &list[i], at)
	}
	return list
}

// linted is what some compilations of one file found.
type linted struct {
	list      syntax.ErrorList
	sources   map[string][]byte
	pipelines []lint.Pipeline
}

// compileEach compiles the file for each of the options. That the rules leave no
// job for one of several is no finding.
func compileEach(tried []compile.Options) *linted {
	l := &linted{sources: map[string][]byte{}}
	idle := map[syntax.Pos]int{}
	for _, o := range tried {
		result, found, sources := compile.Compile(o)
		maps.Copy(l.sources, sources)
		p := lint.Pipeline{Event: o.Event, Ref: o.Ref, RefType: "branch", Jobs: []string{}}
		if o.Tag {
			p.RefType = "tag"
		}
		if result != nil {
			for i := range result.Plan.Jobs {
				p.Jobs = append(p.Jobs, result.Plan.Jobs[i].Name)
			}
		}
		l.pipelines = append(l.pipelines, p)
		for _, d := range found {
			if d.Code == compile.CodeIdleIgnore {
				idle[d.Pos]++
			}
			if d.Code != compile.CodeNoJobs || len(tried) == 1 {
				l.list = append(l.list, d)
			}
		}
	}
	// A comment that silences a warning of one pipeline is of use.
	l.list = slices.DeleteFunc(l.list, func(d *syntax.Error) bool {
		return d.Code == compile.CodeIdleIgnore && idle[d.Pos] < len(tried)
	})
	l.list = l.list.Sorted()
	return l
}

// printPipelines sums up a file that compiles.
func printPipelines(w io.Writer, source string, l *linted) error {
	warnings := 0
	for _, d := range l.list {
		if d.Ignored == "" {
			warnings++
		}
	}
	for _, p := range l.pipelines {
		jobs := "no jobs"
		if len(p.Jobs) > 0 {
			jobs = count(len(p.Jobs), "job")
		}
		text := fmt.Sprintf("%s: %s, %s", source, jobs, count(warnings, "warning"))
		if len(l.pipelines) > 1 {
			text = fmt.Sprintf("%s of %s %s: %s", p.Event, p.RefType, syntax.Visible(p.Ref), jobs)
			if len(p.Jobs) > 0 {
				text += ": " + syntax.Visible(strings.Join(p.Jobs, ", "))
			}
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}

func writeReport(w io.Writer, format string, r *lint.Report) error {
	switch format {
	case "sarif":
		return r.WriteSARIF(w, version(), ruleOf)
	case "gitlab":
		return r.WriteCodeQuality(w)
	case "github":
		return r.WriteGitHub(w)
	}
	return r.WriteJSON(w)
}

// projectName is the pipeline file's name relative to the project, which is what
// programs that show a file's lines know; file is as it was given, if it was.
func projectName(p *project, file, source string) string {
	if file == "" {
		return source
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return source
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(dir, filepath.Base(abs))
	}
	rel, err := filepath.Rel(p.dir, abs)
	if err != nil || !filepath.IsLocal(rel) {
		return filepath.ToSlash(abs)
	}
	return filepath.ToSlash(rel)
}
