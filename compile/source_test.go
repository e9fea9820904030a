package compile

import (
	"testing"

	"github.com/cic-ci/cic/compile/syntax"
)

func TestWithin(t *testing.T) {
	const file = "a: $A == b\n" + // 1
		"b: |\n  $A &&\n  $B == x\n" + // 2
		"c: >-\n    $A\n    || y\n" + // 5
		"d: 'two\n  lines'\n" + // 8
		"e: \"a\\tb\"\n" + // 10
		"f: ünï\r\n   x\r\n" + // 11
		"g: $A ==" // 13
	s := &sources{texts: map[string][]byte{"f": []byte(file)}, lines: map[string][]string{}}
	for _, test := range []struct {
		name      string
		line, col int
		text      string
		offset    int
		wantLine  int
		wantCol   int
	}{
		{"plain", 1, 4, "$A == b", 6, 1, 10},
		{"behind the start", 1, 1, "$A == b", 6, 1, 10},
		{"literal, first line", 2, 4, "$A &&\n$B == x\n", 3, 3, 6},
		{"literal, second line", 2, 4, "$A &&\n$B == x\n", 12, 4, 9},
		{"literal, behind it", 2, 4, "$A &&\n$B == x\n", 14, 4, 10},
		{"folded", 5, 4, "$A || y", 6, 7, 8},
		{"quoted over lines", 8, 4, "two lines", 4, 9, 3},
		{"escape", 10, 4, "a\tb", 2, 10, 4},
		{"wide and CRLF", 11, 4, "ünï x", 4, 12, 4},
		{"last line", 13, 4, "$A ==", 5, 13, 9},
		{"past the file", 13, 4, "$A == more", 6, 13, 4},
		{"offset past the file", 13, 4, "$A ==\n", 6, 13, 9},
		{"no line", 99, 1, "x", 0, 99, 1},
		{"no text", 1, 4, "", 0, 1, 4},
	} {
		got := s.within(syntax.Pos{File: "f", Line: test.line, Col: test.col}, test.text, test.offset)
		if want := (syntax.Pos{File: "f", Line: test.wantLine, Col: test.wantCol}); got != want {
			t.Errorf("%s: %v, want %v", test.name, got, want)
		}
	}
	foreign := syntax.Pos{File: "other", Line: 1, Col: 1}
	if got := s.within(foreign, "$A", 0); got != foreign {
		t.Errorf("in another file: %v", got)
	}
}
