package script

import (
	"errors"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// The shells of Windows, whose programs are recognised and refused.
const (
	powerShell   = "PowerShell"
	commandShell = "cmd.exe"
)

// Foreign names the shell of Windows that commands are for, and where that shows;
// empty if they are for none, or for a shell at all.
func Foreign(commands []string) (shell string, at *Error) {
	src, err := newSource(commands)
	if err != nil {
		return "", nil
	}
	if _, err := src.parse(nil); errors.As(err, &at) && at.Foreign != "" {
		return at.Foreign, at
	}
	return "", nil
}

// Verbs of PowerShell's cmdlets, whose names are like no other command's.
const cmdlet = `(?:Add|Clear|Compress|Convert(?:To|From)|Copy|Disable|Enable|Expand|Export|ForEach|Format|Get|Group|Import|` +
	`Install|Invoke|Join|Measure|Move|New|Out|Pop|Push|Read|Register|Remove|Rename|Resolve|Select|Set|Sort|Split|Start|Stop|` +
	`Test|Uninstall|Unregister|Update|Wait|Where|Write)-[A-Z][A-Za-z]+`

var (
	powerShellName = regexp.MustCompile(`^` + cmdlet + `$`)
	powerShellText = regexp.MustCompile(`\b` + cmdlet + `\b|\$(?i:env):\w`)
	// What PowerShell reads and no shell does: the call operator before a program of
	// Windows, a static member, a condition on a variable with a brace behind it. An
	// awk program in quotes can look like that.
	powerShellForm = regexp.MustCompile(`(?mi)^[ \t(]*&[ \t].*\.(?:ps1|exe|bat|cmd)\b|^[ \t(]*\[[a-z][\w.]*\]::\w|` +
		`^[ \t}]*(?:if|elseif|foreach|while|switch)[ \t]*\(.*\$.*\)[ \t]*\{`)
	// What begins a line of a batch file and of no shell program.
	commandShellText = regexp.MustCompile(`(?mi)^[ \t]*(?:@(?:echo[ \t]+off|call|rem)\b|(?:setlocal|endlocal|xcopy|robocopy)\b|` +
		`rem[ \t]|call[ \t]+\S+\.(?:bat|cmd)\b|if[ \t]+(?:not[ \t]+)?(?:exist|errorlevel|defined)[ \t]|` +
		`if[ \t]+"?%[a-z_]\w*%|for[ \t]+(?:/[a-z][ \t]|%%?[a-z][ \t]+in\b))`)
)

// commandShellCommands are commands that only cmd.exe has, or Windows alone.
var commandShellCommands = map[string]bool{"setlocal": true, "endlocal": true, "xcopy": true, "robocopy": true, "@echo": true}

// foreignText recognises a text that no shell of Unix can read.
func foreignText(text string) (at int, shell string) {
	if m := powerShellText.FindStringIndex(text); m != nil {
		return m[0], powerShell
	}
	if m := commandShellText.FindStringIndex(text); m != nil {
		start := text[m[0]:m[1]]
		return m[0] + len(start) - len(strings.TrimLeft(start, " \t")), commandShell
	}
	return 0, ""
}

// foreignForm recognises a text of PowerShell by its grammar, which is to be asked
// only of a text that no shell takes.
func foreignForm(text string) (at int, shell string) {
	m := powerShellForm.FindStringIndex(text)
	if m == nil {
		return 0, ""
	}
	start := text[m[0]:m[1]]
	return m[0] + len(start) - len(strings.TrimLeft(start, " \t")), powerShell
}

// foreignCall recognises a command of another shell, which that program does not
// define.
func (sv *survey) foreignCall(n *syntax.CallExpr, name string) string {
	word := strings.ToLower(name)
	switch {
	case powerShellName.MatchString(name) || assignsEnv(n):
		return powerShell
	case commandShellCommands[word]:
		return commandShell
	case word == "call" && len(n.Args) > 1:
		target := strings.ToLower(n.Args[1].Lit())
		if strings.HasSuffix(target, ".bat") || strings.HasSuffix(target, ".cmd") {
			return commandShell
		}
	}
	return ""
}

func (s *source) foreignError(at int, shell string) *Error {
	e := s.errorAt(at, "this looks like "+shell+", which is not supported",
		"write the commands for sh or bash, or leave such jobs out with --skip-unsupported")
	e.Foreign = shell
	return e
}
