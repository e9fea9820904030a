package script

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// The parser refuses some texts that shells read, and fail on only when they come to
// them, or not even then: an expansion that none knows, arithmetic that is none, a
// here-document that the end of the program ends. GitLab makes a pipeline of these,
// so they are warnings. To see the rest of the program, such a place is overwritten
// in the text that is parsed, which stays as long as it is but for an end that lacks.

const (
	maxMends     = 10      // of one program
	maxMendBytes = 1 << 20 // that are parsed once more
	maxExpansion = 1 << 10 // bytes of an expansion
	maxNested    = 8       // expansions around a fault that are looked at
)

// mended is a text without the places that only the parser refuses.
type mended struct {
	text []byte
	// doubts are what the shell fails on, or takes otherwise than meant.
	doubts []*Error
	// construct is what only bash knows.
	construct *construct
}

// mend returns a text that can be parsed as bash; nil if there is no such, since
// every shell refuses the text too. err is why the parser does.
func (s *source) mend(text string, err error) *mended {
	m := &mended{text: []byte(text)}
	for n := 0; err != nil; n++ {
		if n == maxMends || n*len(text) > maxMendBytes || !m.overwrite(s, err) {
			return nil
		}
		_, err = parseAs(syntax.LangBash, string(m.text))
	}
	return m
}

// overwrite mends the place of a parser's error, if it knows how to.
func (m *mended) overwrite(s *source, err error) bool {
	var fault syntax.ParseError
	var lang syntax.LangError
	at := 0
	switch {
	case errors.As(err, &fault):
		at = offset(fault.Pos)
	case errors.As(err, &lang): // of another shell, such as arithmetic with fractions
		at = offset(lang.Pos)
	default:
		return false
	}
	if word, ok := strings.CutPrefix(fault.Text, "unclosed here-document "); ok {
		return m.endHereDocument(s, at, strings.Trim(word, "`"))
	}
	if strings.HasPrefix(fault.Text, "reached EOF") {
		return false // a quote or a bracket lacks its end, which no shell forgives
	}
	expansion, ok := enclosing(m.text, at, "${", expansionEnd)
	if sum, found := enclosing(m.text, at, "((", arithmeticEnd); found && (!ok || sum.start > expansion.start) {
		return m.arithmetic(s, sum)
	}
	return ok && m.expansion(s, expansion)
}

// region is a part of a text, from its first byte to behind its last.
type region struct{ start, end int }

// enclosing finds the last opener at or before at, or behind a dollar sign there, whose
// end, which close finds, is not before at.
func enclosing(text []byte, at int, opener string, close func([]byte) int) (region, bool) {
	end := min(at+len("$")+len(opener), len(text))
	for range maxNested {
		first := max(0, end-maxExpansion)
		start := bytes.LastIndex(text[first:end], []byte(opener))
		if start < 0 {
			break
		}
		start += first
		if size := close(text[start:]); size > 0 && start+size > at {
			return region{start, start + size}, true
		}
		end = start + len(opener) - 1
	}
	return region{}, false
}

// expansionEnd returns the length of an expansion that begins the text, 0 if it has
// no end.
func expansionEnd(text []byte) int { return balanced(text, len("$"), '{', '}') }

// arithmeticEnd is the like for ((...)), whose parentheses close together.
func arithmeticEnd(text []byte) int {
	size := balanced(text, 0, '(', ')')
	if size < len("(())") || text[size-2] != ')' || balanced(text, 1, '(', ')') != size-1 {
		return 0
	}
	return size
}

