// Package compile turns a pipeline file into a [plan.Plan] and its scripts.
//
// The walk is Compile, one line a pass, in GitLab's own order. It decides
// everything that can be decided and knows nothing of containers. Its inputs
// are values: it reads no environment, clock or directory, so the same input
// gives the same bytes anywhere.
package compile

import (
	"io/fs"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/resolve"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// Options are the inputs of a compilation.
type Options struct {
	// Source is the pipeline file's name, for the plan and diagnostics.
	Source string
	// Data is its content.
	Data []byte
	// Ref is the branch or tag name; Tag says which.
	Ref string
	Tag bool
	// Event is the pipeline source, one of [Events]; empty: push.
	Event string
	// TargetBranch is the branch that a merge request is to be merged into; for the
	// event merge_request_event alone.
	TargetBranch string
	// Predefined are the predefined variables that git knows (CI_COMMIT_SHA, ...),
	// for rules to read. Those that follow from Ref, Tag and Event are made here.
	Predefined map[string]string
	// Given are variables from the command line; they beat those of the file.
	Given map[string]string
	// Lock has the digests of images, "sha256:...", by their normalised references with
	// a tag; nil: images are not locked. One that it lacks is warned of.
	Lock map[string]string
	// LockFile is the path in the project of the file that Lock was read from, where it
	// is not the usual one; it is recorded.
	LockFile string
	// DefaultImage is for jobs without any image; empty: python:3.11, the
	// article's default.
	DefaultImage string
	// Artifacts is "upstream" (also when empty: a job sees the artifacts of
	// everything upstream of its needs) or "needs" (GitLab's rule).
	Artifacts string
	// POSIX makes a script that is not POSIX an error.
	POSIX bool
	// Requests are what jobs need of the machine, by the command line.
	Requests []Request
	// Prefix stands before the names of the project's files in diagnostics and in the
	// source map, to tell them from those of others; empty of the plan's own project.
	Prefix string
	// Project is the project's tree, for files to include; it must not lead out of
	// the project. Nil: nothing can be included.
	Project fs.FS
	// Tree lists the project's files, for rules:exists. Nil: there are none.
	Tree func() ([]string, error)
	// Changes lists the files that differ from another ref, or from what the event
	// implies where that is empty, for rules:changes. Not known, or nil: every
	// rules:changes holds. An error says that the ref does not exist.
	Changes func(compareTo string) (paths []string, known bool, err error)
	// ChangesSince is the ref that Changes compares with by the caller's choice and
	// not by the event's; it is recorded.
	ChangesSince string
	// Inputs are values for the inputs that the pipeline file declares, JobInputs for
	// those of jobs; of one input the last counts.
	Inputs    map[string]string
	JobInputs []pipeline.InputValue
	// Vendored returns the copy of an included file that is not in the project; see
	// [resolve.Options].
	Vendored func(resolve.Location) (name string, data []byte, err error)
	// External returns another project by the path that trigger:project calls it, for
	// its pipeline to be compiled too; nil where it is not at hand. Nil: none is.
	External func(path string) (*External, error)
	// StubIncludes leaves out includes of which there is no copy, with a warning.
	StubIncludes bool
	// SkipUnsupported leaves out jobs whose scripts are for a shell of Windows.
	SkipUnsupported bool
	// Warnings say what becomes of warnings; without a rule they are reported.
	Warnings []WarningRule

	// Of a pipeline that another starts: the one above, its files, and which of Given are
	// values that nothing is expanded in any more.
	parent  *environment
	child   *childFiles
	literal map[string]bool
}

// Result is what a compilation makes.
type Result struct {
	Plan *plan.Plan
	// Scripts by path relative to the plan's directory.
	Scripts map[string][]byte
	Map     *plan.SourceMap
}

// Compile compiles a pipeline. The result is nil if the list holds an error; it
// may hold warnings beside a result. sources are the texts of the files that were
// read, by the names that diagnostics use.
func Compile(o Options) (result *Result, found syntax.ErrorList, sources map[string][]byte) {
	sources = map[string][]byte{o.Source: o.Data}
	result, found = walk(o, sources)
	return result, found, sources
}

func walk(o Options, sources map[string][]byte) (*Result, syntax.ErrorList) {
	result, found := build(o, sources)
	found = judge(found, o.Warnings, sources)
	return pass(&found, func() (*Result, syntax.ErrorList) { return finish(result, found, o) }), found
}

// build makes one pipeline and those that it starts.
func build(o Options, sources map[string][]byte) (*Result, syntax.ErrorList) {
	var found syntax.ErrorList
	env := pass(&found, func() (*environment, syntax.ErrorList) { return newEnvironment(o) })
	root := pass(&found, func() (*syntax.Node, syntax.ErrorList) { return resolveFiles(env, sources) })
	pass(&found, func() (struct{}, syntax.ErrorList) { return warnCredentials(root, env.sources) })
	pipe := pass(&found, func() (*pipeline.Pipeline, syntax.ErrorList) { return decode(root, env) })
	chosen := pass(&found, func() (*selection, syntax.ErrorList) { return selectJobs(pipe, env) })
	pass(&found, func() (struct{}, syntax.ErrorList) { return skipUnsupported(pipe, chosen, env) })
	edges := pass(&found, func() (*graph, syntax.ErrorList) { return newGraph(pipe, chosen) })
	jobs := pass(&found, func() (*lowered, syntax.ErrorList) { return lower(pipe, chosen, edges, env) })
	result := pass(&found, func() (*Result, syntax.ErrorList) { return generate(jobs, env) })
	if env != nil && env.trace != nil {
		env.trace(found)
	}
	return pass(&found, func() (*Result, syntax.ErrorList) { return addChildren(result, jobs, env) }), found
}
