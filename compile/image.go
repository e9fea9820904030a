package compile

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/distribution/reference"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// images makes image references canonical, each text once.
type images struct {
	known map[string]string
}

// normalise returns the full form of an image reference: python:3.11 is
// docker.io/library/python:3.11, and alpine has the tag latest.
func (m *images) normalise(name string) (string, error) {
	if full, ok := m.known[name]; ok {
		return full, nil
	}
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", err
	}
	if m.known == nil {
		m.known = map[string]string{}
	}
	full := reference.TagNameOnly(ref).String()
	m.known[name] = full
	return full, nil
}

// imageName expands and normalises an image's name. A template stays as it is:
// what it refers to is known only at run time.
func (l *lowering) imageName(e *expander, j *pipeline.Job, name pipeline.Text) plan.Text {
	t := e.text(name.Value)
	if t.Template {
		return t
	}
	full, err := l.images.normalise(t.Value)
	if err == nil {
		return plan.Literal(full)
	}
	diag := &syntax.Error{
		Code: codeImage, Pos: name.Pos, Len: utf8.RuneCountInString(name.Value), Job: j.Name,
		Msg: fmt.Sprintf("image %q is no image reference: %s", t.Value, imageFault(t.Value, err)),
	}
	if t.Value == "" {
		diag.Msg = "the image has no name"
	}
	if t.Value != name.Value {
		diag.Label = fmt.Sprintf("expands to %q", t.Value)
	}
	if missing := e.undefined(name.Value); missing != "" {
		diag.Help = fmt.Sprintf("variable %q is not defined", missing)
	}
	l.diags.report(diag)
	return t
}

// imageFault tells what is wrong with a reference, in the words of its grammar.
func imageFault(name string, err error) string {
	repository, _, _ := strings.Cut(name, "@")
	switch {
	case strings.ContainsAny(name, " \t\r\n"):
		return "it holds a space"
	case strings.HasPrefix(name, "-"):
		return "it begins with a dash"
	case strings.Contains(name, "@") && !strings.Contains(err.Error(), "lowercase"):
		return "its digest is not sha256: and 64 hexadecimal digits"
	case strings.ToLower(repository) != repository:
		return "the repository is not in lower case"
	}
	return "expected [registry/]repository[:tag][@digest]"
}

// image lowers the image of a job or a service.
func (l *lowering) image(e *expander, j *pipeline.Job, i *pipeline.Image) plan.Image {
	return plan.Image{
		Name:       l.imageName(e, j, i.Name),
		Entrypoint: i.Entrypoint,
		User:       i.User,
		PullPolicy: i.PullPolicy,
	}
}
