package script

import (
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// construct is something that a POSIX shell does not run as bash does: dash
// fails on it or prints something else.
type construct struct {
	offset     int
	what, help string
}

// earliest returns the construct that stands first; either may be nil.
func earliest(a, b *construct) *construct {
	if a == nil || b != nil && b.offset < a.offset {
		return b
	}
	return a
}

// survey is what a search of a tree, POSIX or bash, found.
type survey struct {
	text string
	// construct is the first one, nil for none.
	construct *construct
	// doubleParen: a nested subshell that bash may take for arithmetic.
	doubleParen bool
	// redirects: exec redirects the program's own files.
	redirects bool
	// foreign is the shell of Windows that the first command at foreignAt is for.
	foreign   string
	foreignAt int
	// tooDeep: the tree could not be searched.
	tooDeep *depthError

	// functions that the program defines, and variables that it sets.
	functions, variables map[string]bool
}

// suspect reports whether the tree must be parsed as bash to know.
func (sv *survey) suspect() bool { return sv.construct != nil || sv.doubleParen }

// newSurvey searches file, the tree of text. set holds variables that are set
// before the program begins.
func newSurvey(file *syntax.File, text string, set map[string]bool) *survey {
	sv := &survey{text: text, functions: map[string]bool{}, variables: set}
	sv.tooDeep = walk(file, func(n syntax.Node) {
		if f, ok := n.(*syntax.FuncDecl); ok && f.Name != nil {
			sv.functions[f.Name.Value] = true
		}
	})
	if sv.tooDeep == nil {
		walk(file, sv.visit)
	}
	return sv
}

func (sv *survey) add(pos syntax.Pos, what, help string) {
	sv.construct = earliest(sv.construct, &construct{offset(pos), what, help})
}

func (sv *survey) visit(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.Stmt:
		sv.statement(n)
	case *syntax.CallExpr:
		sv.call(n)
	case *syntax.DeclClause:
		sv.declaration(n)
	case *syntax.Redirect:
		sv.redirect(n)
	case *syntax.Word:
		sv.word(n)
	case *syntax.ParamExp:
		sv.parameter(n)
	case *syntax.Assign, *syntax.ArrayExpr, *syntax.SglQuoted, *syntax.DblQuoted, *syntax.ProcSubst, *syntax.ExtGlob:
		sv.value(n)
	case *syntax.ArithmExp, *syntax.BinaryArithm, *syntax.UnaryArithm:
		sv.arithmetic(n)
	default:
		sv.compound(n)
	}
}

func (sv *survey) statement(n *syntax.Stmt) {
	if call, ok := n.Cmd.(*syntax.CallExpr); ok && len(call.Args) == 1 && call.Args[0].Lit() == "exec" && len(n.Redirs) > 0 {
		sv.redirects = true
	}
}

// compound looks at commands with a grammar of their own.
func (sv *survey) compound(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.TestClause:
		sv.add(n.Left, `"[["`, helpTest)
	case *syntax.ArithmCmd:
		sv.add(n.Left, `"((...))" as a command`, "write [ $((...)) -ne 0 ], or assign with x=$((...))")
	case *syntax.Subshell:
		// The parser of POSIX takes ((x)) for a subshell in a subshell.
		sv.doubleParen = sv.doubleParen || strings.HasPrefix(sv.text[offset(n.Lparen):], "((")
	case *syntax.LetClause:
		sv.add(n.Let, `"let"`, "write x=$((...))")
	case *syntax.TimeClause:
		sv.add(n.Time, `"time" as a keyword`, "")
	case *syntax.CoprocClause:
		sv.add(n.Coproc, `"coproc"`, "")
	case *syntax.ForClause:
		sv.loop(n)
	case *syntax.FuncDecl:
		if n.RsrvWord {
			sv.add(n.Position, `"function"`, "write name() { ...; }")
		}
	case *syntax.CaseItem:
		if n.Op != syntax.Break {
			sv.add(n.OpPos, `"`+n.Op.String()+`" in case`, "")
		}
	case *syntax.BinaryCmd:
		if n.Op == syntax.PipeAll {
			sv.add(n.OpPos, `"|&"`, "write 2>&1 |")
		}
	}
}

func (sv *survey) loop(n *syntax.ForClause) {
	switch iter := n.Loop.(type) {
	case *syntax.CStyleLoop:
		sv.add(iter.Lparen, `"for ((...))"`, "write a while loop, or for i in $(seq ...)")
	case *syntax.WordIter:
		if n.Select {
			sv.add(n.ForPos, `"select"`, "")
		} else if n.Braces {
			sv.add(n.ForPos, "a for loop with braces", "write do ... done")
		}
		for _, w := range iter.Items {
			sv.braces(w)
		}
	}
}

func (sv *survey) redirect(n *syntax.Redirect) {
	switch n.Op {
	case syntax.RdrAll, syntax.AppAll:
		sv.add(n.OpPos, `"`+n.Op.String()+`"`, "write >file 2>&1")
	case syntax.WordHdoc:
		sv.add(n.OpPos, `"<<<"`, "write a here-document, or printf '%s\\n' ... |")
	case syntax.DplOut, syntax.DplIn:
		if to := n.Word.Lit(); to != "" && strings.Trim(to, "0123456789") != "" && to != "-" {
			sv.add(n.OpPos, `"`+n.Op.String()+`" before a file name`, "write >file 2>&1")
		}
	}
	if n.N != nil && strings.HasPrefix(n.N.Value, "{") {
		sv.add(n.N.Pos(), `"{name}>"`, "write the number of the file descriptor")
	}
}

