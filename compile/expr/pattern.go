package expr

import (
	"errors"
	"math"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/match"
)

// cutPattern returns the regular expression of a text that may be used as a pattern,
// /regex/flags. That is laxer than the token of the same name: any text of one line
// may stand between the slashes.
func cutPattern(text string) (source string, ok bool) {
	end := strings.LastIndexByte(text, '/')
	if end < 1 || text[0] != '/' {
		return "", false
	}
	body, flags := text[1:end], text[end+1:]
	if strings.Trim(flags, "ismU") != "" || strings.ContainsRune(body, '\n') {
		return "", false
	}
	return withFlags(body, flags), true
}

// isValidPattern reports whether a text is a valid pattern, or would be if it were smaller.
func isValidPattern(text string) bool {
	source, ok := cutPattern(text)
	if !ok {
		return false
	}
	err := match.Check(source)
	return err == nil || errors.Is(err, match.ErrTooLarge)
}

// withFlags puts the flags in front of a regular expression. Go's dialect is RE2's,
// GitLab's engine: a slash may stand escaped or not.
func withFlags(body, flags string) string {
	if flags != "" {
		body = "(?" + flags + ")" + body
	}
	return body
}

// newPattern makes the node of a pattern token. An invalid regular expression is
// reported where its faulty part stands.
func newPattern(t token) (node, error) {
	n := &pattern{text: t.text, at: t.at}
	body := n.body()
	n.source = withFlags(body, n.text[len(body)+2:])
	err := match.Check(n.source)
	if err == nil {
		return n, nil
	}
	e := &Error{Offset: t.at.offset, Len: t.at.length, Msg: "invalid regular expression: " + err.Error()}
	var fault *syntax.Error
	if errors.As(err, &fault) {
		e.Msg = "invalid regular expression: " + fault.Code.String()
		if i := strings.Index(body, fault.Expr); i >= 0 && fault.Expr != "" {
			e.Offset += 1 + utf8.RuneCountInString(body[:i])
			e.Len = utf8.RuneCountInString(fault.Expr)
		}
		if fault.Code == syntax.ErrInvalidPerlOp {
			e.Help = "the dialect is RE2, which has no lookahead, lookbehind or backreferences"
		}
	}
	return nil, e
}

// MatchPattern reports whether text matches a /regex/flags pattern as only,
// except and =~ do; ok is false if pattern is no valid pattern. One that is too large
// spends the whole budget.
func MatchPattern(m *match.Matcher, pattern, text string) (matches, ok bool) {
	source, ok := cutPattern(pattern)
	if !ok {
		return false, false
	}
	matches, err := m.Match(source, text)
	if errors.Is(err, match.ErrTooLarge) {
		m.Spend(math.MaxInt)
		return false, true
	}
	return matches, err == nil
}
