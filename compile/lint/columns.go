package lint

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// columns counts the columns of lines in the units of other programs.
type columns struct {
	sources map[string][]byte
	lines   map[string][]string // of the files that were asked for
}

// lineBreaks are those of YAML.
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// line returns a line of a file, which counts from 1; empty if there is none.
func (c *columns) line(file string, number int) string {
	lines, ok := c.lines[file]
	if !ok {
		text := strings.TrimPrefix(string(c.sources[file]), "\ufeff")
		lines = strings.Split(lineBreaks.Replace(text), "\n")
		c.lines[file] = lines
	}
	if number < 1 || number > len(lines) {
		return ""
	}
	return lines[number-1]
}

// fill sets the columns of p that follow from those in characters; file is its name
// in the sources. What lies behind the end of the line counts one a character.
func (c *columns) fill(p *Place, file string) {
	line := c.line(file, p.Line)
	count := func(column int) (bytes, units int) {
		bytes, units = column, column
		for rest := line; rest != "" && column > 1; column-- {
			r, width := utf8.DecodeRuneInString(rest) // of bytes that are no text, one
			rest = rest[width:]
			bytes += width - 1
			units += utf16.RuneLen(r) - 1
		}
		return bytes, units
	}
	p.ByteColumn, p.UTF16Column = count(p.Column)
	p.ByteEndColumn, p.UTF16EndColumn = count(p.EndColumn)
}
