package compile

import "github.com/cic-ci/cic/compile/syntax"

// diagnostics collects what a pass finds, at each place each kind of finding
// once: jobs that share a node through extends, an anchor, default or parallel
// share its faults too, and the first of them stands for all.
type diagnostics struct {
	list syntax.ErrorList
	seen map[diagnosticKey]bool
}

type diagnosticKey struct {
	code string
	pos  syntax.Pos
	msg  string // of a finding without a place
}

func (d *diagnostics) report(e *syntax.Error) {
	key := diagnosticKey{code: e.Code, pos: e.Pos}
	if !e.Pos.IsValid() {
		key.msg = e.Msg
	}
	if d.seen[key] {
		return
	}
	if d.seen == nil {
		d.seen = map[diagnosticKey]bool{}
	}
	d.seen[key] = true
	d.list = append(d.list, e)
}

// pass runs one pass of the walk unless an earlier one found errors.
func pass[T any](all *syntax.ErrorList, run func() (T, syntax.ErrorList)) T {
	var none T
	if all.HasErrors() {
		return none
	}
	result, found := run()
	*all = append(*all, found...)
	return result
}
