package compile

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/syntax"
)

// sources finds places inside scalars. The tree knows where a scalar begins but
// not how it was quoted or indented; the text of the file does.
type sources struct {
	texts map[string][]byte
	lines map[string][]string // of the files that were asked for
	near  nearby              // what was looked up last
}

// of returns the lines of a file, nil if it was not read.
func (s *sources) of(file string) []string {
	lines, ok := s.lines[file]
	if text, read := s.texts[file]; !ok && read {
		lines = strings.Split(string(text), "\n")
		s.lines[file] = lines
	}
	return lines
}

// within returns the position of the character at offset (in runes) of text, of
// which pos is the beginning or something before it on the same line: the whole of
// a scalar or one line of it. Where the file does not hold the text as it is
// (escapes), it returns pos.
func (s *sources) within(pos syntax.Pos, text string, offset int) syntax.Pos {
	lines := s.of(pos.File)
	if pos.Line < 1 || pos.Line > len(lines) || text == "" {
		return pos
	}
	rest := s.from(lines[pos.Line-1], pos)
	from := pos.Col - 1
	before, _, found := strings.Cut(rest, text)
	if !found {
		rest = rest[:min(len(rest), maxEscape*(len(text)+1))]
		return spread(lines, pos, []rune(strings.ToValidUTF8(rest, "")), []rune(text), offset)
	}
	pos.Col = from + utf8.RuneCountInString(before) + offset + 1
	return pos
}

// maxEscape is the most bytes that stand for one byte in a scalar: "\U00000041".
const maxEscape = 10

// from is a line from a position in it on. The line may be a whole file, and the next
// position that is asked for is mostly behind this one.
func (s *sources) from(line string, pos syntax.Pos) string {
	near := s.near
	if near.pos.File != pos.File || near.pos.Line != pos.Line || near.pos.Col > pos.Col {
		near = nearby{pos: syntax.Pos{File: pos.File, Line: pos.Line, Col: 1}}
	}
	for ; near.pos.Col < pos.Col && near.offset < len(line); near.pos.Col++ {
		_, size := utf8.DecodeRuneInString(line[near.offset:])
		near.offset += size
	}
	s.near = near
	return line[near.offset:]
}

// nearby is a position and its offset in its line, in bytes.
type nearby struct {
	pos    syntax.Pos
	offset int
}

// spread is within for a text that is spread over lines, with line breaks and
// indentation of its own in the file: of both, only what is no white space counts.
// rest is the line from pos on.
func spread(lines []string, pos syntax.Pos, rest, text []rune, offset int) syntax.Pos {
	at := syntax.Pos{File: pos.File, Line: pos.Line, Col: pos.Col}
	if len(rest) > 0 && (rest[0] == '|' || rest[0] == '>') { // the header of a block
		rest = nil
	} else if len(rest) > 0 && (rest[0] == '"' || rest[0] == '\'') {
		rest, at.Col = rest[1:], at.Col+1
	}
	for i, want := range text {
		if unicode.IsSpace(want) {
			continue
		}
		for len(rest) == 0 || unicode.IsSpace(rest[0]) {
			switch {
			case len(rest) > 0:
				rest, at.Col = rest[1:], at.Col+1
			case at.Line == len(lines):
				return pos
			default:
				rest, at.Line, at.Col = []rune(lines[at.Line]), at.Line+1, 1
			}
		}
		if rest[0] != want {
			return pos
		}
		if i >= offset {
			return at
		}
		rest, at.Col = rest[1:], at.Col+1
	}
	return at // behind the text
}
