package exec

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseMarks(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"plain", `[] "plain"`},
		{"\x1b[0Ksection_start:1560896352:build\r\x1b[0KBuild it", `[{true build false}] "Build it"`},
		{"section_start:1:a.b-C_1[collapsed=true]\r\x1b[0K\x1b[1mHead", `[{true a.b-C_1 true}] "\x1b[1mHead"`},
		{"section_start:1:a[x=y, collapsed=true]\r\x1b[0K", `[{true a true}] ""`},
		{"section_start:1:a[collapsed=false]\r\x1b[0K", `[{true a false}] ""`},
		{"\x1b[0Ksection_end:2:a\r\x1b[0K\x1b[0Ksection_start:2:b\r\x1b[0Knext", `[{false a false} {true b false}] "next"`},
		{"section_end:2:a", `[] "section_end:2:a"`},
		{"section_end:2:a rest", `[] "section_end:2:a rest"`},
		{"section_start:1:a\rBuild", `[] "section_start:1:a\rBuild"`},
		{"section_start:x:a\r\x1b[0K", `[] "section_start:x:a\r\x1b[0K"`},
		{"section_start::a\r\x1b[0K", `[] "section_start::a\r\x1b[0K"`},
		{"section_start:1:\r\x1b[0K", `[] "section_start:1:\r\x1b[0K"`},
		{"section_start:1:a b\r\x1b[0K", `[] "section_start:1:a b\r\x1b[0K"`},
		{"section_start:1:a[open\r\x1b[0K", `[] "section_start:1:a[open\r\x1b[0K"`},
		{"section_stop:1:a\r\x1b[0K", `[] "section_stop:1:a\r\x1b[0K"`},
		{"::group::x", `[] "::group::x"`},
	} {
		marks, rest := ParseMarks(test.line)
		if got := fmt.Sprintf("%v %q", marks, rest); got != test.want {
			t.Errorf("%q\n got %s\nwant %s", test.line, got, test.want)
		}
	}
}

func FuzzParseMarks(f *testing.F) {
	f.Add("\x1b[0Ksection_start:1:a[collapsed=true]\r\x1b[0Khead")
	f.Add("section_end:1:a\r\x1b[0Ksection_start:2:b\r\x1b[0Kx")
	f.Fuzz(func(t *testing.T, line string) {
		marks, rest := ParseMarks(line)
		if !strings.HasSuffix(line, rest) || (len(marks) == 0) != (rest == line) {
			t.Errorf("%q: %v, %q", line, marks, rest)
		}
		if again, _ := ParseMarks(rest); len(again) > 0 {
			t.Errorf("%q: %q begins with a marker still", line, rest)
		}
		for _, m := range marks {
			if m.Name == "" || strings.ContainsAny(m.Name, "<>\x1b\r\n \"'&") {
				t.Errorf("%q: name %q", line, m.Name)
			}
		}
	})
}
