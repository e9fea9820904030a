package script

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quote returns s as a single-quoted POSIX shell word. It fails for text that
// no shell word can hold: one with a NUL byte.
func Quote(s string) (string, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return "", errors.New("a NUL byte cannot be part of a shell word")
	}
	return singleQuoted(s), nil
}

// singleQuoted quotes text without NUL bytes. Nothing is special between single
// quotes but the quote itself, in any shell and whatever its options.
func singleQuoted(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// printable returns s with everything that could move a cursor, end a line or
// hide text written as an escape sequence, so that it stays on one line of a
// comment or a log. Tabs stay.
func printable(s string) string {
	if strings.IndexFunc(s, hidden) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if hidden(r) || r == utf8.RuneError && size == 1 {
			quoted := strconv.QuoteToASCII(s[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

func hidden(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }
