package pipeline

import "github.com/cic-ci/cic/compile/syntax"

// idleKeyword decodes keywords that are checked whole and then ignored with a warning,
// as they mean nothing to a run on one machine. It reports false for others.
func (d *decoder) idleKeyword(key, n *syntax.Node) bool {
	switch what := key.Value; what {
	case "tags":
		d.tags(key, n)
	case "hooks":
		d.hooks(n)
	case "identity":
		d.word(n, what, identities)
		d.noEffect(key, what, "no cloud knows this machine by its pipelines")
	case "dast_configuration":
		ok := d.fields(n, inDAST, what, func(key, value *syntax.Node) { d.filledText(value, path(what, key.Value)) })
		if !ok {
			d.wrongType(n, what, "a mapping")
		}
		d.noEffect(key, what, "the profiles are kept on a server")
	default:
		return false
	}
	return true
}

// identities are the values of identity (specification 29).
var identities = []string{"google_cloud"}

// maxTags bounds tags (specification 0).
const maxTags = 49

// tags checks tags. They choose a runner, and there is one: so that a pipeline
// with tags in every job is still readable, they are remarked upon once.
func (d *decoder) tags(key, n *syntax.Node) {
	if n.Kind != syntax.Sequence {
		d.wrongType(n, "tags", wantStrings)
		return
	}
	count := 0
	d.nested(n, "tags", 1, func(item *syntax.Node) {
		count++
		d.text(item, "tags[]")
	})
	if count > maxTags {
		d.fail(CodeLimit, n, `"tags" has at most %d entries, this list has %d`, maxTags, count)
	}
	if count > 0 {
		d.noEffect(key, "tags", "every job runs on this machine")
	}
}

// hooks checks hooks (specification 20.3). The only one prepares the fetching of
// the project, in a container of the runner's own; here nothing is fetched, and
// in the job's image its commands could fail a job that works on a server.
func (d *decoder) hooks(n *syntax.Node) {
	ok := d.fields(n, inHooks, "hooks", func(key, value *syntax.Node) {
		what := path("hooks", key.Value)
		d.commands(value, what)
		d.noEffect(key, what, "the project is here already and is not fetched")
	})
	if !ok {
		d.wrongType(n, "hooks", "a mapping")
	}
}

// noEffect warns of a keyword that is checked and ignored, where it stands first.
func (d *decoder) noEffect(key *syntax.Node, what, why string) {
	if !d.idle[what] {
		d.idle[what] = true
		d.warn(CodeNoEffect, key, "%q has no effect: %s", what, why)
	}
}
