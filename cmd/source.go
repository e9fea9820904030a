package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/cmd/vendoring"
	"github.com/cic-ci/cic/compile"
	"github.com/cic-ci/cic/compile/explain"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/plan"
)

// compileOptions are what flags, git and the project's files say to a
// compilation; done closes the project. file may be empty.
func compileOptions(c *cli.Context, file string) (p *project, o *compile.Options, done func(), err error) {
	if p, err = openProject(c.Context, projectOf(c, file)); err != nil {
		return nil, nil, nil, fail(exitInvalid, err)
	}
	if p.others, err = openOthers(c); err != nil {
		return nil, nil, nil, err
	}
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return nil, nil, nil, fail(exitInvalid, err)
	}
	asked := p.externals()
	p.asked = asked
	closeRoot := func() {
		_ = root.Close() // a directory that was only read
		asked.close()
	}
	defer func() {
		if err != nil {
			closeRoot()
		}
	}()
	lock, err := vendoring.Read(root)
	if err != nil {
		return nil, nil, nil, fail(exitInvalid, err)
	}
	at, err := eventContext(c, p)
	if err != nil {
		return nil, nil, nil, err
	}
	if !p.git && !c.IsSet("ref") && !c.IsSet("tag") {
		fmt.Fprintf(c.App.ErrWriter, "cic: warning: %s is not in a git repository: the branch is taken to be \"main\" (--ref sets another)\n", quotePath(c.String("project")))
	}
	o = &compile.Options{
		DefaultImage:    c.String("default-image"),
		Artifacts:       c.String("artifacts"),
		POSIX:           c.Bool("posix"),
		Project:         root.FS(),
		Tree:            func() ([]string, error) { return p.files(c.Context) },
		ChangesSince:    c.String("changes-since"),
		Vendored:        func(loc resolve.Location) (string, []byte, error) { return lock.Copy(root, loc) },
		External:        func(path string) (*compile.External, error) { return asked.get(c.Context, path) },
		StubIncludes:    c.Bool("stub-includes"),
		SkipUnsupported: c.Bool("skip-unsupported"),
	}
	p.compileFor(c, o, at)
	if o.Artifacts != "upstream" && o.Artifacts != "needs" {
		return nil, nil, nil, usage("--artifacts is upstream or needs, not %q", o.Artifacts)
	}
	if err := repeatedOptions(c, o); err != nil {
		return nil, nil, nil, err
	}
	if o.Source, o.Data, err = readPipeline(c.Context, p, file); err != nil {
		return nil, nil, nil, err
	}
	return p, o, closeRoot, nil
}

// repeatedOptions sets the options whose flags can be given several times.
func repeatedOptions(c *cli.Context, o *compile.Options) error {
	var err error
	if o.Given, err = givenVariables(c.StringSlice("var")); err != nil {
		return err
	}
	for _, text := range c.StringSlice("request") {
		r, err := compile.ParseRequest(text)
		if err != nil {
			return usage("--request: %v", err)
		}
		o.Requests = append(o.Requests, r)
	}
	for _, text := range c.StringSlice("job-input") {
		v, err := compile.ParseJobInput(text)
		if err != nil {
			return usage("--job-input: %v", err)
		}
		o.JobInputs = append(o.JobInputs, v)
	}
	for _, text := range c.StringSlice("W") {
		r, err := compile.ParseWarningRule(text)
		if err != nil {
			return usage("-W: %v", err)
		}
		if _, ok := explain.Lookup(r.Code); r.Code != "" && !ok {
			return unknownCode(r.Code)
		}
		o.Warnings = append(o.Warnings, r)
	}
	o.Inputs, err = givenInputs(c.StringSlice("input"))
	return err
}

// compileFor sets the options that go by ref and event.
func (p *project) compileFor(c *cli.Context, o *compile.Options, at plan.Context) {
	o.Ref, o.Tag, o.Event, o.TargetBranch = at.Ref, at.RefType == "tag", at.Event, at.TargetBranch
	o.Predefined = p.variables(c.Context, at)
	o.Changes = p.changes(c.Context, p.changesSince(c, at))
}

// changesSince is what rules:changes compare with where they name nothing: what the
// user says, else what a merge request is to be merged into.
func (p *project) changesSince(c *cli.Context, at plan.Context) string {
	if rev := c.String("changes-since"); rev != "" || at.Event != plan.EventMergeRequest {
		return rev
	}
	return p.branch(c.Context, at.TargetBranch)
}

func quotePath(path string) string {
	if path == "." {
		return "this directory"
	}
	return fmt.Sprintf("%q", path)
}

// givenVariables are those of --var. Of several values for one name the last counts,
// as with any flag, so that a command line can be added to.
func givenVariables(list []string) (map[string]string, error) {
	given := map[string]string{}
	for _, v := range list {
		name, value, ok := strings.Cut(v, "=")
		if !ok || !plan.IsIdentifier(name) {
			return nil, usage("--var wants NAME=VALUE, got %q", v)
		}
		if strings.ContainsRune(value, 0) {
			return nil, usage("--var %s: the value holds a NUL byte", name)
		}
		given[name] = value
	}
	return given, nil
}

// givenInputs are those of --input, as givenVariables.
func givenInputs(list []string) (map[string]string, error) {
	given := map[string]string{}
	for _, v := range list {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usage("--input wants NAME=VALUE, got %q", v)
		}
		given[name] = value
	}
	return given, nil
}

// projectOf is the project's directory: that of FILE, if that is given and lies
// elsewhere, since what a pipeline includes is looked up in its project.
func projectOf(c *cli.Context, file string) string {
	project := c.String("project")
	if file == "" || c.IsSet("project") {
		return project
	}
	if rel, err := filepath.Rel(project, file); err == nil && filepath.IsLocal(rel) {
		return project
	}
	return filepath.Dir(file)
}

// readPipeline finds and reads the pipeline file. The name returned is the one
// given, or relative to the project where it was found there.
func readPipeline(ctx context.Context, p *project, file string) (name string, data []byte, err error) {
	if file != "" {
		data, err = readRegular(file)
		if err != nil {
			return "", nil, fail(exitInvalid, err)
		}
		return filepath.ToSlash(file), data, nil
	}
	for _, name := range []string{".gitlab-ci.yml", "pipeline.yml"} {
		data, err := readRegular(filepath.Join(p.dir, name))
		if err == nil {
			return name, data, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, fail(exitInvalid, err)
		}
	}
	e := &exitError{code: exitInvalid, err: fmt.Errorf("%s holds neither .gitlab-ci.yml nor pipeline.yml", p.dir)}
	if top := p.line(ctx, "rev-parse", "--show-toplevel"); p.git && top != p.dir {
		e.help = fmt.Sprintf("the repository's root is %s: run cic there, or name it with --project", top)
	}
	return "", nil, e
}

// readRegular reads a regular file; a FIFO or a device would block or never end.
func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// As much as a plan may have; the parser's own limit is lower.
	const limit = 64 << 20
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s is larger than %d MiB", name, limit>>20)
	}
	return data, err
}
