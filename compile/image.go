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
	// lock has the digests of those without one, nil where images are not locked.
	lock  map[string]string
	known map[string]string
}

// normalise returns the full form of an image reference: python:3.11 is
// docker.io/library/python:3.11, and alpine has the tag latest. With a lock they have
// the digest that it says, too.
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
	if digest := m.lock[full]; digest != "" {
		full += "@" + digest
	}
	m.known[name] = full
	return full, nil
}

// unlocked reports whether the lock should have a digest of an image and has none.
func (m *images) unlocked(full string) bool {
	return m.lock != nil && !strings.Contains(full, "@")
}

// imageName expands and normalises an image's name. A template stays as it is:
// what it refers to is known only at run time.
func (l *lowering) imageName(e *expander, j *pipeline.Job, name pipeline.Text) plan.Text {
	t := e.text(name.Value)
	fault := error(nil)
	if !t.Template {
		full, err := l.images.normalise(t.Value)
		if err == nil {
			if l.images.unlocked(full) {
				l.reportUnlocked(j, name, full)
			}
			return plan.Literal(full)
		}
		fault = err
	}
	if open, missing := e.openText(name.Value); missing != "" {
		l.reportUndefinedImage(j, name, open, missing)
		return open
	}
	if fault != nil {
		l.reportImage(j, name, t.Value, fault)
	}
	if strings.TrimSpace(t.Value) == "" {
		return plan.Literal(name.Value)
	}
	return t
}

// reportUnlocked warns of an image that the lock lacks: its tag may mean another image
// tomorrow.
func (l *lowering) reportUnlocked(j *pipeline.Job, name pipeline.Text, full string) {
	l.diags.report(&syntax.Error{
		Severity: syntax.SeverityWarning, Code: codeUnlockedImage, Pos: name.Pos, Len: utf8.RuneCountInString(name.Value), Job: j.Name,
		Msg:  fmt.Sprintf("image %q is not in the lock file: its tag may come to mean another image", full),
		Help: "cic image lock adds what is missing",
	})
}

// reportUndefinedImage warns of an image that mentions an undefined variable. The
// runner expands it on GitLab: there too the pipeline is valid, and the job fails
// when it is run (specification 18.4 and 21).
func (l *lowering) reportUndefinedImage(j *pipeline.Job, name pipeline.Text, open plan.Text, missing string) {
	l.diags.report(&syntax.Error{
		Severity: syntax.SeverityWarning, Code: codeUndefinedImage, Pos: name.Pos, Len: utf8.RuneCountInString(name.Value), Job: j.Name,
		Msg:  fmt.Sprintf("variable %q in the name of an image is not defined: the job fails when it is run", missing),
		Help: fmt.Sprintf("give it: --var %s=..., or run in another image: --image '%s=...'", missing, open.Value),
	})
}

// reportImage warns of an image that expands to value, which is no reference: GitLab
// takes any text, and the job fails when it is run (specification section 21).
func (l *lowering) reportImage(j *pipeline.Job, name pipeline.Text, value string, err error) {
	diag := &syntax.Error{
		Severity: syntax.SeverityWarning, Code: codeImage, Pos: name.Pos, Len: utf8.RuneCountInString(name.Value), Job: j.Name,
		Msg: fmt.Sprintf("image %q is no image reference: %s; the job fails when it is run", value, imageFault(value, err)),
	}
	if value == "" {
		diag.Msg = "the image has no name: the job fails when it is run"
	}
	if value != name.Value {
		diag.Label = fmt.Sprintf("expands to %q", value)
	}
	if !name.Pos.IsValid() { // the default one, of the command line
		diag.Severity, diag.Code, diag.Msg = syntax.SeverityError, codeOption, fmt.Sprintf("image %q is no image reference: %s", value, imageFault(value, err))
	}
	l.diags.report(diag)
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
		Entrypoint: literals(i.Entrypoint),
		User:       l.user(e, j, i.User),
		PullPolicy: i.PullPolicy,
	}
}

// literals are texts in which nothing is expanded, as in the entry point of a job's
// image (specification section 18.4).
func literals(list []string) []plan.Text {
	if list == nil {
		return nil
	}
	texts := make([]plan.Text, len(list))
	for i, text := range list {
		texts[i] = plan.Literal(text)
	}
	return texts
}

// user expands the user that a container runs as, which must be known now. One that
// can be none is for the runner to refuse on GitLab: the job fails when it is run.
// A number that might be taken for root is refused here.
func (l *lowering) user(e *expander, j *pipeline.Job, user pipeline.Text) string {
	var t plan.Text
	e.settled(func() { t = e.text(user.Value) })
	if t.Value != "" && (t.Template || !pipeline.IsUser(t.Value)) {
		diag := at(codeImageUser, user, j, "docker:user %q is no user: the job fails when it is run", user.Value)
		diag.Severity = syntax.SeverityWarning
		if t.Value != user.Value {
			diag.Label = fmt.Sprintf("expands to %q", t.Value)
		}
		diag.Help = pipeline.UserForms
		if pipeline.UserOverflows(t.Value) {
			diag.Severity, diag.Code, diag.Msg = syntax.SeverityError, pipeline.CodeValue, fmt.Sprintf("docker:user %q is no user", user.Value)
		}
		l.diags.report(diag)
	}
	return t.Value
}
