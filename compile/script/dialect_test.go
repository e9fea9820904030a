package script

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// constructs are programs that need bash, with how the construct is named. Each
// does something else in dash than in bash, which is why it is in the list.
var constructs = []struct{ text, what string }{
	{`[[ a == a && b == b ]] && echo yes`, `"[["`},
	{`[[ ab =~ ^(a|b)+$ ]] && echo yes`, `"[["`},
	{`source /dev/null && echo yes`, `"source"`},
	{`declare x=1; echo $x`, `"declare"`},
	{`typeset x=1; echo $x`, `"typeset"`},
	{`declare -A m=([a]=b); echo ${m[a]}`, `"declare"`},
	{`f() { local -r x=1; echo $x; }; f`, `"local -r"`},
	{`a=(1 2); echo ${a[1]}`, "an array"},
	{`a[1]=2; echo ${a[1]}`, "an array"},
	{`x=1; x+=2; echo $x`, `"+="`},
	{`export x=(1); echo $x`, "an array"},
	{`cat <<< x`, `"<<<"`},
	{`cat <(echo x)`, `"<(...)"`},
	{`echo x > >(cat)`, `">(...)"`},
	{`x=abc; echo ${x//b/c}`, `"${name/text/other}"`},
	{`x=abc; echo "a${x/b/c}"`, `"${name/text/other}"`},
	{`x=abc; echo ${x:1:2}`, `"${name:offset}"`},
	{`x=abc; echo ${x^^}`, `"${name^^}"`},
	{`x=abc; echo ${x@Q}`, `"${name@}"`},
	{`x=abc; y=x; echo ${!y}`, `"${!...}"`},
	{`echo x &>/dev/null; echo y`, `"&>"`},
	{`echo x &>>/dev/null; echo y`, `"&>>"`},
	{`echo x >&/dev/null; echo y`, `">&" before a file name`},
	{`echo x |& cat`, `"|&"`},
	{`exec {fd}>&1; echo x`, `"{name}>"`},
	{`echo $'a\x41'`, `"$'...'"`},
	{`echo $"a"`, `"$"..."" for translation`},
	{`echo $[1+2]`, `"$[...]"`},
	{`function f { echo x; }; f`, `"function"`},
	{`function f() { echo x; }; f`, `"function"`},
	{`((1 + 1)) && echo yes`, `"((...))" as a command`},
	{`for ((i = 0; i < 2; i++)); do echo $i; done`, `"for ((...))"`},
	{`for i in {1..3}; do echo $i; done`, "brace expansion"},
	{`echo a{b,c}d`, "brace expansion"},
	{`echo {x}{b{c,d}e}`, "brace expansion"},
	{`x=1; echo {$x,"2"}`, "brace expansion"},
	{`echo {a..c}{`, "brace expansion"},
	{`i=1; echo $((i++)) $i`, `"++" in arithmetic`},
	{`i=1; echo $((--i + 2 ** 3))`, `"--" in arithmetic`},
	{`echo $((2 ** 3))`, `"**" in arithmetic`},
	{`echo $((1, 2))`, `"," in arithmetic`},
	{`let x=1; echo $x`, `"let"`},
	{`echo -e "a\tb"`, `"echo -e"`},
	{`echo -ne "a\n"`, `"echo -ne"`},
	{`printf '%q\n' 'a b'`, `"%q" in printf`},
	{`printf -v x a; echo $x`, `"printf -v"`},
	{`printf "%(%Y)T" 0`, `"%(" in printf`},
	{`read -s x || echo $?`, `"read -s"`},
	{`read -ra x || echo $?`, `"read -ra"`},
	{`[ a == a ] && echo yes`, `"==" in [ ]`},
	{`test a == a && echo yes`, `"==" in [ ]`},
	{`x=1; [ -v x ] && echo yes`, `"-v" in [ ]`},
	{`x=1; if [ ! -v x ]; then echo no; else echo yes; fi`, `"-v" in [ ]`},
	{`set -o pipefail; echo yes`, `"set -o pipefail"`},
	{`set -euo pipefail; echo yes`, `"set -o pipefail"`},
	{`set -o posix; echo yes`, `"set -o posix"`},
	{`trap 'echo t' ERR; false`, `"ERR" in trap`},
	{`trap 'echo t' INT SIGTERM; echo yes`, `"SIGTERM" in trap`},
	{`trap : TERM; kill -SIGTERM $$; echo yes`, `"-SIGTERM" in kill`},
	{`kill -s SIGCONT $$; echo yes`, `"SIGCONT" in kill`},
	{`pushd / >/dev/null; pwd`, `"pushd"`},
	{`shopt -s nullglob; echo yes`, `"shopt"`},
	{`mapfile -t x </dev/null; echo yes`, `"mapfile"`},
	{`type -t echo`, `"type -t"`},
	{`f() { echo x; }; export -f f; bash -c f`, `"export -f"`},
	{`true & wait -n; echo yes`, `"wait -n"`},
	{`exec -a x true`, `"exec -a"`},
	{`ulimit -u >/dev/null; echo yes`, `"ulimit -u"`},
	{`builtin echo yes`, `"builtin"`},
	{`coproc true; echo yes`, `"coproc"`},
	{`time true; echo yes`, `"time" as a keyword`},
	{`case x in x) echo a ;;& *) echo b ;; esac`, `";;&" in case`},
	{`case x in x) echo a ;& *) echo b ;; esac`, `";&" in case`},
	{`for i in a; { echo $i; }`, "a for loop with braces"},
	{`echo "[${BASH_SOURCE##*/}]"`, `"$BASH_SOURCE"`},
	{`[ -n "$RANDOM" ] && echo yes`, `"$RANDOM"`},
	{`false | true; echo ${PIPESTATUS[0]}`, "an array"},
	{`echo !(x)`, `"!(...)"`},
	{"f-x() { echo y; }; f-x", `this: invalid func name`},
}

