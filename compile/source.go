package compile

import (
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// source finds places inside scalars. The tree knows where a scalar begins but
// not how it was quoted or indented; the text of the file does.
type source struct {
	file  string
	lines []string
}

func newSource(file string, data []byte) *source {
	return &source{file: file, lines: strings.Split(string(data), "\n")}
}

// within returns the position of the character at offset (in runes) of text, one
// line of a scalar of which pos is the beginning of that line or before it. Where
// the line does not hold the text as it is (escapes, folding), it returns pos.
func (s *source) within(pos syntax.Pos, text string, offset int) syntax.Pos {
	if pos.File != s.file || pos.Line < 1 || pos.Line > len(s.lines) || text == "" {
		return pos
	}
	line := []rune(s.lines[pos.Line-1])
	from := min(max(pos.Col-1, 0), len(line))
	before, _, found := strings.Cut(string(line[from:]), text)
	if !found {
		return pos
	}
	pos.Col = from + len([]rune(before)) + offset + 1
	return pos
}
