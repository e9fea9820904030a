package pipeline

import (
	"fmt"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// providers are where a secret's value can come from on a server, with what each
// takes. Here all values are given to the executor by name, so that the rest is
// only checked.
var providers = map[string]struct {
	scope scope
	// short: a text stands for the whole.
	short bool
	// required: the keywords without which there is no secret to find.
	required []string
}{
	"vault":                  {inVault, true, []string{"engine", "path", "field"}},
	"gcp_secret_manager":     {inCloudSecret, false, []string{"name"}},
	"azure_key_vault":        {inCloudSecret, false, []string{"name"}},
	"aws_secrets_manager":    {inAWSSecret, true, []string{"secret_id"}},
	"gitlab_secrets_manager": {inManagedSecret, false, []string{"name"}},
}

// secrets decodes secrets: names of variables with their providers (specification 29).
func (d *decoder) secrets(n *syntax.Node) []Secret {
	if n.Kind != syntax.Mapping {
		d.wrongType(n, "secrets", "a mapping")
		return nil
	}
	var all []Secret
	for _, p := range n.Pairs {
		s := Secret{Name: p.Key.Value, Pos: p.Key.Pos, File: true}
		if d.shellName(p.Key) {
			d.secret(&s, p.Key, p.Value)
			all = append(all, s)
		}
	}
	return all
}

// secret decodes an entry of secrets into s.
func (d *decoder) secret(s *Secret, key, n *syntax.Node) {
	what := path("secrets", s.Name)
	var token bool
	ok := d.fields(n, inSecret, what, func(key, value *syntax.Node) {
		switch member := path(what, key.Value); key.Value {
		case "file":
			s.File = d.boolean(value, member)
		case "token":
			_, token = d.filledText(value, member)
		default:
			if s.Provider != "" {
				d.fail(CodeConflict, key, "%q has two providers: %q and %q", what, s.Provider, key.Value)
			}
			s.Provider = key.Value
			d.provider(key.Value, member, value)
		}
	})
	switch {
	case !ok && n.Kind != syntax.Null:
		d.wrongType(n, what, "a mapping")
	case s.Provider == "" && !hasUnknown(n, inSecret):
		d.fail(CodeMissing, key, "%q has no provider", what).Help =
			fmt.Sprintf("write where its value is kept on the server, for example vault: path/field@engine; here it is given by --secret %s", s.Name)
	case s.Provider == "gcp_secret_manager" && !token && !specified(n.Get("token")):
		d.fail(CodeMissing, key, "%q needs a token for gcp_secret_manager", what).Help = `add "token"`
	}
}

// provider checks what stands below a provider's name.
func (d *decoder) provider(name, what string, n *syntax.Node) {
	p := providers[name]
	if p.short && n.Kind == syntax.String {
		t, ok := d.filledText(n, what)
		if ok && name == "vault" {
			at, _, _ := strings.Cut(t.Value, "@")
			if dir, field, found := strings.Cut(at, "/"); !found || dir == "" || field == "" {
				d.fail(CodeValue, n, "%q must be of the form path/field or path/field@engine", what)
			}
		}
		return
	}
	ok := d.fields(n, p.scope, what, func(key, value *syntax.Node) {
		switch member := path(what, key.Value); {
		case key.Value == "engine":
			d.engine(value, member)
		case key.Value == "version" && value.Kind == syntax.Int: // which GitLab's own examples write
		default:
			d.filledText(value, member)
		}
	})
	switch {
	case !ok && p.short:
		d.wrongType(n, what, "a string or a mapping")
	case !ok:
		d.wrongType(n, what, "a mapping")
	default:
		for _, keyword := range p.required {
			d.require(n, p.scope, what, keyword)
		}
	}
}

// engine checks vault:engine.
func (d *decoder) engine(n *syntax.Node, what string) {
	ok := d.fields(n, inVaultEngine, what, func(key, value *syntax.Node) { d.filledText(value, path(what, key.Value)) })
	if !ok {
		d.wrongType(n, what, "a mapping")
		return
	}
	d.require(n, inVaultEngine, what, "name")
	d.require(n, inVaultEngine, what, "path")
}
