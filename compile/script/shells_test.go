package script

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cic-ci/cic/compile/shellvar"
)

// testShells are the shells in which a program of shell sh must do the same.
var testShells = [][]string{{"dash"}, {"busybox", "ash"}, {"bash", "--posix"}, {"mksh"}, {"yash"}}

// requireShell skips the test without the shell, or fails it where the
// environment says that everything must run.
func requireShell(t testing.TB, shell []string) {
	t.Helper()
	if _, err := exec.LookPath(shell[0]); err != nil {
		if os.Getenv("CIC_REQUIRE_CONTAINERD") == "1" {
			t.Fatalf("%s is not installed, and CIC_REQUIRE_CONTAINERD=1", shell[0])
		}
		t.Skipf("%s is not installed", shell[0])
	}
}

// run runs a program in an empty directory with a small environment and with
// text on standard input that the program must not see.
func run(t testing.TB, shell []string, text []byte, env ...string) (stdout string, code int, stderr string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "job.sh")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(shell[0], append(shell[1:len(shell):len(shell)], file)...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}, env...)
	cmd.Stdin = strings.NewReader("from outside\n")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode(), errs.String()
}

// withoutTrace drops the lines that begin with "$ ".
func withoutTrace(out string) string {
	var kept strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "$ ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func inEachShell(t *testing.T, f func(t *testing.T, shell []string)) {
	if runtime.GOOS == "windows" {
		t.Skip("generated programs run in POSIX shells, which Windows has not")
	}
	for _, shell := range testShells {
		t.Run(strings.Join(shell, " "), func(t *testing.T) {
			requireShell(t, shell)
			f(t, shell)
		})
	}
}

func TestRun(t *testing.T) {
	tests := []struct {
		name     string
		exports  []Export
		commands []string
		out      string
		code     int
	}{
		{name: "nothing"},
		{name: "carry over",
			commands: []string{"mkdir sub", "cd sub", "export A=1 B='x y'", `greet() { echo "hi $1"; }`, `greet "$B"`, "basename $PWD", `sh -c 'echo $A'`},
			out:      "hi x y\nsub\n1\n"},
		{name: "loop over commands",
			commands: []string{"for i in 1 2; do", "echo $i", "", "# a comment", "done", "echo end"},
			out:      "1\n2\nend\n"},
		{name: "if over commands",
			commands: []string{"if false", "then echo no", "else", "echo yes; fi; echo same", "echo end"},
			out:      "yes\nsame\nend\n"},
		{name: "here-document over commands",
			commands: []string{"N=3", "cat <<EOF", "a $N", "# kept", "", "  b", "EOF", "echo end"},
			out:      "a 3\n# kept\n\n  b\nend\n"},
		{name: "here-document ended by a blank line",
			commands: []string{"cat <<''", "a", "\necho end"},
			out:      "a\nend\n"},
		{name: "here-document ended by what looks like a comment",
			commands: []string{"cat <<'# x'", "a", "# x\necho end"},
			out:      "a\nend\n"},
		{name: "empty here-document",
			commands: []string{"cat <<EOF", "EOF", "echo end"},
			out:      "end\n"},
		{name: "here-document behind a continued line",
			commands: []string{`cat <<EOF; \`, "echo b", "a", "EOF", "echo end"},
			out:      "a\nb\nend\n"},
		{name: "multi-line command",
			commands: []string{"cat <<'EOF' |\n$A\nEOF\n  sed s/A/B/\n"},
			out:      "$B\n"},
		{name: "continued line",
			commands: []string{`echo a \`, `b \`, "c", "echo end"},
			out:      "a b c\nend\n"},
		{name: "and or over commands",
			commands: []string{"true &&", "echo a", "false ||", `echo b \`, "&& echo c"},
			out:      "a\nb\nc\n"},
		{name: "function over commands",
			commands: []string{"f()", "{", "echo f", "}", "f"},
			out:      "f\n"},
		{name: "quote over commands",
			commands: []string{"echo 'a", "b'", "echo end"},
			out:      "a\nb\nend\n"},
		{name: "comments swallow nothing",
			commands: []string{"# first", "echo a # trailing", `echo b # trailing \`, "  # c\necho c", "echo d # '", "echo e"},
			out:      "a\nb\nc\nd\ne\n"},
		{name: "only comments", commands: []string{"# a", "", "  \n", "# b\n# c"}},
		{name: "or rescues its own command alone",
			commands: []string{"echo a", "(exit 4)", "false || echo rescued"},
			out:      "a\n", code: 4},
		{name: "or at the end of a command",
			commands: []string{"false || true", "echo b"},
			out:      "b\n"},
		{name: "failure stops", commands: []string{"echo a", "false", "echo b"}, out: "a\n", code: 1},
		{name: "failure in a multi-line command stops", commands: []string{"echo a\n(exit 6)\necho b"}, out: "a\n", code: 6},
		{name: "exit in the middle", commands: []string{"echo a", "exit 3", "echo b"}, out: "a\n", code: 3},
		{name: "exit 0 in the middle", commands: []string{"echo a", "exit 0", "false"}, out: "a\n"},
		{name: "not found", commands: []string{"no-such-command-anywhere"}, code: 127},
		{name: "set +e by the user",
			commands: []string{"set +e", "false", "echo a", "set -e", "false", "echo b"},
			out:      "a\n", code: 1},
		{name: "failure of a function", commands: []string{"f() { false; echo no; }", "f", "echo no"}, code: 1},
		{name: "failure in a substitution", commands: []string{"x=$(exit 5)", "echo no"}, code: 5},
		{name: "unset variables are empty", commands: []string{`echo "[$NO_SUCH]"`}, out: "[]\n"},
		{name: "standard input is empty",
			commands: []string{"cat", `if read -r line; then echo "got $line"; else echo EOF; fi`},
			out:      "EOF\n"},
		{name: "standard output closed", commands: []string{"exec >&-", "true", "exit 7"}, code: 7},
		{name: "last status", commands: []string{"echo a", "test 1 = 1"}, out: "a\n"},
		{name: "user's trap", commands: []string{"trap 'echo bye' EXIT", "echo a", "exit 2"}, out: "a\nbye\n", code: 2},
		{name: "local", commands: []string{"v=out", `f() { local v="a b" w; w=1; echo "$v$w"; }`, "f", "echo $v"}, out: "a b1\nout\n"},
		{name: "background", commands: []string{"sleep 0 &", "wait", "echo a"}, out: "a\n"},
		{name: "carriage return", commands: []string{"echo a\r"}, out: "a\r\n"},
		{name: "exports",
			exports: []Export{{"A", []Part{{Text: "x y"}}}, {"B", []Part{{Text: "A", Var: true}, {Text: "/$A"}, {Text: "NO_SUCH", Var: true}}},
				{"C", nil}, {"OUTER", []Part{{Text: "OUTER", Var: true}, {Text: "+"}}}, {"IFS", []Part{{Text: ":"}}}},
			commands: []string{`echo "[$A] [$B] [$C] [$OUTER]"`, `sh -c 'echo "$B"'`},
			out:      "[x y] [x y/$A] [] [given  *+]\nx y/$A\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Generate(Program{Header: []string{"job: x\necho broken"}, Exports: tt.exports, Commands: tt.commands}, Options{POSIX: true})
			if err != nil {
				t.Fatal(err)
			}
			inEachShell(t, func(t *testing.T, shell []string) {
				out, code, stderr := run(t, shell, r.Text, "OUTER=given  *")
				if got := withoutTrace(out); got != tt.out || code != tt.code {
					t.Errorf("got %q, exit code %d, want %q, %d\nstderr: %s\n%s", got, code, tt.out, tt.code, stderr, r.Text)
				}
			})
		})
	}
}

