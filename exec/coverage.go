package exec

import (
	"fmt"
	"regexp"
	"strconv"
)

// coverage finds a job's coverage in its output: the last line that matches,
// and in the match the first number. Source: specification section 29.
type coverage struct {
	pattern *regexp.Regexp
	found   *float64
}

// coverageNumber is a number in a match.
var coverageNumber = regexp.MustCompile(`\d+(?:\.\d+)?`)

// newCoverage returns nil for a job that has no expression.
func newCoverage(expression string) (*coverage, error) {
	if expression == "" {
		return nil, nil
	}
	pattern, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("coverage: %w", err)
	}
	return &coverage{pattern: pattern}, nil
}

// line looks at a line of output; c may be nil.
func (c *coverage) line(text string) {
	if c == nil {
		return
	}
	match := c.pattern.FindString(text)
	number := coverageNumber.FindString(match)
	if number == "" {
		return
	}
	// A number of so many digits that it is none to a float64 is left out.
	if value, err := strconv.ParseFloat(number, 64); err == nil {
		c.found = &value
	}
}

// result is what was found, nil for nothing.
func (c *coverage) result() *float64 {
	if c == nil {
		return nil
	}
	return c.found
}
