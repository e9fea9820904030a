package compile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/glob"
	"github.com/cic-ci/cic/compile/match"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/syntax"
)

// ErrNoRef says that there is nothing of that name to compare with.
var ErrNoRef = errors.New("is not a valid ref")

// files answers what rules ask of the project's files; each list is made once, and
// each question answered once.
type files struct {
	options Options
	tree    []string
	// directories are those that hold files; nil before they are asked for.
	directories []string
	listed      bool
	changes     map[string]changedFiles
	answers     map[string]answer
	globs       map[string]glob.Pattern
	globsLength int
	// matcher bounds the work. Once its budget is spent, every clause is taken to hold.
	matcher *match.Matcher
}

func newFiles(o Options) *files {
	return &files{options: o, matcher: match.New(match.Paths)}
}

// changedFiles are the files that differ from one ref.
type changedFiles struct {
	paths []string
	known bool
	err   error
}

// answer says whether a clause holds; assumed: without a comparison, as there is
// nothing to compare with, or too much (specification section 0).
type answer struct{ holds, assumed bool }

// exists is a clause of rules: it holds if a file of the project matches one of
// the patterns, or a directory one that ends in a slash; or if it matches re, where
// that is not nil (specification section 10.2).
func (f *files) exists(patterns []string, re *pathRegexp) (answer, error) {
	if !f.listed && f.options.Tree != nil {
		tree, err := f.options.Tree()
		if err != nil {
			return answer{}, err
		}
		f.tree = tree
	}
	f.listed = true
	if re != nil {
		return f.bounded(re.answer(f.tree)), nil
	}
	return f.once("exists", patterns, func() (answer, error) {
		var plain, directories []string
		for _, p := range patterns {
			if dir, ok := strings.CutSuffix(p, "/"); ok {
				directories = append(directories, dir)
			} else {
				plain = append(plain, p)
			}
		}
		a, err := f.match(plain, f.tree)
		if err != nil || a.holds || len(directories) == 0 {
			return a, err
		}
		if f.directories == nil {
			f.directories = directoriesOf(f.tree)
		}
		return f.match(directories, f.directories)
	})
}

// once answers a question about patterns, unless it was answered before.
func (f *files) once(what string, patterns []string, find func() (answer, error)) (answer, error) {
	key := what + "\x00" + strings.Join(patterns, "\x00")
	if a, known := f.answers[key]; known {
		return a, nil
	}
	a, err := find()
	if f.answers == nil {
		f.answers = map[string]answer{}
	}
	a = f.bounded(a)
	f.answers[key] = a
	return a, err
}

// bounded is an answer, unless that took too much work.
func (f *files) bounded(a answer) answer {
	if f.matcher.Spent() {
		return answer{holds: true, assumed: true}
	}
	return a
}

// The cost of compiling a glob, in units: for each byte of it, and for any.
const (
	costOfGlobByte = 4
	costOfGlob     = 64
)

// maxGlobs bounds the patterns that are kept, by their length in bytes.
const maxGlobs = 256 << 10

// match says whether a pattern matches a path. As on GitLab, so many of them that
// they are not compared count as a match (specification, section 0).
func (f *files) match(patterns, paths []string) (answer, error) {
	if len(patterns)*len(paths) > glob.MaxComparisons {
		return answer{holds: true, assumed: true}, nil
	}
	a := answer{}
	for _, text := range patterns {
		p, err := f.glob(text)
		if err != nil {
			return answer{}, err
		}
		for i := 0; i < len(paths) && !a.holds; i++ {
			matches, steps := p.Match(paths[i])
			a.holds = matches
			if !f.matcher.Spend(steps) {
				return a, nil
			}
		}
	}
	return a, nil
}

// glob compiles a pattern, unless that was done before.
func (f *files) glob(text string) (glob.Pattern, error) {
	if p, ok := f.globs[text]; ok || f.matcher.Spent() {
		return p, nil
	}
	p, err := glob.Compile(text)
	f.matcher.Spend(costOfGlob + costOfGlobByte*p.Length)
	if err != nil {
		return p, err
	}
	if f.globsLength += p.Length; f.globs == nil || f.globsLength > maxGlobs {
		f.globs, f.globsLength = map[string]glob.Pattern{}, p.Length
	}
	f.globs[text] = p
	return p, nil
}

