package compile

import (
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/glob"
	"github.com/cic-ci/cic/compile/match"
)

// pathRegexp is rules:changes:regexp or rules:exists:regexp: it holds if a path
// matches (specification sections 10.1, 10.2).
//
// GitLab reads it as Ruby does. What it is used for most is "everything but": a
// negative look-ahead at the beginning, \A(?!docs/). Those are taken apart here;
// the rest is RE2, whose time is bounded.
type pathRegexp struct {
	not   []*match.Pattern
	match *match.Pattern
}

// parsePathRegexp parses an expression whose variables have been put in. It is matched
// within the budget of m.
func parsePathRegexp(m *match.Matcher, text string) (*pathRegexp, error) {
	p := &pathRegexp{}
	rest, anchored := strings.CutPrefix(text, `\A`)
	if !anchored {
		rest, anchored = strings.CutPrefix(text, "^")
	}
	for anchored {
		inside, behind, ok := cutLookahead(rest)
		if !ok {
			break
		}
		re, err := m.Compile(`\A(?:` + inside + `)`)
		if err != nil {
			return nil, err
		}
		p.not, rest = append(p.not, re), behind
	}
	if anchored {
		rest = `\A(?:` + rest + `)`
	}
	var err error
	p.match, err = m.Compile(rest)
	return p, err
}

// cutLookahead cuts a leading negative look-ahead, (?!inside), off an expression.
func cutLookahead(text string) (inside, rest string, ok bool) {
	const open = "(?!"
	if !strings.HasPrefix(text, open) {
		return "", text, false
	}
	depth, class := 1, false
	for i := len(open); i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return text[len(open):i], text[i+1:], true
			}
		}
	}
	return "", text, false
}

// answer says whether one of the paths matches. As on GitLab, more of them than are
// looked at count as a match.
func (p *pathRegexp) answer(paths []string) answer {
	if len(paths) > glob.MaxComparisons {
		return answer{holds: true, assumed: true}
	}
	return answer{holds: slices.ContainsFunc(paths, p.one)}
}

func (p *pathRegexp) one(path string) bool {
	for _, not := range p.not {
		if not.Match(path) {
			return false
		}
	}
	return p.match.Match(path)
}