// TestRunPipefail: a failure at the head of a pipe counts where the shell has
// pipefail; dash before 0.5.13 has not.
func TestRunPipefail(t *testing.T) {
	r, err := Generate(Program{Commands: []string{"(exit 9) | true", "echo next"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	inEachShell(t, func(t *testing.T, shell []string) {
		_, lacks, _ := run(t, shell, []byte("(set -o pipefail) 2>/dev/null"))
		out, code, stderr := run(t, shell, r.Text)
		want, wantCode := "", 9
		if lacks != 0 {
			want, wantCode = "next\n", 0
		}
		if got := withoutTrace(out); got != want || code != wantCode || stderr != "" {
			t.Errorf("got %q, exit code %d, stderr %q, want %q, %d", got, code, stderr, want, wantCode)
		}
	})
}

func TestRunTrace(t *testing.T) {
	long := "echo " + strings.Repeat("ä", 500)
	r, err := Generate(Program{Commands: []string{
		"echo `echo a` $(echo b) 'c' \"d\" \\\\ %s !x \x1b[2J\tz",
		"\n# why\necho 1\n\necho 2\n",
		"echo 1\necho 2",
		"for i in x; do", "# no trace", "echo $i", "done",
		long,
	}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		`$ echo ` + "`echo a` $(echo b) 'c' \"d\" \\\\ %s !x \\x1b[2J\tz",
		"a b c d \\ %s !x \x1b[2J z",
		"$ echo 1 # +2 lines", "1", "2",
		"$ echo 1 # +1 line", "1", "2",
		"$ for i in x; do", "$ echo $i", "$ done", "x",
		"$ " + long[:5+2*(maxTrace-5)] + "...", long[5:], "",
	}, "\n")
	inEachShell(t, func(t *testing.T, shell []string) {
		out, code, stderr := run(t, shell, r.Text)
		if out != want || code != 0 {
			t.Errorf("exit code %d, stderr %q\n got %q\nwant %q", code, stderr, out, want)
		}
	})
}

var nastyValues = []string{
	"", " ", "plain", "two  spaces", "trailing ", " leading", "new\nline", "ends in newline\n", "\n", "tab\t", "it's", "''", `"`, `\`, `\\`, `a\`, `\n`,
	"$HOME", "${HOME}", "$(echo run)", "`echo run`", "!", "!!", "a!b", "*", "?", "[a]", "~", "~root", "{a,b}", "#", "# x", ";", "&", "|", ">x", "(", "-n", "--", "%s", "=", "a=b",
	"\r", "\x1b[31m", "ä€😀", "\u202e", "$'x'", "'; echo run; '", "'\n'", "\\'", strings.Repeat("'", 50),
}

func TestRunQuoted(t *testing.T) {
	var p Program
	var want strings.Builder
	for _, v := range nastyValues {
		q, err := Quote(v)
		if err != nil {
			t.Fatal(err)
		}
		p.Exports = []Export{{"V", []Part{{Text: v}}}}
		p.Commands = append(p.Commands, `printf '%s|' `+q)
		want.WriteString(v + "|")
	}
	for i, v := range nastyValues {
		name := "V" + strings.Repeat("x", i)
		p.Exports = append(p.Exports, Export{name, []Part{{Text: v}}})
		p.Commands = append(p.Commands, `printf '%s|' "$`+name+`"`)
		want.WriteString(v + "|")
	}
	r, err := Generate(p, Options{POSIX: true})
	if err != nil {
		t.Fatal(err)
	}
	text := bytes.ReplaceAll(r.Text, []byte(`printf '%s\n' '$ `), []byte(`: '$ `)) // no trace
	inEachShell(t, func(t *testing.T, shell []string) {
		out, code, stderr := run(t, shell, text)
		if out != want.String() || code != 0 {
			t.Errorf("exit code %d, stderr %q\n got %q\nwant %q", code, stderr, out, want.String())
		}
	})
}

// TestRunBytes: a value that is not UTF-8. yash works on characters and cannot
// read such a script at all.
func TestRunBytes(t *testing.T) {
	r, err := Generate(Program{Exports: []Export{{"V", []Part{{Text: "a\xff\xc3'b"}}}}, Commands: []string{`printf %s "$V"`}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	inEachShell(t, func(t *testing.T, shell []string) {
		if shell[0] == "yash" {
			return
		}
		if out, code, stderr := run(t, shell, r.Text); withoutTrace(out) != "a\xff\xc3'b" || code != 0 {
			t.Errorf("got %q, exit code %d, stderr %q", out, code, stderr)
		}
	})
}

// TestRunSpecialVariables: no export breaks a program, whatever its name, and
// those that are set have their value.
func TestRunSpecialVariables(t *testing.T) {
	p := Program{Commands: []string{"echo ok"}}
	unsettable := shellvar.UnsettableNames()
	for _, name := range unsettable {
		p.Exports = append(p.Exports, Export{name, []Part{{Text: "a b"}}})
	}
	for _, name := range []string{"HOME", "TMPDIR", "IFS", "PS4", "ENV", "BASH_ENV", "CDPATH", "LD_X", "TERM", "USER", "SHELL", "OPTARG", "OPTERR", "PS1"} {
		p.Exports = append(p.Exports, Export{name, []Part{{Text: "a b"}}})
		p.Commands = append(p.Commands, `echo "`+name+`=$`+name+`"`)
	}
	r, err := Generate(p, Options{POSIX: true})
	if err != nil {
		t.Fatal(err)
	}
	want := "ok\n"
	for _, e := range p.Exports[len(unsettable):] {
		want += e.Name + "=a b\n"
	}
	inEachShell(t, func(t *testing.T, shell []string) {
		if out, code, stderr := run(t, shell, r.Text); withoutTrace(out) != want || code != 0 || stderr != "" {
			t.Errorf("got %q, exit code %d, stderr %q", out, code, stderr)
		}
	})
}

// TestRunBash: what needs bash runs in it, as sh runs the rest.
func TestRunBash(t *testing.T) {
	requireShell(t, []string{"bash"})
	r, err := Generate(Program{Commands: []string{"a=(1 2)", `[[ ${#a[@]} == 2 ]]`, `echo "${a[1]}"`, "cat < <(echo sub)", "false | true", "echo no"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(r.Text, []byte("#!/usr/bin/env bash\n")) || r.Shell != "bash" {
		t.Errorf("shell %q, text begins %.30q", r.Shell, r.Text)
	}
	if out, code, stderr := run(t, []string{"bash"}, r.Text); withoutTrace(out) != "2\nsub\n" || code != 1 {
		t.Errorf("got %q, exit code %d, stderr %q", out, code, stderr)
	}
}