// directoriesOf returns those that hold files.
func directoriesOf(tree []string) []string {
	seen := map[string]bool{}
	for _, path := range tree {
		for i := strings.LastIndexByte(path, '/'); i > 0 && !seen[path[:i]]; i = strings.LastIndexByte(path[:i], '/') {
			seen[path[:i]] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// changed is a clause of rules: it holds if a file that differs matches one of the
// patterns, or re where that is not nil, or if no difference is known (specification
// section 10.1). The error may be an [ErrNoRef].
func (f *files) changed(patterns []string, re *pathRegexp, compareTo string) (answer, error) {
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
		return answer{holds: true, assumed: true}, c.err
	}
	if re != nil {
		return f.bounded(re.answer(c.paths)), nil
	}
	return f.once("changes "+compareTo, patterns, func() (answer, error) { return f.match(patterns, c.paths) })
}

// includeVariables are the predefined variables that include and its rules see,
// beside those of the project and what is given (specification section 7).
var includeVariables = []string{
	"CI_COMMIT_BRANCH", "CI_COMMIT_REF_NAME", "CI_COMMIT_SHA", "CI_COMMIT_TAG", "CI_DEFAULT_BRANCH",
	"CI_PIPELINE_SOURCE", "CI_PIPELINE_TRIGGERED",
}

// includeClause evaluates a clause of a rule of include.
func includeClause(env *environment, c resolve.PathClause, holds func([]string, *pathRegexp) (answer, error)) (bool, error) {
	var re *pathRegexp
	if c.Regexp != "" {
		var err error
		if re, err = parsePathRegexp(env.matcher, c.Regexp); err != nil {
			return false, fmt.Errorf("invalid regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
	a, err := holds(c.Patterns, re)
	return a.holds && err == nil, err
}

// resolveFiles is the pass that reads the pipeline and what it includes; sources
// receives their texts.
func resolveFiles(env *environment, texts map[string][]byte) (*syntax.Node, syntax.ErrorList) {
	o := env.options
	read := resolve.Options{
		Matcher: env.matcher, Project: o.Project, Vendored: o.Vendored, Stub: o.StubIncludes, Inputs: o.Inputs, Prefix: o.Prefix,
		Lookup: env.includeVariable,
		Exists: func(c resolve.PathClause) (bool, error) {
			return includeClause(env, c, env.files.exists)
		},
		Changed: func(c resolve.PathClause) (bool, error) {
			return includeClause(env, c, func(patterns []string, re *pathRegexp) (answer, error) {
				return env.files.changed(patterns, re, c.CompareTo)
			})
		},
	}
	var r *resolve.Result
	var errs syntax.ErrorList
	switch {
	case o.child == nil:
		r, errs = resolve.Resolve(o.Source, o.Data, read)
	case o.child.other != nil:
		read.Passed = o.child.inputs
		r, errs = resolve.Resolve(o.Source, o.Data, read)
		errs = append(errs, env.budget.read(r.Sources, o.child.pos)...)
	default:
		read.Artifact = o.child.artifact
		r, errs = resolve.Child(o.child.entries, read)
		errs = append(errs, env.budget.read(r.Sources, o.child.pos)...)
	}
	if env.files.matcher.Report() {
		errs = append(errs, tooManyPaths(syntax.Pos{}, "include:rules"))
	}
	maps.Copy(texts, r.Sources)
	env.stubs, env.leftOut, env.trace = r.Stubs, r.LeftOut, r.Trace
	env.sources = &sources{texts: texts, lines: map[string][]string{}}
	if o.child != nil && r.Root == nil && !errs.HasErrors() {
		errs = append(errs, &syntax.Error{Code: codeLeftOutChild}) // the caller tells it
	}
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
	return e.lookup(name)
}
