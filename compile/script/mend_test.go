package script

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestDoubts: what a shell reads, and fails on at run time or takes otherwise than
// meant, does not keep a program from being made.
func TestDoubts(t *testing.T) {
	const noExpansion, noArithmetic = " is no expansion that a shell knows: the job will fail there", " is no arithmetic that a shell knows: the job will fail there"
	unclosed := func(word string) string {
		return `the here-document "` + word + `" has no end: all the rest of the script is its text`
	}
	tests := []struct {
		text, shell string
		doubts      string // a line each
		reads       string
	}{
		{"echo ${{ x }} $A", "sh", `"${{ x }}"` + noExpansion, "A"},
		{"echo \"${{ github.ref }}\" '${{ fine }}'\n[[ $A ]]", "bash", `"${{ github.ref }}"` + noExpansion, "A"},
		{"echo ${A.b} ${B} ${A.b}", "sh", `"${A.b}"` + noExpansion, "B"},
		{"echo ${A.b} ${C:}", "sh", `"${A.b}"` + noExpansion + "\n" + `"${C:}"` + noExpansion, ""},
		{"echo ${}", "sh", `"${}"` + noExpansion, ""},
		{"echo ${x@Z}", "sh", `"${x@Z}"` + noExpansion, ""},
		{"cat <<EOF\n${{ x }} $A\nEOF", "sh", `"${{ x }}"` + noExpansion, "A"},
		{"echo ${a b" + strings.Repeat("c", 100) + "}", "sh", `"${a b` + strings.Repeat("c", 35) + `..."` + noExpansion, ""},
		{"echo ${##a} ${#:-0} ${#%1}", "sh", "", ""},
		{"echo ${A~} ${A~~}", "bash", "", ""},
		{"echo $((1.5 * 2)) $A", "sh", `"$((1.5 * 2))"` + noArithmetic, "A"},
		{"echo $(( ${A} + )) $B", "sh", `"$(( ${A} + ))"` + noArithmetic, "B"},
		{"echo $(()) $(( 1 ))", "sh", `"$(())"` + noArithmetic, ""},
		{"(( ${{ x }} > 1 ))", "bash", `"${{ x }}"` + noExpansion, ""},
		{"cat <<EOF >f\nhello $A", "sh", unclosed("EOF"), "A"},
		{"cat <<'END' >f\nhello $A\n  END\necho", "sh", unclosed("END"), ""},
		{"x=$(cat <<EOF\na $A\nEOF)\necho $x $B", "bash", `the here-document "EOF" has no end of its own: bash alone ends it here`, "B"},
	}
	for _, tt := range tests {
		r, err := Generate(Program{Commands: []string{tt.text}}, Options{})
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		var doubts []string
		for _, d := range r.Doubts {
			doubts = append(doubts, d.Msg)
		}
		if got := strings.Join(doubts, "\n"); got != tt.doubts || r.Shell != tt.shell || strings.Join(r.Reads, " ") != tt.reads {
			t.Errorf("%s:\n got %s %v\n%s\nwant %s [%s]\n%s", tt.text, r.Shell, r.Reads, got, tt.shell, tt.reads, tt.doubts)
		}
		if !strings.HasSuffix(string(r.Text), "\n"+tt.text+"\n") {
			t.Errorf("%s: the program has other commands:\n%s", tt.text, r.Text)
		}
	}
}

// TestDoubtPlaces: the places are those in the commands, and traces stand where no
// here-document is open.
func TestDoubtPlaces(t *testing.T) {
	commands := []string{"echo a", "echo b\necho \"ä ${{ x }}\"", "cat <<EOF", "  EOF", "echo c"}
	r, err := Generate(Program{Commands: commands}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Error{
		{1, 1, 8, `"${{ x }}" is no expansion that a shell knows: the job will fail there`, `"${{ }}" is of GitHub Actions; variables are written $NAME here`, ""},
		{2, 0, 4, `the here-document "EOF" has no end: all the rest of the script is its text`, `"EOF" must begin its line, with nothing behind it`, ""},
	}
	got := []Error{}
	for _, d := range r.Doubts {
		got = append(got, *d)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if !strings.HasSuffix(string(r.Text), "printf '%s\\n' '$ echo c'\ncat <<EOF\n  EOF\necho c\n") {
		t.Errorf("a trace stands in the here-document:\n%s", r.Text)
	}
}

// TestMendsBounded: a program with too many such places is refused, in bounded time.
func TestMendsBounded(t *testing.T) {
	var b strings.Builder
	for i := range maxMends + 1 {
		b.WriteString("echo ${a." + strings.Repeat("b", i+1) + "}\n")
	}
	for _, text := range []string{b.String(), "echo " + strings.Repeat("${", 10_000) + strings.Repeat(".}", 10_000)} {
		var e *Error
		if _, err := Generate(Program{Commands: []string{text}}, Options{}); !errors.As(err, &e) || !strings.HasPrefix(e.Msg, "shell syntax: ") {
			t.Errorf("got %v", err)
		}
	}
}
