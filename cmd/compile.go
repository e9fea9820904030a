package cmd

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/cmd/imagelock"
	"github.com/cic-ci/cic/compile"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

func compileCommand() *cli.Command {
	return &cli.Command{
		Name:      "compile",
		Usage:     "compile a pipeline to a plan and its scripts",
		ArgsUsage: "[FILE]",
		Description: "FILE is .gitlab-ci.yml, else pipeline.yml, of the project unless given.\n" +
			"Nothing is written unless all of it is.\n\n" +
			"Example:\n   cic compile -o plan && git diff plan\n   cic compile --check plan",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write plan.json, plan.map.json and jobs/ to `DIR`"},
			&cli.StringFlag{Name: "check", Usage: "write nothing; fail with a diff if the plan in `DIR` is stale"},
		}, compileFlags()...),
		Action: func(c *cli.Context) error {
			if (c.String("output") == "") == (c.String("check") == "") {
				return usage("compile needs either -o DIR or --check DIR")
			}
			file, err := oneFile(c)
			if err != nil {
				return err
			}
			_, result, err := compileProject(c, file)
			if err != nil {
				return err
			}
			if dir := c.String("check"); dir != "" {
				return checkPlan(c.App.Writer, dir, result)
			}
			dir := c.String("output")
			if err := plan.WriteDir(dir, result.Plan, result.Scripts, result.Map); err != nil {
				return fail(exitSystem, err)
			}
			_, err = fmt.Fprintf(c.App.Writer, "%s: %s\n", filepath.ToSlash(filepath.Join(dir, "plan.json")), summary(result.Plan))
			return err
		},
	}
}

// compileFlags are the flags that change what a compilation means.
func compileFlags() []cli.Flag {
	return slices.Concat([]cli.Flag{projectFlag()}, eventFlags(), []cli.Flag{
		&cli.StringSliceFlag{Name: "input", Usage: "set an input of the pipeline, `NAME=VALUE`; the last of one NAME counts"},
		&cli.StringSliceFlag{Name: "job-input", Usage: "set an input of a job, `JOB:NAME=VALUE`, for all copies that parallel makes of it; JOB of a child pipeline is TRIGGER/JOB"},
		externalFlag(),
		&cli.StringFlag{Name: "changes-since", Usage: "rules:changes compare the project, with what is not committed yet, with `REV`; without it they always hold, but for a merge request, which is compared with its target"},
		&cli.BoolFlag{Name: "stub-includes", Usage: "leave out included files of which there is no copy in the project"},
		&cli.BoolFlag{Name: "skip-unsupported", Usage: "leave out jobs whose scripts are PowerShell or batch files"},
		&cli.StringSliceFlag{Name: "var", Usage: "set a variable, `NAME=VALUE`; it beats those of the file, and the last of one NAME counts"},
		&cli.StringFlag{Name: "default-image", Usage: "the `IMAGE` of jobs that name none (default: python:3.11)"},
		&cli.StringFlag{Name: "artifacts", Value: "upstream", Usage: "a job with needs sees the artifacts of everything `upstream`, or of its needs alone (needs)"},
		&cli.StringFlag{Name: "lock", Usage: "take the digests of images from `FILE` of the project, which cic image lock writes (default: " + imagelock.File + ", if there is one)"},
		&cli.BoolFlag{Name: "posix", Usage: "refuse scripts that need bash"},
		&cli.StringSliceFlag{Name: "W", Usage: "`WHAT` becomes of warnings: " + compile.WarningForms},
		&cli.StringSliceFlag{Name: "request", Usage: "record what a job needs, `WHAT=JOB`: " + compile.RequestForms},
	})
}

func projectFlag() cli.Flag {
	return &cli.StringFlag{Name: "project", Aliases: []string{"C"}, Value: ".", Usage: "the project's `DIR`"}
}

// oneFile returns the FILE argument, empty if there is none.
func oneFile(c *cli.Context) (string, error) {
	if c.Args().Len() > 1 {
		return "", usage("%s takes one FILE, got %q too", c.Command.Name, c.Args().Get(1))
	}
	return c.Args().First(), nil
}

