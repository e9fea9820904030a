// Package resolve turns a pipeline file's tree into the one that jobs are
// decoded from: extends is resolved here; include, inputs and !reference have
// their place here. Node in, Node out.
package resolve

import "github.com/cic-ci/cic/compile/syntax"

// Resolve returns the tree with every extends resolved and without the extends
// keys (specification, section 6.1). It does not change root, but shares nodes
// with it. An entry whose extends has an error is left as it was.
//
// Include and !reference are refused, each with its position.
func Resolve(root *syntax.Node) (*syntax.Node, syntax.ErrorList) {
	if root == nil || root.Kind != syntax.Mapping {
		return root, nil
	}
	var errs syntax.ErrorList
	refuse(root, &errs)
	x := newExtender(root, &errs)
	return x.extendAll(), errs
}

// refuse reports what this package does not resolve yet.
func refuse(root *syntax.Node, errs *syntax.ErrorList) {
	if include := root.Get("include"); include != nil && include.Kind != syntax.Null {
		errs.Add(CodeInclude, root.GetKey("include").Pos, len("include"), "include is not supported yet").
			Help = "put the included content into this file"
	}
	refuseReferences(root, map[*syntax.Node]bool{}, errs)
}

// refuseReferences reports each !reference below n. A node that aliases share is
// looked at once.
func refuseReferences(n *syntax.Node, seen map[*syntax.Node]bool, errs *syntax.ErrorList) {
	if n.IsScalar() || seen[n] {
		return
	}
	seen[n] = true
	if n.Kind == syntax.Reference {
		errs.Add(CodeReference, n.Pos, 1, "!reference is not supported yet").
			Help = "use extends, or an anchor and an alias"
		return
	}
	for _, pair := range n.Pairs {
		refuseReferences(pair.Value, seen, errs)
	}
	for _, item := range n.Items {
		refuseReferences(item, seen, errs)
	}
}
