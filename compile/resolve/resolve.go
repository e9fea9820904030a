// Package resolve turns a pipeline file into the tree that jobs are decoded
// from, in GitLab's order: inputs are filled in, includes are merged, then
// extends and !reference are resolved. Bytes in, Node out.
//
// Read load.go for the way of one file, then include.go, inputs.go,
// interpolate.go, extends.go and reference.go. It reads files only through
// [Options].
package resolve

import (
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// Result is a resolved pipeline.
type Result struct {
	// Root holds neither include nor extends nor !reference. An entry whose extends
	// has an error is left as it was. Nil if nothing could be read.
	Root *syntax.Node
	// Sources are the texts of all files that were read, by the name that positions
	// give them.
	Sources map[string][]byte
	// Stubs are the places of the includes whose files are left out, and LeftOut the
	// jobs that are for that reason.
	Stubs   Stubs
	LeftOut []LeftOut

	included map[string]syntax.Pos
}

// includedHere is the note at the include of the file that a diagnostic is about.
const includedHere = "included here"

// maxTraced is how many includes of a chain are noted, the nearest first.
const maxTraced = 5

// Trace notes where the file of each diagnostic is included, if it is, and the files on
// the way to it are, unless that is noted.
func (r *Result) Trace(list syntax.ErrorList) {
	for _, e := range list {
		if slices.ContainsFunc(e.Notes, func(n syntax.Note) bool { return n.Msg == includedHere }) {
			continue
		}
		file := e.Pos.File
		for range maxTraced {
			at, ok := r.included[file]
			if !ok {
				break
			}
			e.Notes = append(e.Notes, syntax.Note{Pos: at, Msg: includedHere})
			file = at.File
		}
	}
}

// Resolve reads a pipeline file and resolves it.
func Resolve(name string, data []byte, o Options) (*Result, syntax.ErrorList) {
	l := newLoader(o)
	top := place{file: strings.TrimPrefix(name, o.Prefix), source: name, pos: syntax.Pos{File: name, Line: 1, Col: 1}, length: 1,
		inputs: commandInputs(o.Inputs), texts: true, help: "pass it with --input NAME=VALUE"}
	if o.Passed != nil {
		top.inputs, top.texts, top.help = o.Passed, false, "pass it with trigger:inputs"
	}
	l.path = []place{top}
	return l.resolve(l.load(name, data, top))
}

// Child reads and resolves the files of a child pipeline: entries are those of
// trigger:include, which are merged as those of include are (specification, section
// 28). Without any of them, which only Options.Stub allows, the root is nil.
func Child(entries *syntax.Node, o Options) (*Result, syntax.ErrorList) {
	l := newLoader(o)
	l.path = []place{{pos: entries.Pos}}
	return l.resolve(l.include(entries))
}

// resolve resolves what was loaded.
func (l *loader) resolve(root *syntax.Node) (*Result, syntax.ErrorList) {
	l.path = nil
	l.errs = distinct(l.errs)
	r := &Result{Root: root, Sources: l.sources, included: l.included}
	if root == nil || l.errs.HasErrors() {
		return r, l.errs
	}
	x := newExtender(root, &l.errs, &l.merger)
	x.stubs, r.Stubs = l.stubs, l.stubs
	r.Root = x.extendAll()
	if !l.errs.HasErrors() {
		r.Root = references(r.Root, &l.errs, l.stubs)
	}
	if !l.errs.HasErrors() {
		r.Root, r.LeftOut = l.stubs.leaveOut(r.Root, &l.errs)
	}
	return r, l.errs
}

// distinct drops diagnostics that are repeated because a file is included twice.
func distinct(list syntax.ErrorList) syntax.ErrorList {
	type fault struct {
		pos       syntax.Pos
		code, msg string
	}
	seen := make(map[fault]bool, len(list))
	return slices.DeleteFunc(list, func(e *syntax.Error) bool {
		f := fault{e.Pos, e.Code, e.Msg}
		again := seen[f] && e.Pos.IsValid()
		seen[f] = true
		return again
	})
}
