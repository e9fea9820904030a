package pipeline

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/syntax"
)

// maxEnvironment bounds the name and the address of an environment, in
// characters (specification 0).
const maxEnvironment = 255

var (
	environmentActions = []string{"start", "prepare", "stop", "verify", "access"}
	environmentTiers   = []string{"production", "staging", "testing", "development", "other"}
)

// environment decodes environment: a name or a mapping (specification 27); nil
// after an error in its name.
func (d *decoder) environment(n *syntax.Node) *Environment {
	env := &Environment{}
	if n.Kind == syntax.String {
		env.Name = d.environmentName(n, "environment")
		return env.named()
	}
	ok := d.fields(n, inEnvironment, "environment", func(key, value *syntax.Node) {
		switch what := path("environment", key.Value); key.Value {
		case "name":
			env.Name = d.environmentName(value, what)
		case "url":
			env.URL = d.environmentURL(value, what)
		case "action":
			t, _ := d.word(value, what, environmentActions)
			env.Action = t.Value
		case "deployment_tier":
			env.Tier = d.wordOrVariable(value, what, environmentTiers)
		case "on_stop":
			env.OnStop, _ = d.filledText(value, what)
			d.idleEnvironment(key)
		case "auto_stop_in":
			d.lateLifetime(value, what)
			d.idleEnvironment(key)
		case "kubernetes":
			if value.Kind != syntax.Mapping {
				d.wrongType(value, what, "a mapping")
			}
			d.idleEnvironment(key)
		}
	})
	if !ok {
		d.wrongType(n, "environment", "a string or a mapping")
		return nil
	}
	d.require(n, inEnvironment, "environment", "name")
	return env.named()
}

// named is nil without a name.
func (e *Environment) named() *Environment {
	if e.Name.Value == "" {
		return nil
	}
	return e
}

// environmentName decodes a name, which is checked as it is written, before
// variables are put in.
func (d *decoder) environmentName(n *syntax.Node, what string) Text {
	t, ok := d.filledText(n, what)
	if !ok {
		return Text{}
	}
	bad := strings.IndexFunc(t.Value, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(" -_/${}.", r)
	})
	switch {
	case bad >= 0:
		r, _ := utf8.DecodeRuneInString(t.Value[bad:])
		d.fail(CodeValue, n, "%s must not contain %q", subject(what), r).Help =
			"allowed: letters, digits, spaces and - _ / $ { } ."
	case strings.HasPrefix(t.Value, "/"), strings.HasSuffix(t.Value, "/"):
		d.fail(CodeValue, n, `%s must not begin or end with "/"`, subject(what))
	case len(t.Value) > maxEnvironment:
		d.fail(CodeLimit, n, "%s has at most %d characters, this one has %d", subject(what), maxEnvironment, len(t.Value))
	default:
		return t
	}
	return Text{}
}

func (d *decoder) environmentURL(n *syntax.Node, what string) *Text {
	t, ok := d.filledText(n, what)
	if !ok {
		return nil
	}
	if length := utf8.RuneCountInString(t.Value); length > maxEnvironment {
		d.fail(CodeLimit, n, "%s has at most %d characters, this one has %d", subject(what), maxEnvironment, length)
		return nil
	}
	return &t
}

// wordOrVariable is word for a value that may also be made of variables, which
// the caller checks once they are expanded.
func (d *decoder) wordOrVariable(n *syntax.Node, what string, words []string) Text {
	if n.Kind == syntax.String && strings.ContainsAny(n.Value, "$%") {
		t, _ := d.text(n, what)
		return t
	}
	t, _ := d.word(n, what, words)
	return t
}

// lateLifetime checks a lifetime, which may be made of variables.
func (d *decoder) lateLifetime(n *syntax.Node, what string) {
	if n.Kind != syntax.String || !strings.ContainsAny(n.Value, "$%") {
		d.lifetime(n, what)
	}
}

// idleEnvironment remarks once on a keyword that asks for what happens after
// the pipeline.
func (d *decoder) idleEnvironment(key *syntax.Node) {
	d.noEffect(key, path("environment", key.Value), "cic keeps no environments, it sets their variables")
}

// stops checks that each on_stop names a job that stops this environment
// (specification 27). Names are compared as written.
func (d *decoder) stops(drafts []*draft) {
	byName := make(map[string]*draft, len(drafts))
	for _, dr := range drafts {
		byName[dr.Base] = dr
	}
	for _, dr := range drafts {
		env := dr.Environment
		if env == nil || env.OnStop.Value == "" {
			continue
		}
		stop, fault := byName[env.OnStop.Value], ""
		switch {
		case stop == nil:
			fault = "is not defined"
		case stop.Environment == nil:
			fault = "has no environment"
		case stop.Environment.Name.Value != env.Name.Value:
			fault = fmt.Sprintf("has another environment, %q", stop.Environment.Name.Value)
		case stop.Environment.Action != "stop":
			fault = `does not have "action: stop"`
		default:
			continue
		}
		e := &syntax.Error{
			Code: CodeOnStop, Pos: env.OnStop.Pos, Len: utf8.RuneCountInString(env.OnStop.Value), Job: dr.Base,
			Msg: fmt.Sprintf(`"environment:on_stop" of job %q names job %q, which %s`, dr.Base, env.OnStop.Value, fault),
		}
		if stop != nil {
			e.Notes = append(e.Notes, syntax.Note{Pos: stop.Pos, Msg: fmt.Sprintf("%q is defined here", stop.Base)})
		}
		d.errs = append(d.errs, e)
	}
}
