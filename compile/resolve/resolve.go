// Package resolve turns a pipeline file's tree into the one that jobs are
// decoded from: extends is resolved here; include, inputs and !reference have
// their place here. Node in, Node out.
package resolve

import "github.com/cic-ci/cic/compile/syntax"

// Resolve returns the tree with every extends resolved. It does not change root.
func Resolve(root *syntax.Node) (*syntax.Node, syntax.ErrorList) { panic("unimplemented") }
