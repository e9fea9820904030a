package resolve

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// componentValues are what a file can ask to know of the component that it is, by
// spec:component (specification, section 8.1).
var componentValues = []string{"name", "reference", "sha", "version"}

var (
	fullVersion = regexp.MustCompile(`^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$`)
	commitHash  = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// componentFields decodes spec:component: the values that the file may mention.
func (l *loader) componentFields(n *syntax.Node) (fields []string) {
	if n.Kind != syntax.Sequence {
		l.fail(CodeSpec, n, "spec:component is a list, not %s", n.Kind.WithArticle())
		return nil
	}
	for _, item := range n.Items {
		if item.Kind != syntax.String || !slices.Contains(componentValues, item.Value) {
			e := l.fail(CodeSpec, item, "spec:component lists %s, not %q", strings.Join(componentValues, ", "), item.Value)
			if s := syntax.Suggest(item.Value, componentValues); s != "" {
				e.Help = "did you mean \"" + s + "\"?"
			}
			continue
		}
		fields = append(fields, item.Value)
	}
	return fields
}

// component is what $[[ component.NAME ]] stands for in the file being loaded: what
// the address says by which it is included. The rest only a server knows.
func (ip *interpolator) component(n *syntax.Node, field string) (*syntax.Node, bool) {
	if !slices.Contains(ip.componentFields, field) {
		ip.l.fail(CodeInterpolation, n, "component.%s is not declared in this file", field).Help =
			`list it in the header: spec: {component: [` + field + `]}`
		return nil, false
	}
	address, reference, included := strings.Cut(ip.origin.Name, "@")
	included = included && ip.origin.Kind == "component"
	value, known := "", included
	switch field {
	case "name":
		value = path.Base(address)
	case "reference":
		value = reference
	case "version":
		value, known = reference, known && fullVersion.MatchString(reference)
	case "sha":
		if known = known && commitHash.MatchString(reference); known {
			value = reference
		}
	}
	if !included {
		value = ""
	}
	if !known {
		e := ip.l.fail(CodeInterpolation, n, "component.%s is not known here: it is taken to be %q", field, value)
		e.Severity = syntax.SeverityWarning
	}
	return n.WithText(value), true
}
