package exec

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SanitizeTerminal makes a line of untrusted output harmless to a terminal:
// no escape sequence is left (ECMA-48: CSI, OSC, DCS, ...), in its 7-bit or
// 8-bit form, but for colours and attributes (SGR) if colour is set; no
// control character but the tab; no invalid UTF-8. Of a line that a carriage
// return overwrote, as progress bars do, what was there last remains.
func SanitizeTerminal(line string, colour bool) string {
	if plain(line) {
		return line
	}
	var b strings.Builder
	styled := false
	for i := 0; i < len(line); {
		if n, sgr := escape(line[i:]); n > 0 {
			if sgr && colour {
				b.WriteString(line[i : i+n])
				styled = true
			}
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(line[i:])
		switch {
		case r == '\r':
			if rest := line[i+n:]; strings.Trim(rest, "\r") != "" {
				b.Reset()
				styled = false
			}
		case r == '\t' || !unicode.IsControl(r):
			b.WriteRune(r) // invalid bytes become U+FFFD
		}
		i += n
	}
	if styled {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

// plain reports whether nothing of the line needs a closer look.
func plain(line string) bool {
	for i := 0; i < len(line); i++ {
		if c := line[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// escape returns the length of the escape sequence at the start of s, 0 if there
// is none, and whether it is a complete SGR sequence. A sequence that the line's
// end cuts off reaches to the end.
func escape(s string) (n int, sgr bool) {
	kind := byte(0)
	switch {
	case s[0] == 0x1b && len(s) == 1:
		return 1, false
	case s[0] == 0x1b:
		kind, n = s[1], 2
	case s[0] == 0xc2 && len(s) > 1 && 0x80 <= s[1] && s[1] <= 0x9f: // C1 in UTF-8
		kind, n = s[1]-0x40, 2
	default:
		return 0, false
	}
	switch {
	case kind == '[': // CSI: parameters and intermediates, then one final byte
		for i := n; i < len(s); i++ {
			if c := s[i]; c >= 0x40 && c <= 0x7e {
				return i + 1, c == 'm' && s[0] == 0x1b && strings.Trim(s[n:i], "0123456789;:") == ""
			} else if c < 0x20 || c > 0x7e {
				return i, false // broken off: what follows is text
			}
		}
		return len(s), false
	case strings.IndexByte("]PX^_", kind) >= 0: // OSC, DCS, SOS, PM, APC: a string up to BEL or ST
		for i := n; i < len(s); i++ {
			switch {
			case s[i] == 0x07:
				return i + 1, false
			case s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\',
				s[i] == 0xc2 && i+1 < len(s) && s[i+1] == 0x9c:
				return i + 2, false
			}
		}
		return len(s), false
	case s[0] == 0x1b && kind >= 0x20 && kind <= 0x2f: // intermediates, then one final byte
		for n < len(s) && s[n] >= 0x20 && s[n] <= 0x2f {
			n++
		}
		return min(n+1, len(s)), false
	case s[0] == 0x1b && (kind < 0x20 || kind > 0x7e):
		return 1, false // a lone ESC
	}
	return n, false
}

// DisplayName makes a name from a plan safe to print: control characters and
// those that are invisible or change the direction of writing are escaped.
func DisplayName(name string) string {
	if plain(name) {
		return name
	}
	var b strings.Builder
	for _, r := range name {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// terminalWriter makes what is written harmless, line by line.
type terminalWriter struct {
	lines  splitter
	colour bool
	w      io.Writer
	err    error
}

// NewTerminalWriter returns a writer for untrusted text that is to be seen on a
// terminal; see [SanitizeTerminal]. Close ends a last line without a newline.
func NewTerminalWriter(w io.Writer, colour bool) io.WriteCloser {
	t := &terminalWriter{w: w, colour: colour}
	t.lines = splitter{max: maxLine, emit: t.line}
	return t
}

func (t *terminalWriter) line(line []byte, continued bool) {
	if t.err != nil {
		return
	}
	text := SanitizeTerminal(string(line), t.colour)
	if !continued {
		text += "\n"
	}
	_, t.err = io.WriteString(t.w, text)
}

// Write implements [io.Writer].
func (t *terminalWriter) Write(p []byte) (int, error) {
	t.lines.write(p)
	return len(p), t.err
}

// Close writes what is left.
func (t *terminalWriter) Close() error {
	t.lines.flush()
	return t.err
}