func TestConstructs(t *testing.T) {
	for _, tt := range constructs {
		r, err := Generate(Program{Commands: []string{"true", tt.text}}, Options{})
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		want := tt.what + " is not POSIX shell"
		if msg, ok := strings.CutPrefix(tt.what, "this: "); ok {
			want = "this is not POSIX shell: " + msg
		}
		if r.Shell != "bash" || r.Construct == nil || r.Construct.Msg != want {
			t.Errorf("%s: shell %q, construct %v, want %q", tt.text, r.Shell, r.Construct, want)
		} else if r.Construct.Command != 1 {
			t.Errorf("%s: construct in command %d", tt.text, r.Construct.Command)
		}
		_, err = Generate(Program{Commands: []string{"true", tt.text}}, Options{POSIX: true})
		var e *Error
		if !errors.As(err, &e) || e.Msg != want {
			t.Errorf("%s: under POSIX %v, want %q", tt.text, err, want)
		}
	}
}

// TestConstructsDiffer holds the list against the shells: what is in it does
// something else in dash than in bash.
func TestConstructsDiffer(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the programs run in POSIX shells, which Windows has not")
	}
	requireShell(t, []string{"dash"})
	requireShell(t, []string{"bash"})
	for _, tt := range constructs {
		dashOut, dashCode, dashErr := run(t, []string{"dash"}, []byte(tt.text))
		bashOut, bashCode, bashErr := run(t, []string{"bash"}, []byte(tt.text))
		if dashOut == bashOut && dashCode == bashCode && dashErr == bashErr {
			t.Errorf("%s: dash and bash agree on %q, exit code %d", tt.text, dashOut, dashCode)
		}
	}
}

// posixTexts look like something for bash and are not.
var posixTexts = []string{
	`echo "[[ a == b ]]" '[[' '{a,b}' "{a,b}" \{a,b\}`,
	`f() { local x=1 y; x=2; echo $x; }; f`,
	`export A=1 B; readonly C=2; echo $A$C; export -p >/dev/null`,
	`echo $((1 + 2 * (3 - 1) % 2)) $((1 < 2 ? 5 : 6)); x=1; echo $((x += 2))`,
	`x=abc; echo ${x%c} ${x##a} ${#x} ${x:-d} ${y:=e} ${x:+f}`,
	`((echo a; echo b); echo c)`,
	`( (echo a); echo b)`,
	`n=2; echo {} @{1} a{b} { {..} {ab..cd} {1..$n} , } {a}, \{1..2}`,
	`[ a = a ] && [ "$X" != -v ] && [ a != "==" ] && echo yes`,
	`find . -name x -exec echo {} \;`,
	`set -- a b; echo $1 "$@" $#; set -eu; set +x; set -o nounset; shift`,
	`trap 'echo bye' EXIT INT TERM; trap - INT`,
	`kill -0 $$; kill -s CONT $$; kill -CONT $$`,
	`echo a >&2; echo b 2>&1; exec 3>&1; echo c >&3; exec 3>&-; fd=1; echo d >&$fd`,
	`source() { echo mine; }; source x`,
	`printf '%s %% %d\n' %q 3`,
	`echo "a$" '$' a$ "$"'x' \$'x'`,
	`cat <<-EOF
	a
	EOF`,
	`while read -r x; do echo $x; done <<EOF
a
EOF`,
	`command -v echo >/dev/null; cd -P . && pwd -P >/dev/null; umask -S >/dev/null; ulimit -n >/dev/null; unset -v A; type echo >/dev/null`,
	`if [ -n "${BASH_VERSION-}" ]; then :; fi; RANDOM=4; UID_X=$UID_Y; echo ok`,
	`case x in (x|y) echo a;; *) echo b;; esac`,
	`echo \
  a # b \
echo c`,
	`! false && until true; do :; done; { echo a; } | (cat)`,
	"echo `echo \\`echo a\\``",
	`: "${A:=1}" && echo -n "" && eval 'echo a' && . /dev/null`,
}

func TestPOSIX(t *testing.T) {
	for _, text := range posixTexts {
		r, err := Generate(Program{Commands: []string{text}}, Options{POSIX: true})
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if r.Shell != "sh" || r.Construct != nil {
			t.Errorf("%s: shell %q, construct %v", text, r.Shell, r.Construct)
		}
	}
	// A variable that bash sets by itself is an ordinary one if the job sets it.
	r, err := Generate(Program{Exports: []Export{{Name: "OSTYPE"}}, Commands: []string{"echo $OSTYPE"}}, Options{})
	if err != nil || r.Shell != "sh" {
		t.Errorf("exported OSTYPE: %v, %v", r, err)
	}
}

// TestPOSIXAgrees holds the other list against the shells.
func TestPOSIXAgrees(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the programs run in POSIX shells, which Windows has not")
	}
	requireShell(t, []string{"dash"})
	requireShell(t, []string{"bash"})
	for _, text := range posixTexts {
		dashOut, dashCode, dashErr := run(t, []string{"dash"}, []byte(text))
		bashOut, bashCode, _ := run(t, []string{"bash"}, []byte(text))
		if dashOut != bashOut || dashCode != bashCode {
			t.Errorf("%s:\ndash %q, exit code %d, %s\nbash %q, exit code %d", text, dashOut, dashCode, dashErr, bashOut, bashCode)
		}
	}
}