// compileProject reads the pipeline file and compiles it, printing all
// diagnostics. file may be empty.
func compileProject(c *cli.Context, file string) (*project, *compile.Result, error) {
	p, o, closeProject, err := compileOptions(c, file)
	if err != nil {
		return nil, nil, err
	}
	defer closeProject()
	lock, err := useLock(c, p, o)
	if err != nil {
		return nil, nil, err
	}
	result, diagnostics, sources := compile.Compile(*o)
	if err := printDiagnostics(c.App.ErrWriter, diagnostics, o.Source, sources); err != nil {
		return nil, nil, err
	}
	p.asked.warnIdle(c)
	maps.Copy(sources, lock)
	result.Map.Sources = p.sourceDigests(file, sources)
	return p, result, nil
}

// printDiagnostics prints warnings and errors; the error it returns, if any
// diagnostic is an error, says how many there were.
func printDiagnostics(w io.Writer, list syntax.ErrorList, name string, sources map[string][]byte) error {
	if len(list) == 0 {
		return nil
	}
	var b bytes.Buffer
	if err := list.Render(&b, sources, syntax.RenderOptions{Color: colorTerminal(w)}); err != nil {
		return err
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	err := doesNotCompile(list, name)
	if isTerminal(w) { // for a person, once
		err = withExplanation(err, list)
	}
	return err
}

// doesNotCompile is the error of a command whose pipeline has errors, else nil.
func doesNotCompile(list syntax.ErrorList, name string) error {
	if !list.HasErrors() {
		return nil
	}
	n := 0
	for _, e := range list {
		if e.Severity == syntax.SeverityError {
			n++
		}
	}
	return fail(exitInvalid, fmt.Errorf("%s does not compile: %s", name, count(n, "error")))
}

func summary(p *plan.Plan) string {
	s := fmt.Sprintf("%s in %s", count(len(p.Jobs), "job"), count(len(p.Batches), "batch"))
	if n := len(p.Excluded); n > 0 {
		s += fmt.Sprintf(", %d excluded", n)
	}
	return s
}

func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "ch"):
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// checkPlan compares what a compilation made with the plan in dir.
func checkPlan(w io.Writer, dir string, r *compile.Result) error {
	planJSON, err := plan.Encode(r.Plan)
	if err != nil {
		return fail(exitSystem, err)
	}
	mapJSON, err := plan.EncodeMap(r.Map)
	if err != nil {
		return fail(exitSystem, err)
	}
	want := map[string][]byte{"plan.json": planJSON, "plan.map.json": mapJSON}
	for path, text := range r.Scripts {
		want[path] = text
	}
	have, err := readPlanFiles(dir)
	if err != nil {
		return fail(exitInvalid, err)
	}
	var paths []string
	for path := range want {
		paths = append(paths, path)
	}
	for path := range have {
		if _, ok := want[path]; !ok {
			paths = append(paths, path)
		}
	}
	sort.Strings(paths)
	stale := 0
	for _, path := range paths {
		if d := diff.Diff("a/"+path, have[path], "b/"+path, want[path]); d != nil {
			stale++
			if _, err := w.Write(d); err != nil {
				return err
			}
		}
	}
	if stale > 0 {
		verb := "differ"
		if stale == 1 {
			verb = "differs"
		}
		return &exitError{code: exitFailed, err: fmt.Errorf("the plan in %s is stale: %s %s", dir, count(stale, "file"), verb),
			help: "cic compile -o " + dir}
	}
	return nil
}

// readPlanFiles reads the files of a plan directory by path; a directory that
// does not exist holds none. Links are refused where the executor refuses them.
func readPlanFiles(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	if info, err := os.Lstat(filepath.Join(dir, "jobs")); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", filepath.Join(dir, "jobs"))
	}
	for _, pattern := range []string{"plan.json", "plan.map.json", "jobs/*"} {
		names, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			file := filepath.Join(dir, filepath.FromSlash(name))
			if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
				return nil, fmt.Errorf("%s is not a regular file", file)
			}
			if files[name], err = readRegular(file); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}
