package compile

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
	"github.com/cic-ci/cic/plan/credential"
)

// secrets lowers the job's secrets to their names. A secret counts where a
// variable has the same name, as on GitLab.
func (l *lowering) secrets(out *plan.Job, j *pipeline.Job) {
	for _, s := range slices.Concat(j.Secrets, j.IDTokens) {
		out.Secrets = append(out.Secrets, plan.Secret{Name: s.Name, File: s.File})
		if !l.told[s.Name] {
			if l.told == nil {
				l.told = map[string]bool{}
			}
			l.told[s.Name] = true
			l.diags.report(&syntax.Error{
				Severity: syntax.SeverityWarning, Code: codeSecretProvider, Pos: s.Pos, Len: utf8.RuneCountInString(s.Name), Job: j.Name,
				Msg:  fmt.Sprintf("the value of secret %q is not fetched from %s: it is given when the plan is run", s.Name, s.Provider),
				Help: fmt.Sprintf("cic exec --secret %s takes it from the environment, --secret %s=file:PATH from a file", s.Name, s.Name),
			})
		}
		if _, defined := out.Variables.Get(s.Name); defined {
			l.diags.report(&syntax.Error{
				Severity: syntax.SeverityWarning, Code: codeSecretVariable, Pos: s.Pos, Len: utf8.RuneCountInString(s.Name), Job: j.Name,
				Msg: fmt.Sprintf("%q is a variable and a secret of job %q: the secret counts", s.Name, j.Name),
			})
		}
	}
	isSecret := func(name string) bool {
		return slices.ContainsFunc(out.Secrets, func(s plan.Secret) bool { return s.Name == name })
	}
	slices.SortFunc(out.Secrets, func(a, b plan.Secret) int { return strings.Compare(a.Name, b.Name) })
	if slices.ContainsFunc(out.Variables, func(v plan.Variable) bool { return isSecret(v.Name) }) {
		// The list may be shared by all jobs.
		out.Variables = slices.DeleteFunc(slices.Clone(out.Variables), func(v plan.Variable) bool { return isSecret(v.Name) })
	}
}

// warnCredentials warns of texts that look like credentials: what stands in a
// pipeline is in its plan too, and whoever reads one of them can use it.
func warnCredentials(root *syntax.Node, src *sources) (none struct{}, _ syntax.ErrorList) {
	w := credentialWalk{src: src, seen: map[*syntax.Node]bool{}}
	w.node(root)
	return none, w.diags.list
}

type credentialWalk struct {
	src   *sources
	seen  map[*syntax.Node]bool // a node may have several parents
	diags diagnostics
}

func (w *credentialWalk) node(n *syntax.Node) {
	if w.seen[n] {
		return
	}
	w.seen[n] = true
	for _, item := range n.Items {
		w.node(item)
	}
	for _, p := range n.Pairs {
		w.node(p.Key)
		w.node(p.Value)
	}
	if n.Kind != syntax.String {
		return
	}
	number := 0
	for line := range strings.Lines(n.Value) {
		line = strings.TrimSuffix(line, "\n")
		name, start, end := credential.Find(line)
		if name == "" {
			if start, end = credential.PrivateKey(line); start >= 0 {
				name = "a private key"
			}
		}
		if name != "" {
			w.warn(w.src.within(n.LinePos(number), line, utf8.RuneCountInString(line[:start])), utf8.RuneCountInString(line[start:end]), name)
		}
		number++
	}
}

func (w *credentialWalk) warn(pos syntax.Pos, length int, name string) {
	w.diags.report(&syntax.Error{
		Severity: syntax.SeverityWarning, Code: codeCredential, Pos: pos, Len: length,
		Msg:  fmt.Sprintf("this looks like %s: it ends up in the plan, and whoever sees either can use it", name),
		Help: "revoke it; read a variable in its place, and give that by cic exec --secret",
	})
}
