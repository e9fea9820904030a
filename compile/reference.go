package compile

import (
	"strings"

	"github.com/cic-ci/cic/plan"
)

// scanReferences splits a value into literal text and references to variables,
// in one pass and as GitLab's server and runner do together (specification
// section 18.3):
//
//	$NAME ${NAME}  a reference; %NAME% as well where percent is set
//	$$             a dollar sign
//	$1 $@ ${1}     the shell's own names: nothing
//	${X:-y} ${}    no reference that GitLab knows: nothing
//	%%             stays as it is
//
// A reference is given by its name and by its text as written.
func scanReferences(s string, percent bool, literal func(text string), reference func(name, written string)) {
	start := 0 // of the literal text not yet given out
	flush := func(end int) {
		if end > start {
			literal(s[start:end])
		}
	}
	for i := 0; i < len(s); {
		var name string
		var size int
		switch {
		case s[i] == '$':
			name, size = dollarReference(s[i:])
		case s[i] == '%' && percent:
			name, size = percentReference(s[i:])
		}
		if size == 0 {
			i++
			continue
		}
		flush(i)
		switch name {
		case "":
		case "$", "%%":
			literal(name)
		default:
			reference(name, s[i:i+size])
		}
		i += size
		start = i
	}
	flush(len(s))
}

// dollarReference reads what a dollar sign at the start of s introduces. Size 0
// means that the sign stands for itself; name is "$" for an escaped one and
// empty for what vanishes.
func dollarReference(s string) (name string, size int) {
	if len(s) < 2 {
		return "", 0
	}
	c := s[1]
	switch {
	case c == '$':
		return "$", 2
	case c == '{':
		inner, _, closed := strings.Cut(s[2:], "}")
		switch {
		case !closed:
			return "", 2
		case !plan.IsIdentifier(inner):
			return "", len(inner) + 3
		}
		return inner, len(inner) + 3
	case strings.IndexByte("*#@!?-0123456789", c) >= 0:
		return "", 2
	}
	name = identifierPrefix(s[1:])
	if name == "" {
		return "", 0
	}
	return name, len(name) + 1
}

// percentReference is dollarReference for %NAME%. "%%" is taken as a whole, so
// that "%%A%%" holds no reference.
func percentReference(s string) (name string, size int) {
	if strings.HasPrefix(s, "%%") {
		return "%%", 2
	}
	name = identifierPrefix(s[1:])
	if name == "" || !strings.HasPrefix(s[1+len(name):], "%") {
		return "", 0
	}
	return name, len(name) + 2
}

// identifierPrefix returns the longest identifier that s begins with.
func identifierPrefix(s string) string {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return s[:i]
		}
	}
	return s
}

// textBuilder concatenates literal text, references to run-time variables and
// whole texts into one [plan.Text], which is a template as soon as it holds a
// reference.
type textBuilder struct {
	b        strings.Builder
	template bool
}

func (t *textBuilder) literal(s string) {
	if t.template {
		s = escapeTemplate(s)
	}
	t.b.WriteString(s)
}

func (t *textBuilder) text(x plan.Text) {
	if !x.Template {
		t.literal(x.Value)
		return
	}
	if !t.template {
		before := t.b.String()
		t.b.Reset()
		t.b.WriteString(escapeTemplate(before))
		t.template = true
	}
	t.b.WriteString(x.Value)
}

func (t *textBuilder) result() plan.Text {
	return plan.Text{Value: t.b.String(), Template: t.template}
}

// runtimeReference is the text that stands for a variable known only at run time.
func runtimeReference(name string) plan.Text {
	return plan.Text{Value: "${" + name + "}", Template: true}
}

func escapeTemplate(s string) string { return strings.ReplaceAll(s, "$", "$$") }
