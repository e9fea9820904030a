package pipeline

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// defaultPublish is the directory that a job of pages publishes.
const defaultPublish = "public"

// pages decodes pages: whether the job makes a web site, and of which directory
// (specification 29). Where it would be served from, and for how long, is checked
// and ignored.
func (d *decoder) pages(n *syntax.Node) *Pages {
	p := &Pages{On: true}
	if n.Kind == syntax.Bool {
		p.On = d.boolean(n, "pages")
		return p
	}
	ok := d.fields(n, inPages, "pages", func(key, value *syntax.Node) {
		switch what := path("pages", key.Value); key.Value {
		case "publish":
			p.Publish, _ = d.filledText(value, what)
		case "path_prefix":
			d.text(value, what)
			d.noEffect(key, what, noPages)
		case "expire_in":
			d.lateLifetime(value, what)
			d.noEffect(key, what, noPages)
		}
	})
	if !ok {
		d.wrongType(n, "pages", "true, false or a mapping")
	}
	return p
}

const noPages = "nothing serves pages here"

// publishing gives a job of pages the directory that is published as an artifact.
// By an old rule a job is one of pages by its name as well.
func (d *decoder) publishing(j *Job, n *syntax.Node) {
	if key := n.GetKey("publish"); specified(n.Get("publish")) {
		switch {
		case j.Pages != nil && j.Pages.Publish.Value != "":
			e := d.fail(CodeConflict, key, `"publish" cannot be used together with "pages:publish"`)
			e.Notes = append(e.Notes, syntax.Note{Pos: j.Pages.Publish.Pos, Msg: `"pages:publish" is here`})
		case !j.isPages():
			d.noEffect(key, "publish", `it is for jobs that say "pages: true"`)
		}
	}
	if !j.isPages() {
		return
	}
	dir := Text{Value: defaultPublish, Pos: j.Pos}
	if j.Pages != nil {
		dir.Pos = n.GetKey("pages").Pos
		dir = cmp.Or(j.Pages.Publish, j.Publish, dir)
	} else {
		dir = cmp.Or(j.Publish, dir)
	}
	if j.Artifacts == nil {
		j.Artifacts = &Artifacts{When: "on_success"}
	}
	same := func(t Text) bool { return strings.Trim(t.Value, "./") == strings.Trim(dir.Value, "./") }
	if !slices.ContainsFunc(j.Artifacts.Paths, same) {
		a := *j.Artifacts // which jobs may share
		a.Paths = append(slices.Clip(a.Paths), dir)
		j.Artifacts = &a
	}
}

// isPages reports whether the job makes a web site.
func (j *Job) isPages() bool {
	if j.Pages != nil {
		return j.Pages.On
	}
	return j.Base == "pages"
}
