// Package match matches the regular expressions of pipelines, within bounds: a
// pattern's size, and the work of one whole compilation. Go's regexp takes time in
// proportion to pattern and text, so that no pattern is catastrophic; thousands of
// them over long texts are. It depends on the standard library alone.
package match

import (
	"errors"
	"regexp"
	"regexp/syntax"
)

// MaxSource and MaxSize bound a regular expression: its text in bytes, and the steps
// that it is made into. GitLab's engine, RE2, refuses larger ones, too.
const (
	MaxSource = 8 << 10
	MaxSize   = 32 << 10
)

// ErrTooLarge is the fault of a regular expression beyond [MaxSource] or [MaxSize].
var ErrTooLarge = errors.New("it is too large")

// Budgets of a compilation for [New]. A unit is a step of a pattern over a byte of
// text, of 5 to 25 ns.
const (
	// Texts is for the patterns of expressions, refs and inputs.
	Texts = 48 << 20
	// Paths is for the files that rules ask for, which a project may have many of.
	Paths = 128 << 20
)

// The cost of making a pattern, in units: for each step, and for any.
const (
	costOfStep    = 24
	costOfPattern = 1024
)

// What is kept at most, before all of it is forgotten: patterns by their steps, and
// answers.
const (
	maxKeptSteps   = 64 << 10
	maxKeptAnswers = 64 << 10
)

// Matcher matches for one compilation. The zero value has spent its budget.
type Matcher struct {
	left     int
	told     bool
	steps    int
	patterns map[string]*Pattern
	answers  map[question]bool
}

type question struct{ source, text string }

// New returns a matcher that may spend a number of units.
func New(budget int) *Matcher { return &Matcher{left: budget} }

// Spend takes units off the budget, and reports whether there were as many.
func (m *Matcher) Spend(units int) bool {
	m.left = max(m.left-units, -1)
	return m.left >= 0
}

// Spent reports whether the budget was not enough: no answer since then counts.
func (m *Matcher) Spent() bool { return m.left < 0 }

// Report is [Matcher.Spent], once: to the first that asks since it is so.
func (m *Matcher) Report() bool {
	first := m.Spent() && !m.told
	m.told = m.Spent()
	return first
}

// Match reports whether a part of text matches a regular expression. A pair is matched
// once. Nothing matches once the budget is spent. An error is that of [Check].
func (m *Matcher) Match(source, text string) (bool, error) {
	p, err := m.Compile(source)
	if err != nil || !m.Spend(1+len(text)/64) { // of looking it up
		return false, err
	}
	q := question{source, text}
	answer, known := m.answers[q]
	if !known {
		if m.answers == nil || len(m.answers) == maxKeptAnswers {
			m.answers = map[question]bool{}
		}
		answer = p.Match(text)
		m.answers[q] = answer
	}
	return answer, nil
}

// Pattern is a regular expression that spends the budget of its matcher.
type Pattern struct {
	m    *Matcher
	re   *regexp.Regexp // nil once the budget is spent
	size int
}

// Compile makes a pattern, or returns one that was made before. An error is that of
// [Check].
func (m *Matcher) Compile(source string) (*Pattern, error) {
	if p := m.patterns[source]; p != nil {
		return p, nil
	}
	size, err := measure(source)
	if err != nil {
		return nil, err
	}
	p := &Pattern{m: m, size: size}
	if !m.Spend(costOfPattern + costOfStep*size) {
		return p, nil
	}
	if p.re, err = regexp.Compile(source); err != nil {
		return nil, err
	}
	if m.steps += size; m.patterns == nil || m.steps > maxKeptSteps {
		m.patterns, m.steps = map[string]*Pattern{}, size
	}
	m.patterns[source] = p
	return p, nil
}

// Match reports whether a part of text matches; nothing does once the budget is spent.
func (p *Pattern) Match(text string) bool {
	return p.re != nil && p.m.Spend(p.size*(1+len(text))) && p.re.MatchString(text)
}

// Check returns the fault of a regular expression: [ErrTooLarge], or an
// [*syntax.Error] of the package regexp/syntax.
func Check(source string) error {
	_, err := measure(source)
	return err
}

// measure returns about how many steps a regular expression is made into.
func measure(source string) (int, error) {
	if len(source) > MaxSource {
		return 0, ErrTooLarge
	}
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return 0, err
	}
	n := steps(re)
	if n > MaxSize {
		return 0, ErrTooLarge
	}
	return n, nil
}

// steps counts more than [MaxSize] no further, so that no sum overflows.
func steps(re *syntax.Regexp) int {
	n := 0
	for _, sub := range re.Sub {
		n = min(n+steps(sub), MaxSize+1)
	}
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpCharClass:
		n = 1 + len(re.Rune)/16
	case syntax.OpConcat:
	case syntax.OpAlternate:
		n += len(re.Sub)
	case syntax.OpCapture:
		n += 2
	case syntax.OpRepeat:
		if re.Min < re.Max { // what is optional is a step more
			n++
		}
		n *= max(re.Max, re.Min+1)
	default:
		n++
	}
	return min(n, MaxSize+1)
}
