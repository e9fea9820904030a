package glob

import (
	"strings"
	"unicode/utf8"
)

// element is a part of a pattern.
type element struct {
	kind    elementKind
	literal string
	class   *class
}

type elementKind uint8

const (
	isLiteral     elementKind = iota
	isOne                     // a character of a class
	isAny                     // *: characters of one name
	isDirectories             // **/: directories, none included
)

// class is a set of characters, none of them a slash.
type class struct {
	negated bool
	ranges  [][2]rune
}

func (c *class) contains(r rune) bool {
	if r == '/' {
		return false
	}
	for _, of := range c.ranges {
		if of[0] <= r && r <= of[1] {
			return !c.negated
		}
	}
	return c.negated
}

// take returns how many bytes at the beginning of text are the element, a literal or
// a character; -1 if they are not.
func (e *element) take(text string) int {
	if e.kind == isLiteral {
		if strings.HasPrefix(text, e.literal) {
			return len(e.literal)
		}
		return -1
	}
	r, size := utf8.DecodeRuneInString(text)
	if size == 0 || !e.class.contains(r) {
		return -1
	}
	return size
}

// match matches a whole path. Of what may be of several lengths, the last tried alone
// is made longer: what an earlier one could reach, so can it. For * that holds within a
// name, for **/ across names. The time is at most that of elements times path.
func match(elements []element, path string) (matches bool, steps int) {
	// star and directories are the elements behind the last * and **/, with where in
	// the path they were tried.
	type retry struct{ element, at int }
	none := retry{element: -1}
	star, directories := none, none
	i, at := 0, 0
	for {
		steps++
		switch {
		case i == len(elements):
			if at == len(path) {
				return true, steps
			}
		case elements[i].kind == isAny:
			i++
			star = retry{i, at}
			continue
		case elements[i].kind == isDirectories:
			i++
			star, directories = none, retry{i, at}
			continue
		default:
			if n := elements[i].take(path[at:]); n >= 0 {
				i, at = i+1, at+n
				continue
			}
		}
		if star.element >= 0 && star.at < len(path) && path[star.at] != '/' {
			_, size := utf8.DecodeRuneInString(path[star.at:])
			star.at += size
			i, at = star.element, star.at
			continue
		}
		if directories.element < 0 {
			return false, steps
		}
		length := strings.IndexByte(path[directories.at:], '/')
		if length <= 0 {
			return false, steps
		}
		directories.at += length + 1
		star = none
		i, at = directories.element, directories.at
	}
}
