package script

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/syntax"
)

// source is the commands of a program as one text, and the way back from an
// offset in the text to a place in a command.
type source struct {
	// commands without final newlines; text is these, each with one newline.
	commands []string
	text     string
	// starts holds the offset in text of each command.
	starts []int
}

func newSource(commands []string) (*source, error) {
	s := &source{commands: make([]string, len(commands)), starts: make([]int, len(commands))}
	var b strings.Builder
	for i, c := range commands {
		s.commands[i] = strings.TrimRight(c, "\n")
		s.starts[i] = b.Len()
		b.WriteString(s.commands[i])
		b.WriteByte('\n')
	}
	s.text = b.String()
	if i := strings.IndexByte(s.text, 0); i >= 0 {
		return nil, s.errorAt(i, "a shell program cannot hold a NUL byte", "")
	}
	return s, nil
}

// lines returns the lines of a command.
func (s *source) lines(command int) []string { return strings.Split(s.commands[command], "\n") }

// locate returns the command that holds offset and the offset within it.
func (s *source) locate(offset int) (command, within int) {
	command = sort.SearchInts(s.starts, offset+1) - 1
	return command, min(offset-s.starts[command], len(s.commands[command]))
}

// errorAt makes an error for an offset in the text.
func (s *source) errorAt(offset int, msg, help string) *Error {
	command, within := s.locate(offset)
	before := s.commands[command][:within]
	return &Error{
		Command: command,
		Line:    strings.Count(before, "\n"),
		Col:     utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]),
		Msg:     msg,
		Help:    help,
	}
}

// commentEnd matches a comment whose line ends in a backslash.
var commentEnd = regexp.MustCompile(`(?m)(?:^|[ \t;])#.*\\$`)

// parsable returns the text for the parser, of the same length as s.text. No
// shell continues a comment on the next line, but the parser would, so the
// backslash is blanked out.
func (s *source) parsable() string {
	found := commentEnd.FindAllStringIndex(s.text, -1)
	if found == nil {
		return s.text
	}
	text := []byte(s.text)
	for _, m := range found {
		text[m[1]-1] = ' '
	}
	return string(text)
}

// place is a line of a command.
type place struct{ command, line int }

// maxTrace is the most characters of a command that its trace line shows.
const maxTrace = 400

// excerpt returns the line at p as a trace line shows it, with the number of
// lines of the command that follow.
func (s *source) excerpt(p place) string {
	lines := s.lines(p.command)
	text := printable(strings.TrimSpace(lines[p.line]))
	if utf8.RuneCountInString(text) > maxTrace {
		text = string([]rune(text)[:maxTrace]) + "..."
	}
	if n := len(lines) - p.line - 1; n == 1 {
		text += " # +1 line"
	} else if n > 1 {
		text += fmt.Sprintf(" # +%d lines", n)
	}
	return text
}

// offset returns where pos is in the text.
func offset(pos syntax.Pos) int { return int(pos.Offset()) }
