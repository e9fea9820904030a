package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/glob"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/syntax"
)

// files answers what rules ask of the project's files; each list is made once.
type files struct {
	options Options
	tree    []string
	listed  bool
	changes map[string]changedFiles
}

// changedFiles are the files that differ from one ref.
type changedFiles struct {
	paths []string
	known bool
	err   error
}

// exists is a clause of rules: it holds if a file of the project matches one of
// the patterns, or a directory one that ends in a slash; or if it matches re, where
// that is not nil (specification section 10.2).
func (f *files) exists(patterns []string, re *pathRegexp) (bool, error) {
	if !f.listed && f.options.Tree != nil {
		tree, err := f.options.Tree()
		if err != nil {
			return false, err
		}
		f.tree = tree
	}
	f.listed = true
	if re != nil {
		return re.any(f.tree), nil
	}
	var plain, directories []string
	for _, p := range patterns {
		if dir, ok := strings.CutSuffix(p, "/"); ok {
			directories = append(directories, dir)
		} else {
			plain = append(plain, p)
		}
	}
	return glob.MatchAny(plain, f.tree) || len(directories) > 0 && glob.MatchAny(directories, f.directories()), nil
}

// directories are those that hold files.
func (f *files) directories() []string {
	seen := map[string]bool{}
	for _, path := range f.tree {
		for i := strings.LastIndexByte(path, '/'); i > 0 && !seen[path[:i]]; i = strings.LastIndexByte(path[:i], '/') {
			seen[path[:i]] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// changed is a clause of rules: it holds if a file that differs matches one of the
// patterns, or re where that is not nil, or if no difference is known (specification
// section 10.1).
func (f *files) changed(patterns []string, re *pathRegexp, compareTo string) (bool, error) {
	c, ok := f.changes[compareTo]
	if !ok {
		if f.options.Changes != nil {
			c.paths, c.known, c.err = f.options.Changes(compareTo)
		}
		if f.changes == nil {
			f.changes = map[string]changedFiles{}
		}
		f.changes[compareTo] = c
	}
	if c.err != nil || !c.known {
		return c.err == nil, c.err
	}
	if re != nil {
		return re.any(c.paths), nil
	}
	return glob.MatchAny(patterns, c.paths), nil
}

// includeVariables are the predefined variables that include and its rules see,
// beside those of the project and what is given (specification section 7).
var includeVariables = []string{
	"CI_COMMIT_BRANCH", "CI_COMMIT_REF_NAME", "CI_COMMIT_SHA", "CI_COMMIT_TAG", "CI_DEFAULT_BRANCH",
	"CI_PIPELINE_SOURCE", "CI_PIPELINE_TRIGGERED",
}

// resolveFiles is the pass that reads the pipeline and what it includes; sources
// receives their texts.
func resolveFiles(env *environment, texts map[string][]byte) (*syntax.Node, syntax.ErrorList) {
	o := env.options
	r, errs := resolve.Resolve(o.Source, o.Data, resolve.Options{
		Project: o.Project, Vendored: o.Vendored, Stub: o.StubIncludes, Inputs: o.Inputs,
		Lookup: env.includeVariable,
		Exists: func(patterns []string) (bool, error) { return env.files.exists(patterns, nil) },
		Changed: func(patterns []string, compareTo string) (bool, error) {
			return env.files.changed(patterns, nil, compareTo)
		},
	})
	maps.Copy(texts, r.Sources)
	env.sources = &sources{texts: texts, lines: map[string][]string{}}
	return r.Root, errs
}

// includeVariable looks up a variable for include.
func (e *environment) includeVariable(name string) (string, bool) {
	if v, ok := e.options.Given[name]; ok {
		return v, true
	}
	if !strings.HasPrefix(name, "CI_PROJECT_") && !slices.Contains(includeVariables, name) {
		return "", false
	}
	if t, ok := e.predefined.Get(name); ok {
		return t.Value, true
	}
	v, ok := e.options.Predefined[name]
	return v, ok
}
