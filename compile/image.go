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
		t = l.undefinedImage(e, name)
		diag.Severity, diag.Code = syntax.SeverityWarning, codeUndefinedImage
		diag.Msg = fmt.Sprintf("variable %q in the name of an image is not defined: the job fails when it is run", missing)
		diag.Help = fmt.Sprintf("give it: --var %s=..., or run in another image: --image '%s=...'", missing, t.Value)
	}
	l.diags.report(diag)
	return t
}

// undefinedImageHost stands before the names of images whose variables are not
// defined. It is no host, now or ever (RFC 2606).
const undefinedImageHost = "undefined.invalid/"

// undefinedImage is a reference in place of one that lacks variables, which stand in
// it by their names. On GitLab too such a job exists, and fails when it is run.
func (l *lowering) undefinedImage(e *expander, name pipeline.Text) plan.Text {
	var b strings.Builder
	scanReferences(name.Value, false, func(literal string) { b.WriteString(literal) }, func(ref, _ string) {
		if value, ok := e.value(ref); ok && !value.Template {
			b.WriteString(value.Value)
		} else {
			b.WriteString(strings.ToLower(strings.Trim(ref, "_")))
		}
	})
	full, err := l.images.normalise(undefinedImageHost + strings.Trim(b.String(), "/"))
	if err != nil {
		full = undefinedImageHost + "image:latest"
	}
	return plan.Literal(full)
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
		User:       l.user(e, j, i.User),
		PullPolicy: i.PullPolicy,
	}
}

// user expands the user that a container runs as, which must be known now.
func (l *lowering) user(e *expander, j *pipeline.Job, user pipeline.Text) string {
	var t plan.Text
	e.settled(func() { t = e.text(user.Value) })
	if t.Value != "" && (t.Template || !pipeline.IsUser(t.Value)) {
		diag := at(codeImageUser, user, j, "docker:user %q is no user", user.Value)
		diag.Label = fmt.Sprintf("expands to %q", t.Value)
		l.diags.report(diag)
	}
	return t.Value
}
