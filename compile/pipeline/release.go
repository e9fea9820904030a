package pipeline

import (
	"regexp"
	"time"

	"github.com/cic-ci/cic/compile/syntax"
)

// releaseLinkTypes are the values of release:assets:links:link_type.
var releaseLinkTypes = []string{"runbook", "package", "image", "other"}

// release decodes release (specification 29).
func (d *decoder) release(n *syntax.Node) *Release {
	r := &Release{}
	ok := d.fields(n, inRelease, "release", func(key, value *syntax.Node) {
		switch what := path("release", key.Value); key.Value {
		case "tag_name":
			r.TagName, _ = d.filledText(value, what)
		case "description":
			r.Description, _ = d.filledText(value, what)
		case "name":
			r.Name, _ = d.text(value, what)
		case "ref":
			r.Ref, _ = d.text(value, what)
		case "tag_message":
			r.TagMessage, _ = d.text(value, what)
		case "milestones":
			r.Milestones = d.stringOrList(value, what)
		case "released_at":
			r.ReleasedAt = d.date(value, what)
		case "assets":
			r.Links = d.releaseAssets(value, what)
		}
	})
	if !ok {
		d.wrongType(n, "release", "a mapping")
		return nil
	}
	d.require(n, inRelease, "release", "tag_name")
	d.require(n, inRelease, "release", "description")
	return r
}

// stringOrList decodes a string, or a list of strings.
func (d *decoder) stringOrList(n *syntax.Node, what string) []Text {
	switch n.Kind {
	case syntax.String:
		if t, ok := d.filledText(n, what); ok {
			return []Text{t}
		}
		return nil
	case syntax.Sequence:
		return d.texts(n, what, d.filledText)
	}
	d.wrongType(n, what, wantCommands)
	return nil
}

// isoTime is a date of ISO 8601 with, perhaps, a time and its zone, in the
// extended form.
var isoTime = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(?:T\d{2}(?::\d{2}(?::\d{2}(?:[.,]\d+)?)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?$`)

// date decodes a date of ISO 8601; a variable in it is none, as on GitLab.
func (d *decoder) date(n *syntax.Node, what string) string {
	t, ok := d.filledText(n, what)
	if !ok {
		return ""
	}
	valid := isoTime.MatchString(t.Value)
	if valid {
		_, err := time.Parse(time.DateOnly, t.Value[:len(time.DateOnly)])
		valid = err == nil
	}
	if !valid {
		d.fail(CodeValue, n, "%q must be a date of ISO 8601, not %q", what, t.Value).Help = `such as "2026-03-15T08:00:00Z"`
		return ""
	}
	return t.Value
}

// releaseAssets decodes release:assets, which holds nothing but links.
func (d *decoder) releaseAssets(n *syntax.Node, what string) (links []ReleaseLink) {
	ok := d.fields(n, inReleaseAssets, what, func(key, value *syntax.Node) {
		what := path(what, key.Value)
		if d.list(value, what, "a list of mappings", func(item *syntax.Node) { links = append(links, d.releaseLink(item, what)) }) &&
			len(value.Items) == 0 {
			d.fail(CodeMissing, value, "%q must not be empty", what)
		}
	})
	if !ok {
		d.wrongType(n, what, "a mapping")
		return nil
	}
	d.require(n, inReleaseAssets, what, "links")
	return links
}

func (d *decoder) releaseLink(n *syntax.Node, what string) ReleaseLink {
	l := ReleaseLink{}
	ok := d.fields(n, inReleaseLink, what, func(key, value *syntax.Node) {
		switch what := path(what, key.Value); key.Value {
		case "name":
			l.Name, _ = d.filledText(value, what)
		case "url":
			l.URL, _ = d.filledText(value, what)
		case "filepath":
			l.Path, _ = d.text(value, what)
		case "link_type":
			t, _ := d.word(value, what, releaseLinkTypes)
			l.Type = t.Value
		}
	})
	if !ok {
		d.wrongType(n, what+"[]", "a mapping")
		return l
	}
	d.require(n, inReleaseLink, what+"[]", "name")
	d.require(n, inReleaseLink, what+"[]", "url")
	return l
}
