package exec

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestSanitizeTerminal(t *testing.T) {
	for _, tt := range []struct{ in, plain, colour string }{
		{"plain text\twith tab", "plain text\twith tab", "plain text\twith tab"},
		{"über 日本", "über 日本", "über 日本"},
		{"\x1b[31mred\x1b[0m", "red", "\x1b[31mred\x1b[0m\x1b[0m"},
		{"\x1b[1;38:5:1mx", "x", "\x1b[1;38:5:1mx\x1b[0m"},
		{"\x1b[2Jclear\x1b[1;1H", "clear", "clear"},
		{"\x1b]0;title\x07text", "text", "text"},
		{"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link", "link"},
		{"\x1b]52;c;ZXZpbA==\x07", "", ""},
		{"\x1b]0;never ends", "", ""},
		{"\x1bPdcs\x1b\\a\x1b_apc\x1b\\b\x1b^pm\x1b\\c\x1bXsos\x1b\\d", "abcd", "abcd"},
		{"\u009b31mc1\u009b0m", "c1", "c1"},
		{"\u009d0;title\u009cafter", "after", "after"},
		{"\x1b(Bcharset\x1bcreset\x1b7", "charsetreset", "charsetreset"},
		{"\x1b[31", "", ""},
		{"\x1b[?25lhidden", "hidden", "hidden"},
		{"\x1b[>4mprivate", "private", "private"},
		{"\x1b[3\x071mx", "1mx", "1mx"},
		{"end\x1b", "end", "end"},
		{"\x1b\x1b[2Jx", "x", "x"},
		{"\x1b\x80x", "\uFFFDx", "\uFFFDx"},
		{"bell\x07 nul\x00 del\x7f bs\b", "bell nul del bs", "bell nul del bs"},
		{"bad \xff\xfe", "bad \uFFFD\uFFFD", "bad \uFFFD\uFFFD"},
		{"10%\r20%\r100%", "100%", "100%"},
		{"100%\r", "100%", "100%"},
		{"100%\r\r", "100%", "100%"},
		{"\x1b[31m1%\r2%", "2%", "2%"},
		{"", "", ""},
	} {
		if got := SanitizeTerminal(tt.in, false); got != tt.plain {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.plain)
		}
		if got := SanitizeTerminal(tt.in, true); got != tt.colour {
			t.Errorf("%q in colour: %q, want %q", tt.in, got, tt.colour)
		}
	}
}

func FuzzSanitizeTerminal(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m \x1b]0;t\x07 \u009b2J \xff\r\x1b[")
	f.Fuzz(func(t *testing.T, line string) {
		got := SanitizeTerminal(line, false)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) {
			t.Errorf("%q becomes %q", line, got)
		}
		if again := SanitizeTerminal(got, false); again != got {
			t.Errorf("%q is not stable: %q", got, again)
		}
		coloured := SanitizeTerminal(line, true)
		for i := 0; i < len(coloured); i++ {
			if coloured[i] == 0x1b {
				if n, sgr := escape(coloured[i:]); n == 0 || !sgr {
					t.Errorf("%q becomes %q", line, coloured)
				}
			}
		}
		// A sequence must not come together out of the text around a removed one.
		if stripped := SanitizeTerminal(coloured, false); stripped != got {
			t.Errorf("%q: %q with colours, %q without", line, coloured, got)
		}
	})
}

func TestDisplayName(t *testing.T) {
	for in, want := range map[string]string{
		"build":             "build",
		"test: [3.11, é]":   "test: [3.11, é]",
		"a\x1b[2Jb":         `a\u001b[2Jb`,
		"a\u202eb\u200bc\n": `a\u202eb\u200bc\u000a`,
	} {
		if got := DisplayName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
