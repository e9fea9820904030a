package script

import (
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

const (
	helpTest   = "write [ ... ], with = and && between several"
	helpAppend = "write name=$name..."
)

// bashCommands are commands that dash does not have, with what to write instead.
var bashCommands = map[string]string{
	"[[": helpTest, "builtin": "", "caller": "", "compgen": "", "complete": "", "coproc": "", "declare": "write name=value",
	"dirs": "", "disown": "", "enable": "", "let": "write x=$((...))", "mapfile": "write a while read loop",
	"popd": "write (cd dir && ...)", "pushd": "write (cd dir && ...)", "readarray": "write a while read loop", "select": "",
	"shopt": "", "source": `write "."`, "time": "", "typeset": "write name=value",
}

// options are the letters of the options that builtins have in every shell.
var options = map[string]string{
	"alias": "", "cd": "LP", "command": "pvV", "exec": "", "export": "p", "hash": "r", "local": "", "pwd": "LP", "read": "r",
	"readonly": "p", "type": "", "ulimit": "acdfHlmnprsStvw", "umask": "S", "unset": "fv", "wait": "",
}

// setOptions are the names that set -o takes in every shell.
var setOptions = map[string]bool{
	"allexport": true, "errexit": true, "ignoreeof": true, "monitor": true, "noclobber": true, "noexec": true, "noglob": true,
	"nolog": true, "notify": true, "nounset": true, "verbose": true, "vi": true, "xtrace": true,
}

var (
	// assignLike matches what POSIX takes for a command and bash for an assignment.
	assignLike = regexp.MustCompile(`^[A-Za-z_]\w*(?:\[.*\]\+?|\+)=`)
	echoOption = regexp.MustCompile(`^-[neE]*[eE][neE]*$`)
)

// call looks at a simple command; names that the program defines as functions are
// its own business.
func (sv *survey) call(n *syntax.CallExpr) {
	for _, w := range n.Args {
		sv.braces(w)
	}
	if len(n.Args) == 0 {
		return
	}
	pos, name := n.Args[0].Pos(), n.Args[0].Lit()
	if shell := sv.foreignCall(n, name); sv.foreign == "" && shell != "" && !sv.functions[name] {
		sv.foreign, sv.foreignAt = shell, offset(pos)
	}
	if name == "" || sv.functions[name] {
		return
	}
	if help, ok := bashCommands[name]; ok {
		sv.add(pos, `"`+name+`"`, help)
		return
	}
	if m := assignLike.FindString(name); m == "" {
		sv.arguments(name, n.Args[1:])
	} else if strings.Contains(m, "[") {
		sv.add(pos, "an array", "")
	} else {
		sv.add(pos, `"+="`, helpAppend)
	}
}

// assignsEnv recognises $env:NAME = value, an assignment of PowerShell.
func assignsEnv(n *syntax.CallExpr) bool {
	parts := n.Args[0].Parts
	if len(n.Args) < 2 || n.Args[1].Lit() != "=" || len(parts) < 2 {
		return false
	}
	param, isParam := parts[0].(*syntax.ParamExp)
	lit, isLit := parts[1].(*syntax.Lit)
	return isParam && isLit && param.Param != nil && strings.EqualFold(param.Param.Value, "env") && strings.HasPrefix(lit.Value, ":")
}

// declaration looks at declare, local, export and the like in a tree of bash; in
// one of POSIX they are simple commands.
func (sv *survey) declaration(n *syntax.DeclClause) {
	name := n.Variant.Value
	if help, ok := bashCommands[name]; ok {
		sv.add(n.Variant.Pos(), `"`+name+`"`, help)
		return
	}
	var args []*syntax.Word
	for _, a := range n.Args {
		if a.Name != nil {
			break
		}
		args = append(args, a.Value)
	}
	sv.options(name, args)
}

// arguments looks at the arguments of builtins that differ between shells.
func (sv *survey) arguments(name string, args []*syntax.Word) {
	switch name {
	case "[", "test":
		sv.test(args)
	case "echo":
		if len(args) > 0 && echoOption.MatchString(args[0].Lit()) {
			sv.add(args[0].Pos(), `"echo `+args[0].Lit()+`"`, "write printf")
		}
	case "printf":
		sv.printf(args)
	case "set":
		sv.set(args)
	case "trap":
		for _, w := range args[min(1, len(args)):] {
			if s := w.Lit(); s == "ERR" || s == "DEBUG" || s == "RETURN" || strings.HasPrefix(s, "SIG") {
				sv.add(w.Pos(), `"`+s+`" in trap`, signalHelp(s))
			}
		}
	case "kill":
		for _, w := range args {
			if s := w.Lit(); strings.HasPrefix(strings.TrimPrefix(s, "-"), "SIG") {
				sv.add(w.Pos(), `"`+s+`" in kill`, signalHelp(s))
			}
		}
	default:
		sv.options(name, args)
	}
}

func signalHelp(name string) string {
	if short := strings.Replace(name, "SIG", "", 1); short != name {
		return "write " + short
	}
	return ""
}

// options looks for option letters of a builtin that not every shell has.
func (sv *survey) options(name string, args []*syntax.Word) {
	letters, known := options[name]
	if !known {
		return
	}
	for _, w := range args {
		s := w.Lit()
		if len(s) < 2 || s[0] != '-' || s == "--" {
			return
		}
		if i := strings.IndexFunc(s[1:], func(r rune) bool { return !strings.ContainsRune(letters, r) }); i >= 0 {
			sv.add(w.Pos(), `"`+name+" "+s+`"`, "")
			return
		}
	}
}

func (sv *survey) test(args []*syntax.Word) {
	for i, w := range args {
		switch s := w.Lit(); {
		case s == "==":
			sv.add(w.Pos(), `"==" in [ ]`, "write =")
		// -v is the operator where it stands before a single operand.
		case s == "-v" && len(args) >= i+2 && (i == 0 || args[i-1].Lit() == "!") && (len(args) == i+2 || args[i+2].Lit() == "]"):
			sv.add(w.Pos(), `"-v" in [ ]`, `write [ -n "${name+x}" ]`)
		}
	}
}

// set looks at option names such as pipefail, which dash refuses, and letters.
func (sv *survey) set(args []*syntax.Word) {
	for i := 0; i < len(args); i++ {
		w := args[i]
		s := w.Lit()
		if len(s) < 2 || s[0] != '-' && s[0] != '+' || s == "--" {
			return
		}
		if strings.Trim(s[1:], "abCefhmnouvx") != "" {
			sv.add(w.Pos(), `"set `+s+`"`, "")
			return
		}
		if !strings.HasSuffix(s, "o") || i+1 == len(args) {
			continue
		}
		i++
		if o := args[i].Lit(); o == "pipefail" {
			sv.add(args[i].Pos(), `"set -o pipefail"`, "leave it out: it is on already where the shell has it")
		} else if o != "" && !setOptions[o] {
			sv.add(args[i].Pos(), `"set -o `+o+`"`, "")
		}
	}
}

func (sv *survey) printf(args []*syntax.Word) {
	if len(args) == 0 {
		return
	}
	if args[0].Lit() == "-v" {
		sv.add(args[0].Pos(), `"printf -v"`, "write name=$(printf ...)")
		return
	}
	format := strings.ReplaceAll(constant(args[0]), "%%", "")
	for _, d := range []string{"%q", "%("} {
		if strings.Contains(format, d) {
			sv.add(args[0].Pos(), `"`+d+`" in printf`, "")
			return
		}
	}
}

// constant returns the text of a word without expansions, "" for another.
func constant(w *syntax.Word) string {
	var b strings.Builder
	for _, part := range w.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			b.WriteString(part.Value)
		case *syntax.SglQuoted:
			b.WriteString(part.Value)
		case *syntax.DblQuoted:
			b.WriteString(constant(&syntax.Word{Parts: part.Parts}))
		default:
			return ""
		}
	}
	return b.String()
}