// balanced returns where the brackets that open at from are closed, 0 if nowhere.
func balanced(text []byte, from int, opening, closing byte) int {
	depth := 0
	for i := from; i < min(len(text), from+maxExpansion); i++ {
		switch text[i] {
		case '\\':
			i++
		case opening:
			depth++
		case closing:
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

var (
	// countExpansion is $# with what stands behind a parameter: ${##a}, ${#:-0}.
	countExpansion = regexp.MustCompile(`^\$\{#(?:[#%]|:?[-+=?]).*\}$`)
	// caseExpansion is an operator of bash that its manual leaves out.
	caseExpansion = regexp.MustCompile(`^\$\{[A-Za-z_]\w*~~?\}$`)
	// otherExpansion is that of GitHub Actions, which may hold anything.
	otherExpansion = regexp.MustCompile(`\$\{\{[^{}\n]*\}\}`)
)

// expansion overwrites an expansion that the parser does not know.
func (m *mended) expansion(s *source, r region) bool {
	text := m.text[r.start:r.end]
	switch {
	case countExpansion.Match(text):
	case caseExpansion.Match(text):
		m.construct = earliest(m.construct, &construct{r.start, `"${name~}"`, ""})
	default:
		help := ""
		if bytes.HasPrefix(text, []byte("${{")) {
			help = `"${{ }}" is of GitHub Actions; variables are written $NAME here`
		}
		m.doubt(s, r, "is no expansion that a shell knows", help)
		for _, other := range otherExpansion.FindAllIndex(m.text, -1) {
			fill(m.text[other[0]:other[1]], '.')
		}
	}
	// Wherever it stands: a text that is no name, nor part of any operator.
	m.text = bytes.ReplaceAll(m.text, bytes.Clone(text), bytes.Repeat([]byte("."), len(text)))
	return true
}

// arithmetic overwrites what stands in $((...)) or ((...)).
func (m *mended) arithmetic(s *source, r region) bool {
	inner := m.text[r.start+len("((") : r.end-len("))")]
	dollar := r.start > 0 && m.text[r.start-1] == '$'
	if bytes.Count(inner, []byte("1")) == len(inner) && !(len(inner) == 0 && dollar) {
		return false // it is mended, or nothing that could be
	}
	if dollar {
		r.start--
	}
	if string(m.text[r.start:r.end]) == s.text[r.start:r.end] { // else told of what is in it
		m.doubt(s, r, "is no arithmetic that a shell knows", "")
	}
	if len(inner) == 0 {
		inner = m.text[r.start:r.end]
	}
	fill(inner, '1')
	return true
}

// endHereDocument ends a here-document at the end of the program, as bash and other
// shells do with a warning, or where a line begins with the word that would end it
// and goes on with the parenthesis of $(...), as bash does.
func (m *mended) endHereDocument(s *source, at int, word string) bool {
	e := s.errorAt(at, fmt.Sprintf("the here-document %q has no end: all the rest of the script is its text", word), "")
	body := bytes.IndexByte(m.text[at:], '\n')
	if body < 0 || word == "" {
		return false
	}
	quoted := regexp.QuoteMeta(word)
	if end := regexp.MustCompile(`(?m)^\t*` + quoted + `[ \t]*\)`).FindIndex(m.text[at+body:]); end != nil {
		e.Msg = fmt.Sprintf("the here-document %q has no end of its own: bash alone ends it here", word)
		e.Help = fmt.Sprintf("put the parenthesis behind %q on a line of its own", word)
		operator := bytes.Index(m.text[at:at+body], []byte(word))
		if operator < 0 {
			return false
		}
		fill(m.text[at:at+operator+len(word)], ' ')
		fill(m.text[at+body:at+body+end[1]-1], ' ')
		m.construct = earliest(m.construct, &construct{at, "a here-document that a parenthesis ends", ""})
	} else {
		if regexp.MustCompile(`(?m)^[ \t]+` + quoted + `[ \t]*$|^` + quoted + `[ \t]+$`).Match(m.text[at+body:]) {
			e.Help = fmt.Sprintf("%q must begin its line, with nothing behind it", word)
		}
		m.text = append(append(m.text, word...), '\n')
	}
	m.doubts = append(m.doubts, e)
	return true
}

// doubt notes a region that the shell fails on when it comes to it.
func (m *mended) doubt(s *source, r region, what, help string) {
	const most = 40
	shown := printable(string(m.text[r.start:r.end]))
	if len(shown) > most {
		shown = strings.ToValidUTF8(shown[:most], "") + "..."
	}
	m.doubts = append(m.doubts, s.errorAt(r.start, strconv.Quote(shown)+" "+what+": the job will fail there", help))
}

func fill(text []byte, with byte) {
	for i := range text {
		text[i] = with
	}
}
