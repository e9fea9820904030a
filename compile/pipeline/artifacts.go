package pipeline

import (
	"regexp"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// artifacts decodes artifacts (specification 24); nil if they collect nothing.
func (d *decoder) artifacts(n *syntax.Node) *Artifacts {
	a := &Artifacts{When: "on_success"}
	ok := d.fields(n, inArtifacts, "artifacts", func(key, value *syntax.Node) {
		switch what := path("artifacts", key.Value); key.Value {
		case "name":
			if t, ok := d.text(value, what); ok {
				a.Name = &t
			}
		case "paths":
			a.Paths = d.texts(value, what, d.text)
		case "exclude":
			a.Exclude = d.texts(value, what, d.text)
		case "untracked":
			a.Untracked = d.boolean(value, what)
		case "reports":
			a.Reports = d.reports(value)
		case "when":
			if t, ok := d.word(value, what, artifactWhen); ok {
				a.When = t.Value
			}
		case "expire_in":
			a.ExpireIn = d.lifetime(value, what)
		default:
			d.artifactDisplay(n, key, value)
		}
	})
	if !ok {
		d.wrongType(n, "artifacts", "a mapping")
		return nil
	}
	if len(a.Paths) == 0 && !a.Untracked && len(a.Reports) == 0 {
		return nil
	}
	d.wholeTree(n.Get("paths"), a)
	return a
}

// artifactAccess are the values of artifacts:access.
var artifactAccess = []string{"all", "developer", "maintainer", "none"}

// artifactDisplay checks what only says how GitLab shows artifacts, and to whom
// (specification 24).
func (d *decoder) artifactDisplay(n, key, value *syntax.Node) {
	what := path("artifacts", key.Value)
	switch key.Value {
	case "public":
		d.boolean(value, what)
		if other := n.GetKey("access"); specified(n.Get("access")) {
			e := d.fail(CodeConflict, key, `"artifacts:public" and "artifacts:access" exclude each other`)
			e.Notes = append(e.Notes, syntax.Note{Pos: other.Pos, Msg: `"access" stands here`})
		}
	case "access":
		d.word(value, what, artifactAccess)
	case "expose_as":
		d.exposeAs(value, what)
		paths := n.Get("paths")
		if !specified(paths) {
			d.fail(CodeMissing, key, `"artifacts:expose_as" needs "artifacts:paths"`)
			break
		}
		for _, item := range paths.Items {
			if item.Kind == syntax.String && strings.Contains(item.Value, "*") {
				d.fail(CodeValue, item, `"artifacts:paths" must not contain "*" beside "expose_as"`)
			}
		}
	}
	d.noEffect(key, what, "there is no server to show artifacts")
}

// exposeName is what artifacts:expose_as may be (specification 0).
var exposeName = regexp.MustCompile(`^\w[-\w ]{0,99}$`)

func (d *decoder) exposeAs(n *syntax.Node, what string) {
	if t, ok := d.filledText(n, what); ok && !exposeName.MatchString(t.Value) {
		d.fail(CodeValue, n, "%q must be at most 100 letters, digits, spaces, - and _, not %q", what, t.Value)
	}
}

// wholeTree warns of a pattern that takes everything, the repository's own data
// included, unless that is excluded.
func (d *decoder) wholeTree(paths *syntax.Node, a *Artifacts) {
	excluded := func(t Text) bool { return strings.HasPrefix(strings.TrimPrefix(t.Value, "**/"), ".git/") }
	if paths == nil || slices.ContainsFunc(a.Exclude, excluded) {
		return
	}
	for _, item := range paths.Items {
		switch strings.TrimPrefix(item.Value, "./") {
		case "**", "**/*", "*", ".", "":
			if item.Kind == syntax.String && item.Value != "" {
				d.warn(CodeWholeTree, item, "%q collects the directory .git as well", item.Value).Help =
					`add exclude: [".git/**/*"]`
			}
		}
	}
}
