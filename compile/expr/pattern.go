package expr

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// patternForm is what a string must look like to be used as a pattern. It is
// laxer than the token of the same name: any text may stand between the slashes.
var patternForm = regexp.MustCompile(`\A/(.*)/([ismU]*)\z`)

// compilePattern compiles /regex/flags; ok is false if text is no valid pattern.
func compilePattern(text string) (re *regexp.Regexp, ok bool) {
	m := patternForm.FindStringSubmatch(text)
	if m == nil {
		return nil, false
	}
	re, err := compileRegexp(m[1], m[2])
	return re, err == nil
}

// compileRegexp compiles body with the flags in front of it. Go's dialect is
// RE2's, GitLab's engine: a slash may stand escaped or not.
func compileRegexp(body, flags string) (*regexp.Regexp, error) {
	if flags != "" {
		body = "(?" + flags + ")" + body
	}
	return regexp.Compile(body)
}

// newPattern makes the node of a pattern token. An invalid regular expression is
// reported where its faulty part stands.
func newPattern(t token) (node, error) {
	n := &pattern{text: t.text, at: t.at}
	body := n.body()
	re, err := compileRegexp(body, n.text[len(body)+2:])
	if err == nil {
		n.re = re
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
// except and =~ do; ok is false if pattern is no valid pattern.
func MatchPattern(pattern, text string) (match, ok bool) {
	re, ok := compilePattern(pattern)
	return ok && re.MatchString(text), ok
}
