package pipeline

import "github.com/cic-ci/cic/compile/syntax"

// Decode makes the model from a resolved tree: types, defaults, parallel jobs.
func Decode(root *syntax.Node) (*Pipeline, syntax.ErrorList) { panic("unimplemented") }
