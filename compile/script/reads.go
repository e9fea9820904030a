package script

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// shellVariables are variables that a shell or its container always sets.
var shellVariables = map[string]bool{
	"HOME": true, "HOSTNAME": true, "IFS": true, "LINENO": true, "OLDPWD": true, "OPTARG": true, "OPTERR": true, "OPTIND": true,
	"PATH": true, "PPID": true, "PS1": true, "PS2": true, "PS4": true, "PWD": true, "REPLY": true, "SHLVL": true, "_": true,
}

// usage is which variables a tree reads and sets. What a function or a subshell
// sets counts as set everywhere: a name in reads should be one that must come
// from outside.
type usage struct{ read, set map[string]bool }

// reads returns the variables that the tree reads and neither sets itself nor
// finds in exported; sorted. The tree is one that a survey could search.
func reads(file *syntax.File, exported map[string]bool) []string {
	u := usage{read: map[string]bool{}, set: map[string]bool{}}
	walk(file, u.visit)
	var names []string
	for name := range u.read {
		if !u.set[name] && !exported[name] && !shellVariables[name] && !bashVariables[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (u usage) visit(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.ParamExp:
		u.parameter(n)
	case *syntax.ArithmExp:
		u.arithmetic(n.X)
	case *syntax.ArithmCmd:
		u.arithmetic(n.X)
	case *syntax.LetClause:
		for _, x := range n.Exprs {
			u.arithmetic(x)
		}
	case *syntax.CStyleLoop:
		u.arithmetic(n.Init)
		u.arithmetic(n.Cond)
		u.arithmetic(n.Post)
	case *syntax.WordIter:
		u.assign(n.Name.Value)
	case *syntax.Redirect:
		if n.N != nil {
			u.assign(strings.Trim(n.N.Value, "{}"))
		}
	case *syntax.CallExpr:
		u.call(n)
	case *syntax.DeclClause:
		// export NAME and readonly NAME set nothing, local NAME does.
		sets := n.Variant.Value != "export" && n.Variant.Value != "readonly"
		for _, a := range n.Args {
			if a.Name != nil && (sets || !a.Naked) {
				u.assign(a.Name.Value)
			}
		}
	}
}

func (u usage) assign(name string) {
	if syntax.ValidName(name) {
		u.set[name] = true
	}
}

func (u usage) parameter(n *syntax.ParamExp) {
	if n.Param == nil || !syntax.ValidName(n.Param.Value) || n.Names != 0 {
		return
	}
	u.read[n.Param.Value] = true
	if n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) {
		u.set[n.Param.Value] = true
	}
}

// arithmetic handles an arithmetic expression, where a bare name is a variable;
// x may be nil. Expansions in it are visited on their own.
func (u usage) arithmetic(x syntax.ArithmExpr) {
	switch x := x.(type) {
	case *syntax.Word:
		if name := x.Lit(); syntax.ValidName(name) {
			u.read[name] = true
		}
	case *syntax.ParenArithm:
		u.arithmetic(x.X)
	case *syntax.UnaryArithm:
		u.arithmetic(x.X)
		if x.Op == syntax.Inc || x.Op == syntax.Dec {
			u.arithmeticTarget(x.X)
		}
	case *syntax.BinaryArithm:
		u.arithmetic(x.X)
		u.arithmetic(x.Y)
		switch x.Op {
		case syntax.Assgn, syntax.AddAssgn, syntax.SubAssgn, syntax.MulAssgn, syntax.QuoAssgn, syntax.RemAssgn,
			syntax.AndAssgn, syntax.OrAssgn, syntax.XorAssgn, syntax.ShlAssgn, syntax.ShrAssgn:
			u.arithmeticTarget(x.X)
		}
	}
}

func (u usage) arithmeticTarget(x syntax.ArithmExpr) {
	if w, ok := x.(*syntax.Word); ok {
		u.assign(w.Lit())
	}
}

// call handles a simple command. Assignments in front of a command are seen by
// that command alone, so they set nothing.
func (u usage) call(n *syntax.CallExpr) {
	if len(n.Args) == 0 {
		for _, a := range n.Assigns {
			if a.Name != nil {
				u.assign(a.Name.Value)
			}
		}
		return
	}
	args := n.Args[1:]
	switch n.Args[0].Lit() {
	case "export", "readonly":
		for _, w := range args {
			if name, ok := assignedName(w); ok {
				u.assign(name)
			}
		}
	case "local", "declare", "typeset":
		for _, w := range args {
			if name, ok := assignedName(w); ok {
				u.assign(name)
			} else {
				u.assign(w.Lit())
			}
		}
	case "read", "unset", "mapfile", "readarray":
		for _, w := range args {
			u.assign(w.Lit())
		}
	case "getopts":
		if len(args) > 1 {
			u.assign(args[1].Lit())
		}
	case "printf":
		if len(args) > 1 && args[0].Lit() == "-v" {
			u.assign(args[1].Lit())
		}
	}
}

// assignedName returns the name of an argument NAME=value.
func assignedName(w *syntax.Word) (string, bool) {
	lit, ok := w.Parts[0].(*syntax.Lit)
	if !ok {
		return "", false
	}
	name, _, ok := strings.Cut(lit.Value, "=")
	return name, ok
}
