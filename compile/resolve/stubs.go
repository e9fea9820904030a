package resolve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// LeftOut is a job of which not enough is known, as files that may hold the rest are
// left out on demand.
type LeftOut struct {
	Name, Stage string
	Pos         syntax.Pos
}

// Stubs are the places of the includes that are left out; what is missing may be in
// any of their files, so that it is no error.
type Stubs []syntax.Pos

// Notes name the places, not all of many.
func (s Stubs) Notes() (notes []syntax.Note) {
	const most = 3
	places := slices.Compact(slices.Clone(s)) // an include of several files is one
	if len(places) > most {
		notes = append(notes, syntax.Note{Msg: fmt.Sprintf("files of %d includes are left out, of which these are the first", len(places))})
	}
	for _, at := range places[:min(len(places), most)] {
		notes = append(notes, syntax.Note{Pos: at, Msg: "left out here"})
	}
	return notes
}

// excuse makes a warning of an error about what is missing, if a file is left out.
func (s Stubs) excuse(e *syntax.Error) {
	if len(s) == 0 {
		return
	}
	e.Severity, e.Code, e.Label, e.Help = syntax.SeverityWarning, CodeStubbed, "", ""
	e.Msg += "; it may be in a file that is left out"
	e.Notes = append(e.Notes, s.Notes()...)
}

// leaveOut takes the jobs out of the tree that have nothing to run: their scripts may
// be in files that are left out.
func (s Stubs) leaveOut(root *syntax.Node, errs *syntax.ErrorList) (*syntax.Node, []LeftOut) {
	if len(s) == 0 {
		return root, nil
	}
	var out []LeftOut
	pairs := slices.DeleteFunc(slices.Clone(root.Pairs), func(p syntax.Pair) bool {
		name := p.Key.Value
		if strings.HasPrefix(name, ".") || slices.Contains(notJobs, name) || p.Value.Kind != syntax.Mapping || runs(p.Value) {
			return false
		}
		job := LeftOut{Name: name, Stage: "test", Pos: p.Key.Pos}
		if stage := p.Value.Get("stage"); stage != nil && stage.Kind == syntax.String {
			job.Stage = stage.Value
		}
		out = append(out, job)
		e := errs.Warn(CodeStubbed, p.Key.Pos, len([]rune(p.Key.Raw)), fmt.Sprintf("job %q is left out: what it runs may be in a file that is left out", name))
		e.Notes, e.Job = s.Notes(), name
		return true
	})
	return syntax.NewMapping(root.Pos, pairs), out
}

// runs reports whether a job has something to run.
func runs(job *syntax.Node) bool {
	for _, key := range []string{"script", "run", "trigger"} {
		n := job.Get(key)
		if n != nil && n.Kind != syntax.Null && (n.Kind != syntax.Sequence || len(n.Items) > 0) {
			return true
		}
	}
	return false
}
