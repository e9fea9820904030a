package script

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// group is a run of commands that belong to one construct, mostly just one.
type group struct {
	// place is the line before which the trace lines stand.
	place
	// traced is the line that the trace shows, for each command of the group.
	traced []place
}

// groups finds where trace lines may stand: before a line that begins with a
// statement of the top level, since there no quote, here-document or compound
// command is open. A command that does not begin so continues the one before it.
// Blank lines and comments are not traced.
func (s *source) groups(file *syntax.File) []group {
	statements := make(map[int]bool, len(file.Stmts))
	for _, stmt := range file.Stmts {
		statements[offset(stmt.Pos())] = true
	}
	var groups []group
	for i := range s.commands {
		first, ok := s.firstLine(i)
		switch {
		case !ok:
			continue
		case len(groups) == 0:
			groups = append(groups, group{place: first})
			if !s.begins(first, statements) {
				groups[0].place = place{}
			}
		case s.begins(first, statements):
			groups = append(groups, group{place: first})
		}
		last := &groups[len(groups)-1]
		last.traced = append(last.traced, first)
	}
	return groups
}

// firstLine returns the first line of a command that is neither blank nor looks
// like a comment.
func (s *source) firstLine(command int) (place, bool) {
	for n, line := range s.lines(command) {
		if t := strings.TrimSpace(line); t != "" && t[0] != '#' {
			return place{command, n}, true
		}
	}
	return place{}, false
}

// begins reports whether a statement of the top level begins the line, with
// nothing of an earlier line running into it.
func (s *source) begins(p place, statements map[int]bool) bool {
	at := s.starts[p.command]
	for _, line := range s.lines(p.command)[:p.line] {
		at += len(line) + 1
	}
	rest := s.text[at:]
	indent := len(rest) - len(strings.TrimLeft(rest, " \t"))
	if !statements[at+indent] {
		return false
	}
	before := strings.TrimSuffix(s.text[:at], "\n")
	backslashes := len(before) - len(strings.TrimRight(before, `\`))
	return backslashes%2 == 0
}
