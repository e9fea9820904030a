package cmd

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/cmd/vendoring"
	"github.com/cic-ci/cic/compile"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/userns"
	"github.com/cic-ci/cic/plan"
)

func externalFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "external", Usage: "`PROJECT=DIR`: the project that trigger:project calls PROJECT is in DIR, for its pipeline to be run too"}
}

// openOthers opens the projects of --external, by their paths; the last of one path
// counts.
func openOthers(c *cli.Context) (map[string]*project, error) {
	others := map[string]*project{}
	for _, text := range c.StringSlice("external") {
		path, dir, ok := strings.Cut(text, "=")
		if !ok || dir == "" || !strings.Contains(strings.Trim(path, "/"), "/") {
			return nil, usage("--external wants GROUP/PROJECT=DIR, got %q", text)
		}
		p, err := openProjectAs(c.Context, dir, path)
		if err == nil {
			var info os.FileInfo
			if info, err = os.Stat(p.dir); err == nil && !info.IsDir() {
				err = fmt.Errorf("%s is no directory", dir)
			}
		}
		if err != nil {
			return nil, fail(exitInvalid, fmt.Errorf("--external %s: %w", path, err))
		}
		others[path] = p
	}
	for _, p := range others {
		p.others = others
	}
	return others, nil
}

// otherContext is what a pipeline is for that a trigger job of another project starts.
func otherContext(branch string) plan.Context {
	return plan.Context{Ref: branch, RefType: "branch", Event: plan.OtherEvent}
}

// externals gives the projects beside this one to a compilation.
type externals struct {
	p     *project
	made  map[string]*compile.External
	roots []*os.Root
}

func (p *project) externals() *externals {
	return &externals{p: p, made: map[string]*compile.External{}}
}

// get is [compile.Options].External.
func (x *externals) get(ctx context.Context, path string) (*compile.External, error) {
	if made, ok := x.made[path]; ok {
		return made, nil
	}
	p := x.p.others[path]
	if p == nil {
		return nil, nil
	}
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return nil, err
	}
	x.roots = append(x.roots, root)
	lock, err := vendoring.Read(root)
	if err != nil {
		return nil, err
	}
	file, data, err := readPipeline(ctx, p, "")
	if err != nil {
		return nil, err
	}
	branch := p.facts["CI_DEFAULT_BRANCH"]
	made := &compile.External{
		Path: path, File: file, Data: data, DefaultBranch: branch, CheckedOut: p.ref,
		Predefined: p.variables(ctx, otherContext(branch)),
		Project:    root.FS(),
		Tree:       func() ([]string, error) { return p.files(ctx) },
		Changes:    p.changes(ctx, ""),
		Vendored: func(loc resolve.Location) (string, []byte, error) {
			name, data, err := lock.Copy(root, loc)
			return compile.Prefix(path) + name, data, err
		},
	}
	x.made[path] = made
	return made, nil
}

// idle are the projects of --external that no trigger job has asked for, sorted.
func (x *externals) idle() (paths []string) {
	for _, path := range slices.Sorted(maps.Keys(x.p.others)) {
		if x.made[path] == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// warnIdle warns of them.
func (x *externals) warnIdle(c *cli.Context) {
	for _, path := range x.idle() {
		warner(c.App.ErrWriter)(fmt.Sprintf("--external %s: no job of this pipeline starts the pipeline of that project", exec.DisplayName(path)))
	}
}

func (x *externals) close() {
	for _, root := range x.roots {
		_ = root.Close() // a directory that was only read
	}
}

// trees are what jobs of the projects beside this one have of these. users may be nil.
// afterwards must be called once the run is over.
func (p *project) trees(ctx context.Context, c *cli.Context, dir *exec.RunDir, pl *plan.Plan, users *userns.Namespace) (trees map[string]exec.Tree, afterwards func(), err error) {
	var after []func()
	afterwards = func() {
		for _, do := range after {
			do()
		}
	}
	trees = map[string]exec.Tree{}
	for i, path := range slices.Sorted(maps.Keys(p.others)) {
		o := p.others[path]
		at := filepath.Join(dir.WorkspacesDir(), fmt.Sprintf("@%d", i+1)) // no job's
		if err := os.Mkdir(at, 0o700); err != nil {
			return nil, afterwards, err
		}
		manager, err := workspaces(ctx, c, o, at)
		if err != nil {
			return nil, afterwards, err
		}
		t := exec.Tree{Dir: o.dir, Workspaces: manager, Variables: o.runtimeVariables(ctx, otherContext(o.facts["CI_DEFAULT_BRANCH"]))}
		if users != nil {
			if t.Mapped, err = mapped(manager, users); err != nil {
				return nil, afterwards, err
			}
		}
		caches, flush, err := openCaches(ctx, c, o, pl)
		if err != nil {
			return nil, afterwards, err
		}
		t.Caches, after = caches, append(after, flush)
		trees[path] = t
	}
	return trees, afterwards, nil
}

// checkOthers refuses a plan with the pipeline of another project that is not given.
func checkOthers(p *project, pl *plan.Plan) error {
	for i := range pl.Pipelines {
		of := pl.Pipelines[i].Project
		if of != nil && p.others[of.Path] == nil {
			return &exitError{code: exitUsage, err: fmt.Errorf("job %q starts the pipeline of project %q, whose files are needed", pl.Pipelines[i].Trigger, of.Path),
				help: fmt.Sprintf("name its directory: --external %s=DIR", of.Path)}
		}
	}
	return nil
}

// externalTexts are the values of --external with absolute directories.
func (p *project) externalTexts() (texts []string) {
	for _, path := range slices.Sorted(maps.Keys(p.others)) {
		texts = append(texts, path+"="+p.others[path].dir)
	}
	return texts
}

// sourcePath is where a file is that a plan was compiled from, by its name in the source
// map: in this project, or in one beside it.
func (p *project) sourcePath(name string) string {
	for path, o := range p.others { // a name has the prefix of one at most
		if file, ok := strings.CutPrefix(name, compile.Prefix(path)); ok {
			return filepath.Join(o.dir, filepath.FromSlash(file))
		}
	}
	return filepath.Join(p.dir, filepath.FromSlash(name))
}
