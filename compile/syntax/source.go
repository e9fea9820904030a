package syntax

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxFileSize is the largest pipeline file in bytes (specification, section 0).
const MaxFileSize = 2 << 20

// source is the text of a file and its lines, without their breaks (LF, CR LF or
// CR).
type source struct {
	file  string
	text  string
	lines []string
	// endsInBreak: the last line ends with a line break.
	endsInBreak bool
}

// newSource checks the encoding of data and splits it in lines.
func newSource(file string, data []byte) (*source, *Error) {
	if len(data) > MaxFileSize {
		return nil, &Error{Code: CodeTooLarge, Pos: Pos{file, 1, 1},
			Msg:  fmt.Sprintf("the file has %d bytes, more than the %d that are allowed", len(data), MaxFileSize),
			Help: "split the pipeline into several files"}
	}
	for _, bom := range []string{"\xff\xfe", "\xfe\xff", "\x00\x00\xfe\xff"} {
		if bytes.HasPrefix(data, []byte(bom)) {
			return nil, &Error{Code: CodeEncoding, Pos: Pos{file, 1, 1},
				Msg:  "the file is UTF-16 or UTF-32, not UTF-8: byte order mark at byte offset 0",
				Help: "save the file as UTF-8"}
		}
	}
	text := string(bytes.TrimPrefix(data, []byte("\ufeff")))
	shift := len(data) - len(text)
	s := &source{file: file, text: text, lines: splitLines(text)}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			return nil, &Error{Code: CodeEncoding, Pos: s.at(i),
				Msg:  fmt.Sprintf("invalid UTF-8 at byte offset %d (byte 0x%02x)", i+shift, text[i]),
				Help: "save the file as UTF-8"}
		}
		if !isPrintable(r) {
			e := &Error{Code: CodeControlCharacter, Pos: s.at(i),
				Msg:  fmt.Sprintf("control character %q at byte offset %d is not allowed in YAML", r, i+shift),
				Help: fmt.Sprintf(`write it inside double quotes, as "%s"`, escapeOf(r))}
			if r == 0 {
				e.Help = "if the file is UTF-16, save it as UTF-8"
			}
			return nil, e
		}
		i += size
	}
	s.endsInBreak = strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\r")
	return s, nil
}

// isPrintable reports whether YAML 1.1 (section 4.1.1) allows r in a stream.
func isPrintable(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r', r == 0x85:
		return true
	case r < 0x20, r >= 0x7f && r < 0xa0, r == 0xfffe, r == 0xffff:
		return false
	}
	return true
}

// escapeOf is a character as it is written in a double-quoted scalar (YAML 1.1, 5.6).
func escapeOf(r rune) string {
	switch {
	case r <= 0xff:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

// splitLines splits text at LF, CR LF and CR. A last line break begins no line.
func splitLines(text string) []string {
	lines := make([]string, 0, strings.Count(text, "\n")+1)
	for text != "" {
		i := strings.IndexAny(text, "\r\n")
		if i < 0 {
			return append(lines, text)
		}
		lines = append(lines, text[:i])
		if strings.HasPrefix(text[i:], "\r\n") {
			i++
		}
		text = text[i+1:]
	}
	return lines
}

// at returns the position of a byte offset in the text.
func (s *source) at(offset int) Pos {
	before := splitLines(s.text[:offset] + "x")
	last := before[len(before)-1]
	return Pos{s.file, len(before), utf8.RuneCountInString(last)}
}

// line returns line n (1-based), "" if there is none.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

// indentTab returns the column of the first tab before the first other
// character of line n, or 0.
func (s *source) indentTab(n int) int {
	line := s.line(n)
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	return strings.IndexByte(indent, '\t') + 1
}