// word looks at neighbouring parts: the parser of POSIX takes the dollar sign of
// $'...', $"..." and $[...] for text.
func (sv *survey) word(w *syntax.Word) {
	for i, part := range w.Parts[:max(0, len(w.Parts)-1)] {
		lit, ok := part.(*syntax.Lit)
		if !ok || !strings.HasSuffix(lit.Value, "$") || escaped(lit.Value) {
			continue
		}
		switch next := w.Parts[i+1].(type) {
		case *syntax.SglQuoted:
			sv.add(lit.End(), `"$'...'"`, "write $(printf '...')")
		case *syntax.DblQuoted:
			sv.add(lit.End(), `"$"..."" for translation`, "leave the dollar sign out")
		case *syntax.Lit:
			if strings.HasPrefix(next.Value, "[") {
				sv.add(lit.Pos(), `"$[...]"`, "write $((...))")
			}
		}
	}
}

// escaped reports whether a backslash stands before the last character of s that
// is not itself escaped.
func escaped(s string) bool {
	s = s[:len(s)-1]
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// sequence matches what stands between the braces of {1..9} or {a..z}.
var sequence = regexp.MustCompile(`^(?:-?\d+\.\.-?\d+|[A-Za-z]\.\.[A-Za-z])(?:\.\.-?\d+)?$`)

// braces looks for a brace expansion in the unquoted text of a word: braces with
// a comma between them, or a sequence.
func (sv *survey) braces(w *syntax.Word) {
	var open []bool // for each open brace, whether it has a comma
	for _, part := range w.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok {
			continue
		}
		last := len(lit.Value) // behind the last opening brace
		for i := 0; i < len(lit.Value); i++ {
			switch c := lit.Value[i]; {
			case c == '\\':
				i++
			case c == '{':
				open, last = append(open, false), i+1
			case c == ',' && len(open) > 0:
				open[len(open)-1] = true
			case c == '}' && len(open) > 0:
				if open[len(open)-1] || last <= i && sequence.MatchString(lit.Value[last:i]) {
					sv.add(w.Pos(), "brace expansion", "write the words out")
					return
				}
				open, last = open[:len(open)-1], len(lit.Value)
			}
		}
	}
}

// bashVariables are those that bash sets and dash does not.
var bashVariables = map[string]bool{
	"BASH": true, "BASHPID": true, "BASH_ARGC": true, "BASH_ARGV": true, "BASH_COMMAND": true, "BASH_LINENO": true,
	"BASH_REMATCH": true, "BASH_SOURCE": true, "BASH_SUBSHELL": true, "BASH_VERSINFO": true, "BASH_VERSION": true,
	"DIRSTACK": true, "EPOCHREALTIME": true, "EPOCHSECONDS": true, "EUID": true, "FUNCNAME": true, "GROUPS": true,
	"HOSTTYPE": true, "MACHTYPE": true, "OSTYPE": true, "PIPESTATUS": true, "RANDOM": true, "SECONDS": true,
	"SHELLOPTS": true, "SRANDOM": true, "UID": true,
}

func (sv *survey) parameter(n *syntax.ParamExp) {
	pos := n.Pos()
	switch {
	case n.Index != nil:
		sv.add(pos, "an array", "")
	case n.Excl || n.Names != 0:
		sv.add(pos, `"${!...}"`, "")
	case n.Slice != nil:
		sv.add(pos, `"${name:offset}"`, "cut the value with ${name#...} or ${name%...}")
	case n.Repl != nil:
		sv.add(pos, `"${name/text/other}"`, "use sed")
	case n.Exp != nil && n.Exp.Op >= syntax.UpperFirst:
		sv.add(pos, `"${name`+n.Exp.Op.String()+`}"`, "")
	case n.Param != nil && bashVariables[n.Param.Value] && !sv.variables[n.Param.Value] && !guarded(n):
		sv.add(pos, `"$`+n.Param.Value+`"`, "")
	}
}

// guarded reports whether the expansion says what to do without a value, as a
// program does that asks whether it runs in bash.
func guarded(n *syntax.ParamExp) bool {
	return n.Exp != nil && n.Exp.Op <= syntax.AssignUnsetOrNull
}

// value looks at assignments and at the parts of words that are not POSIX.
func (sv *survey) value(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.Assign:
		if n.Append {
			sv.add(n.Pos(), `"+="`, helpAppend)
		} else if n.Index != nil {
			sv.add(n.Pos(), "an array", "")
		}
	case *syntax.ArrayExpr:
		sv.add(n.Lparen, "an array", "")
	case *syntax.SglQuoted:
		if n.Dollar {
			sv.add(n.Left, `"$'...'"`, "write $(printf '...')")
		}
	case *syntax.DblQuoted:
		if n.Dollar {
			sv.add(n.Left, `"$"..."" for translation`, "leave the dollar sign out")
		}
	case *syntax.ProcSubst:
		sv.add(n.OpPos, `"`+n.Op.String()+`...)"`, "use a temporary file or a pipe")
	case *syntax.ExtGlob:
		sv.add(n.OpPos, `"`+n.Op.String()+`...)"`, "")
	}
}

func (sv *survey) arithmetic(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.ArithmExp:
		if n.Bracket {
			sv.add(n.Left, `"$[...]"`, "write $((...))")
		}
	case *syntax.BinaryArithm:
		if n.Op == syntax.Pow || n.Op == syntax.Comma || n.Op == syntax.PowAssgn {
			sv.add(n.OpPos, `"`+n.Op.String()+`" in arithmetic`, "")
		}
	case *syntax.UnaryArithm:
		if n.Op == syntax.Inc || n.Op == syntax.Dec {
			sv.add(n.OpPos, `"`+n.Op.String()+`" in arithmetic`, "write x=$((x + 1))")
		}
	}
}
