package syntax

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func render(t *testing.T, l ErrorList, text string, o RenderOptions) string {
	t.Helper()
	var out strings.Builder
	if err := l.Render(&out, map[string][]byte{".gitlab-ci.yml": []byte(text)}, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func at(line, col int) Pos { return Pos{".gitlab-ci.yml", line, col} }

func TestRender(t *testing.T) {
	file := strings.Repeat("\n", 2) + "build:\n  script: [make]\n" + strings.Repeat("\n", 9) + "  needs: [biuld]\n"
	for _, test := range []struct {
		name string
		text string
		err  Error
		want string
	}{
		{"all parts", file, Error{Code: "CIC3002", Pos: at(14, 11), Len: 5, Msg: `job "test" needs "biuld", which does not exist`, Label: "no such job",
			Notes: []Note{{at(3, 1), "a similar name is defined here"}, {Msg: "jobs in this pipeline: build, test, deploy"}}, Help: `did you mean "build"?`}, `
.gitlab-ci.yml:14:11: error[CIC3002]: job "test" needs "biuld", which does not exist
   |
14 |   needs: [biuld]
   |           ^^^^^ no such job
   |
   = note: jobs in this pipeline: build, test, deploy
.gitlab-ci.yml:3:1: note: a similar name is defined here
   |
 3 | build:
   | ^
   |
   = help: did you mean "build"?
`},
		{"warning without extras", file, Error{Severity: SeverityWarning, Code: "CIC1017", Pos: at(4, 3), Msg: "m"}, `
.gitlab-ci.yml:4:3: warning[CIC1017]: m
  |
4 |   script: [make]
  |   ^
`},
		{"no place", file, Error{Code: "CIC1", Msg: "m", Help: "h"}, `
error[CIC1]: m
  = help: h
`},
		{"another file", file, Error{Code: "CIC1", Pos: Pos{"other.yml", 2, 1}, Msg: "m", Help: "h"}, `
other.yml:2:1: error[CIC1]: m
  = help: h
`},
		{"behind the end", "a: x\n", Error{Pos: at(2, 1), Msg: "m"}, `
.gitlab-ci.yml:2:1: error: m
`},
		{"help of several lines", "", Error{Pos: at(1, 1), Msg: "m", Help: "h:\n\na:\n  b"}, `
.gitlab-ci.yml:1:1: error: m
  = help: h:

    a:
      b
`},
		{"tabs", "a:\n\tb:\tx\n", Error{Pos: at(2, 5), Len: 1, Msg: "m"}, `
.gitlab-ci.yml:2:5: error: m
  |
2 |     b:  x
  |         ^
`},
		{"wide and combining characters", "e\u0301: 日本 x\n", Error{Pos: at(1, 5), Len: 2, Msg: "m"}, `
.gitlab-ci.yml:1:5: error: m
  |
1 | ` + "e\u0301: 日本 x" + `
  |    ^^^^
`},
		{"carets end with the line", "a: x\n", Error{Pos: at(1, 4), Len: 99, Msg: "m"}, `
.gitlab-ci.yml:1:4: error: m
  |
1 | a: x
  |    ^
`},
		{"control and bidirectional characters", "a: \u202ex\u0085 y\n", Error{Pos: at(1, 7), Len: 1, Msg: "\x1b[2J\u2066\n", Label: "\r"}, `
.gitlab-ci.yml:1:7: error: \x1b[2J\u2066\n
  |
1 | a: \u202ex\x85 y
  |               ^ \x0d
`},
		{"long line", "a: " + strings.Repeat("0123456789", 30) + "\n", Error{Pos: at(1, 154), Len: 3, Msg: "m"}, `
.gitlab-ci.yml:1:154: error: m
  |
1 | ...012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789...
` + "  | " + strings.Repeat(" ", 43) + "^^^\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := render(t, ErrorList{&test.err}, test.text, RenderOptions{})
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRenderSortsAndCounts(t *testing.T) {
	var l ErrorList
	for i := range 24 {
		l.Add("CIC1", at(30-i, 1), 1, fmt.Sprint("m", 30-i))
	}
	l.Add("CIC1", at(30, 1), 1, "m30")
	l.Warn("CIC2", at(1, 1), 1, "w")
	l.Add("CIC1", Pos{"a.yml", 9, 9}, 1, "first file")
	got := render(t, l, "", RenderOptions{Max: 3})
	want := `.gitlab-ci.yml:7:1: error[CIC1]: m7

.gitlab-ci.yml:8:1: error[CIC1]: m8

.gitlab-ci.yml:9:1: error[CIC1]: m9

and 22 more errors and 1 more warning
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(render(t, l, "", RenderOptions{}), "error["); n != 20 {
		t.Errorf("%d errors printed by default, want 20", n)
	}
}

func TestRenderColor(t *testing.T) {
	got := render(t, ErrorList{{Code: "C", Pos: at(1, 1), Len: 1, Msg: "m", Label: "l"}}, "x\n", RenderOptions{Color: true})
	want := ".gitlab-ci.yml:1:1: \x1b[1;31merror[C]\x1b[0m: m\n  |\n1 | x\n  | \x1b[1;31m^ l\x1b[0m\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSuggest(t *testing.T) {
	keywords := []string{"script", "stage", "stages", "needs", "image", "tags", "retry"}
	for name, want := range map[string]string{
		"scirpt": "script", "Script": "script", "scrpt": "script", "scritps": "script", "need": "needs", "imgae": "image",
		"deploy": "", "stage": "stages", "stagex": "", "tag": "tags", "taf": "", "": "", "script": "", "skript_": "script",
	} {
		if got := Suggest(name, keywords); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", name, got, want)
		}
	}
	if got := Suggest("job-3", []string{"job-1", "job-2"}); got != "" {
		t.Errorf("two are equally near, got %q", got)
	}
	if got := Suggest("q", []string{"j"}); got != "" {
		t.Errorf("one character is near to any other, got %q", got)
	}
	if got := Suggest("biuld", []string{"build", "build", "test"}); got != "build" {
		t.Errorf("got %q, want build", got)
	}
}

// plainDistance is the textbook algorithm, without limit.
func plainDistance(a, b []rune) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			switch {
			case i == 0:
				d[i][j] = j
			case j == 0:
				d[i][j] = i
			default:
				cost := 1
				if a[i-1] == b[j-1] {
					cost = 0
				}
				d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					d[i][j] = min(d[i][j], d[i-2][j-2]+1)
				}
			}
		}
	}
	return d[len(a)][len(b)]
}

func FuzzEditDistance(f *testing.F) {
	f.Add("build", "biuld")
	f.Add("ab", "")
	f.Add("stages", "tsagse")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 100 {
			return
		}
		for limit := 1; limit <= 2; limit++ {
			want := min(plainDistance([]rune(a), []rune(b)), limit+1)
			if got := editDistance([]rune(a), []rune(b), limit); got != want {
				t.Errorf("editDistance(%q, %q, %d) = %d, want %d", a, b, limit, got, want)
			}
		}
	})
}

// However long a line is, its excerpt is around the place, and costs no more.
func TestExcerptOfLongLine(t *testing.T) {
	for _, col := range []int{1, 2, excerptReach, excerptReach + 1, excerptReach + 2, 5000, 9_999 - excerptReach, 9_999} {
		line := strings.Repeat("é", col-1) + "X" + strings.Repeat("ö", 10_000-col)
		part, at, before, behind := reach(line, col)
		if runes := []rune(part); len(runes) > 2*excerptReach || runes[at-1] != 'X' {
			t.Errorf("column %d: %d characters, place %d", col, len(runes), at)
		}
		if before != (col > excerptReach+1) || behind != (col+excerptReach <= 10_000) {
			t.Errorf("column %d: before %v, behind %v", col, before, behind)
		}
		text, indent, carets := excerptLine(line, col, 1)
		if got := []rune(text); got[indent] != 'X' || carets != 1 || strings.HasPrefix(text, "...") != (col > excerptWidth) {
			t.Errorf("column %d: %q, %d, %d", col, text, indent, carets)
		}
	}
}