func TestFirstConstruct(t *testing.T) {
	r, err := Generate(Program{Commands: []string{"echo ä; x=1", "if true; then\n  echo é; source x\n  a=(1)\nfi", "[[ a ]]"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *r.Construct, (Error{1, 1, 10, `"source" is not POSIX shell`, `write "."`, ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		commands           []string
		command, line, col int
		msg                string
	}{
		{[]string{"echo a", "if true; then"}, 1, 0, 9, `shell syntax: "then" must be followed by a statement list`},
		{[]string{"echo a", "if true", "then\n  echo b", "echo c"}, 1, 0, 0, `shell syntax: "if" statement must end with "fi"`},
		{[]string{"echo ä; fi"}, 0, 0, 8, `shell syntax: "fi" can only be used to end an "if"`},
		{[]string{"a", "b\n\n  echo 'c", "d"}, 1, 2, 7, `shell syntax: reached EOF without closing quote "'"`},
		{[]string{"cat <<EOF", "x", "echo ${x%'}"}, 2, 0, 9, `shell syntax: reached EOF without closing quote "'"`},
		{[]string{"ls | | wc"}, 0, 0, 3, `shell syntax: "|" must be followed by a statement`},
		{[]string{"a", "echo \x00"}, 1, 0, 5, "a shell program cannot hold a NUL byte"},
		{[]string{"a", "echo \xff"}, 1, 0, 5, "shell syntax: invalid UTF-8 encoding"},
		{[]string{"a", "  Write-Host 'x'"}, 1, 0, 2, "this looks like PowerShell, which is not supported"},
		{[]string{"$env:PATH = 'x'"}, 0, 0, 0, "this looks like PowerShell, which is not supported"},
		{[]string{"a", "x=(1)\nGet-ChildItem -Path ."}, 1, 1, 0, "this looks like PowerShell, which is not supported"},
		{[]string{"if (Test-Path x) { rm x }"}, 0, 0, 4, "this looks like PowerShell, which is not supported"},
		{[]string{"a", "if ($x) { y = $Env:Z }"}, 1, 0, 14, "this looks like PowerShell, which is not supported"},
		{[]string{"a", "  & tools/build.ps1 -Clean"}, 1, 0, 2, "this looks like PowerShell, which is not supported"},
		{[]string{"a", "if (!($?)) {\n  exit 1\n}"}, 1, 0, 0, "this looks like PowerShell, which is not supported"},
		{[]string{"[Net.Point]::Protocol = (3)"}, 0, 0, 0, "this looks like PowerShell, which is not supported"},
		{[]string{"a & b.exe", "echo 'c"}, 1, 0, 5, `shell syntax: reached EOF without closing quote "'"`},
		{[]string{"a", "  @echo off\n(goto x"}, 1, 0, 2, "this looks like cmd.exe, which is not supported"},
		{[]string{"if exist out (rmdir out)"}, 0, 0, 0, "this looks like cmd.exe, which is not supported"},
		{[]string{"if \"%CI%\"==\"true\" (x)"}, 0, 0, 0, "this looks like cmd.exe, which is not supported"},
		{[]string{"cd src", "call build.bat release"}, 1, 0, 0, "this looks like cmd.exe, which is not supported"},
		{[]string{"XCopy a b"}, 0, 0, 0, "this looks like cmd.exe, which is not supported"},
		{[]string{"for %%f in (*.txt) do (type %%f)"}, 0, 0, 0, "this looks like cmd.exe, which is not supported"},
	}
	for _, tt := range tests {
		_, err := Generate(Program{Commands: tt.commands}, Options{})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: no *Error but %v", tt.commands, err)
		} else if e.Command != tt.command || e.Line != tt.line || e.Col != tt.col || e.Msg != tt.msg {
			t.Errorf("%q:\n got %d:%d:%d %s\nwant %d:%d:%d %s", tt.commands, e.Command, e.Line, e.Col, e.Msg, tt.command, tt.line, tt.col, tt.msg)
		}
	}
	for _, text := range []string{`pwsh -c "Write-Host x"`, "echo Write-Host", "cat <<EOF\nGet-Item x\nEOF", "echo $env:x",
		"call() { echo; }; call x.bat", "xcopy() { cp \"$@\"; }; xcopy a b", "cmd /c build.bat", "call x", "echo call x.bat"} {
		if _, err := Generate(Program{Commands: []string{text}}, Options{}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
