package script

import (
	"errors"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

func TestGenerateText(t *testing.T) {
	r, err := Generate(Program{
		Header: []string{"job: build\n rm", "stage: \u202eb"},
		Exports: []Export{
			{"A", []Part{{Text: "it's\ntwo"}}},
			{"UID", []Part{{Text: "3"}}},
			{"DIR", []Part{{Text: "CI_PROJECT_DIR", Var: true}, {Text: "/out"}}},
		},
		Commands: []string{"# why\nmake\n", "for i in 1 2; do\n", "  echo $i # 'x'", "done"},
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := `#!/bin/sh
# job: build\n rm
# stage: \u202eb
set -e
if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi
exec </dev/null

export A='it'\''s
two'
# UID is not set: it is read-only in bash
export DIR="${CI_PROJECT_DIR-}"'/out'

# why
printf '%s\n' '$ make'
make
printf '%s\n' '$ for i in 1 2; do'
printf '%s\n' '$ echo $i # '\''x'\'''
printf '%s\n' '$ done'
for i in 1 2; do
  echo $i # 'x'
done
`
	if got := string(r.Text); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	lines := []Line{{13, 0, 0}, {15, 0, 1}, {19, 1, 0}, {20, 2, 0}, {21, 3, 0}}
	if !slices.Equal(r.Lines, lines) {
		t.Errorf("lines %v, want %v", r.Lines, lines)
	}
	if r.Shell != "sh" || r.Construct != nil || r.Reads != nil {
		t.Errorf("shell %q, construct %v, reads %q", r.Shell, r.Construct, r.Reads)
	}
}

func TestExportErrors(t *testing.T) {
	for _, e := range []Export{
		{Name: ""}, {Name: "1X"}, {Name: "A-B"}, {Name: "A=B"}, {Name: "A\nB"}, {Name: "Ä"},
		{"A", []Part{{Text: "x\x00"}}},
		{"A", []Part{{Text: "B}$(x", Var: true}}},
	} {
		_, err := Generate(Program{Exports: []Export{e}, Commands: []string{"true"}}, Options{})
		var bad *Error
		if !errors.As(err, &bad) || bad.Command != -1 {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

func TestReads(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{`echo $A "${B}" ${C:-d} ${D+x} "${#E}" ${F%x} 'no $G' \$H`, []string{"A", "B", "C", "D", "E", "F"}},
		{`x=1; echo $x $y`, []string{"y"}},
		{`echo $x; x=1`, nil},
		{`f() { x=1; }; (y=2); echo $x $y $z`, []string{"z"}},
		{`A=1 env; echo $A`, []string{"A"}},
		{`A=$B`, []string{"B"}},
		{`export A=$B C; readonly D=1 E; echo $A $C $D $E`, []string{"B", "C", "E"}},
		{`f() { local a b=1; echo $a $b; }`, nil},
		{`for i in $LIST; do echo $i; done`, []string{"LIST"}},
		{`while read -r a b; do echo $a $b; done; getopts x: opt; echo $opt $OPTARG`, nil},
		{`unset A; echo $A`, nil},
		{`: ${A:=1} ${B=2} ${C?no}`, []string{"C"}},
		{`echo $((A + $B * (C++)))`, []string{"A", "B"}},
		{`echo $((x = A, x += B))`, []string{"A", "B"}},
		{"cat <<EOF\n$A ${B}\nEOF\ncat <<'EOF'\n$C\nEOF", []string{"A", "B"}},
		{`echo "$(echo $A)" ` + "`echo $B`", []string{"A", "B"}},
		{`echo $1 $@ $# $? $$ $! $- ${10} $0`, nil},
		{`echo $HOME $PATH $PWD $OLDPWD $IFS $PPID $RANDOM $LINENO $OPTIND $UID $BASH_VERSION`, nil},
		{`echo $GIVEN $UID`, nil},
		{`[[ -n $A ]] && a=($B) && echo ${a[0]} ${!C}`, []string{"A", "B", "C"}},
		{`((A > 1)) && let b=C && for ((i = D; i < 2; i++)); do :; done; echo $b`, []string{"A", "C", "D"}},
		{`declare x=$A y; printf -v z a; mapfile -t w; exec {fd}>x; echo $x $y $z $w $fd`, []string{"A"}},
		{`cat <(echo $A) &>$B`, []string{"A", "B"}},
		{`case $A in $B) echo $C;; esac`, []string{"A", "B", "C"}},
		{`echo a # $A`, nil},
		{`echo $B $A $B`, []string{"A", "B"}},
	}
	for _, tt := range tests {
		r, err := Generate(Program{Exports: []Export{{Name: "GIVEN"}}, Commands: []string{tt.text}}, Options{})
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
		} else if !slices.Equal(r.Reads, tt.want) {
			t.Errorf("%s: reads %q, want %q", tt.text, r.Reads, tt.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{"": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$x\n`": "'$x\n`'"} {
		if got, err := Quote(s); got != want || err != nil {
			t.Errorf("Quote(%q) = %s, %v, want %s", s, got, err, want)
		}
	}
	if q, err := Quote("a\x00b"); err == nil {
		t.Errorf("Quote of a NUL byte gives %q", q)
	}
}

func TestGenerateConcurrently(t *testing.T) {
	p := Program{Commands: []string{"for i in a; do", "[[ $i == $A ]]", "done"}}
	want, err := Generate(p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := Generate(p, Options{}); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("got %+v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

// shOutput runs text with the machine's /bin/sh.
func shOutput(t *testing.T, text string) string {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-s")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, text)
	}
	return string(out)
}

// FuzzQuote: the word is one literal to the parser, and the real shell gives the
// text back.
func FuzzQuote(f *testing.F) {
	if runtime.GOOS == "windows" {
		f.Skip("there is no /bin/sh on Windows")
	}
	for _, s := range nastyValues {
		f.Add(s)
	}
	f.Add("\x00")
	f.Add("a\xffb")
	f.Fuzz(func(t *testing.T, s string) {
		q, err := Quote(s)
		if strings.Contains(s, "\x00") {
			if err == nil {
				t.Fatalf("Quote(%q) = %q, want an error", s, q)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.ToValidUTF8(s, "") == s && !strings.Contains(s, "\r") { // the parser drops carriage returns
			file, err := parseAs(syntax.LangPOSIX, "echo "+q)
			if err != nil {
				t.Fatalf("%q: %v", q, err)
			}
			call := file.Stmts[0].Cmd.(*syntax.CallExpr)
			if len(file.Stmts) != 1 || len(call.Args) != 2 {
				t.Fatalf("%q is not one word", q)
			}
			for _, part := range call.Args[1].Parts {
				_, quoted := part.(*syntax.SglQuoted)
				if lit, ok := part.(*syntax.Lit); !quoted && (!ok || lit.Value != `\'`) {
					t.Fatalf("%q holds a %T", q, part)
				}
			}
		}
		if got := shOutput(t, "printf %s "+q+"\n"); got != s {
			t.Fatalf("%q came back as %q", s, got)
		}
	})
}

// FuzzGenerate: whatever the commands are, the program holds their statements
// unchanged and, besides, only its prologue and trace lines that print a
// constant; every mapped line is the line that it says.
func FuzzGenerate(f *testing.F) {
	for _, c := range [][2]string{
		{"cat <<EOF", "x\nEOF"}, {`cat <<EOF; \`, "echo b\nx\nEOF"}, {"cat <<''", "a\n\necho b"}, {"echo # \\", "echo 'b"}, {"f()", "{ a; }"},
		{"for i in 1", "do echo $i; done"}, {"echo `a", "b`"}, {"[[ a ]]", "((i++))"}, {"((a); b)", "c"}, {"if a; then", "b"}, {"\\", "a"},
		{"a\r", "\r\nb"}, {"x='", "# '\necho"}, {"Write-Host", ""}, {"$(", ")"}, {"case x in", "a) b;; esac"}, {"a &&", "# c\nb"}, {"echo ${x/a/b}", "exec >&-"},
	} {
		f.Add(c[0], c[1], "it's $(x)\n")
	}
	f.Fuzz(func(t *testing.T, a, b, value string) {
		commands := []string{a, b, a}
		r, err := Generate(Program{Header: []string{value}, Exports: []Export{{"V", []Part{{Text: value}}}}, Commands: commands}, Options{})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("no *Error but %T", err)
			}
			if e.Command >= len(commands) || e.Command >= 0 && e.Line > strings.Count(commands[e.Command], "\n") {
				t.Fatalf("error at %+v", e)
			}
			return
		}
		text := string(r.Text)
		checkLines(t, r, commands)
		if strings.ToValidUTF8(value, "") != value {
			return // the parser cannot read it back, though shells can
		}
		checkStatements(t, r, text, commands)
	})
}

func checkLines(t *testing.T, r *Result, commands []string) {
	t.Helper()
	lines := strings.Split(string(r.Text), "\n")
	last := 0
	for _, l := range r.Lines {
		want := strings.Split(commands[l.Command], "\n")[l.Line]
		if got := lines[l.Script-1]; l.Script <= last || got != want {
			t.Fatalf("line %d is %q, want %q", l.Script, got, want)
		}
		last = l.Script
	}
}

// checkStatements parses the program and compares what it does, its own lines
// left out, with what the commands do.
func checkStatements(t *testing.T, r *Result, text string, commands []string) {
	t.Helper()
	lang := syntax.LangPOSIX
	if r.Shell == "bash" {
		lang = syntax.LangBash
	}
	src, err := newSource(commands)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := newSource([]string{text})
	if err != nil {
		t.Fatal(err)
	}
	want, err := parseAs(lang, src.parsable())
	if err != nil {
		return // ((a); b) beside a construct of bash
	}
	got, err := parseAs(lang, whole.parsable())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	mapped := map[uint]bool{}
	for _, l := range r.Lines {
		mapped[uint(l.Script)] = true
	}
	var kept []*syntax.Stmt
	own := 0
	for _, stmt := range got.Stmts {
		if mapped[stmt.Pos().Line()] {
			kept = append(kept, stmt)
		} else if own++; own > 4 { // set, if, exec, export
			checkTrace(t, stmt)
		}
	}
	if g, w := printed(t, kept), printed(t, want.Stmts); g != w {
		t.Fatalf("the program does\n%s\nand not\n%s\ntext:\n%s", g, w, text)
	}
}

// checkTrace checks that a statement is a trace line and runs nothing.
func checkTrace(t *testing.T, stmt *syntax.Stmt) {
	t.Helper()
	if or, ok := stmt.Cmd.(*syntax.BinaryCmd); ok && or.Op == syntax.OrStmt {
		stmt = or.X
	}
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) != 3 || call.Args[0].Lit() != "printf" || constant(call.Args[1]) != `%s\n` || !strings.HasPrefix(constant(call.Args[2]), "$ ") {
		t.Fatalf("no trace line: %s", printed(t, []*syntax.Stmt{stmt}))
	}
}

func printed(t *testing.T, stmts []*syntax.Stmt) string {
	t.Helper()
	var b strings.Builder
	if err := syntax.NewPrinter().Print(&b, &syntax.File{Stmts: stmts}); err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(b.String(), "\n"), func(l string) bool { return l == "" })
	return strings.Join(lines, "\n")
}

// BenchmarkGenerate: a job of five short commands; 5,000 of them are to take less
// than half a second.
func BenchmarkGenerate(b *testing.B) {
	for _, bb := range []struct{ name, command string }{{"sh", `if [ -f x ]; then echo "$X"; fi`}, {"bash", `if [[ -f x ]]; then echo "$X"; fi`}} {
		b.Run(bb.name, func(b *testing.B) {
			p := Program{
				Header:   []string{"job: build", "stage: build"},
				Exports:  []Export{{"A", []Part{{Text: "a b"}}}, {"B", []Part{{Text: "CI_PROJECT_DIR", Var: true}}}},
				Commands: []string{"cd src", "make build VERSION=$V", "./configure --prefix=/usr", bb.command, "pytest tests | tee log"},
			}
			for b.Loop() {
				if _, err := Generate(p, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
