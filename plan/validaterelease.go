package plan

var linkType = []string{"runbook", "package", "image", "other"}

// externalNeeds checks that each names a job and where it is.
func (s scope) externalNeeds(needs []ExternalNeed) {
	for i, n := range needs {
		at := s.element("external_needs", i)
		if (n.Project == nil) == (n.Pipeline == nil) {
			at.fail("must have either a project or a pipeline")
		}
		at.optional("project", n.Project)
		at.optional("ref", n.Ref)
		at.optional("pipeline", n.Pipeline)
		at.field("job").required(n.Job)
		at.field("job").line(n.Job.Value)
	}
}

// optional checks a text of one line that may be left out, but not empty.
func (s scope) optional(name string, t *Text) {
	if t != nil {
		s.field(name).required(*t)
		s.field(name).line(t.Value)
	}
}

func (s scope) release(r *Release) {
	s.field("tag_name").template(r.TagName)
	s.field("tag_name").line(r.TagName.Value)
	s.field("description").template(r.Description)
	s.optional("name", r.Name)
	s.optional("ref", r.Ref)
	if r.TagMessage != nil {
		s.field("tag_message").template(*r.TagMessage)
	}
	for i, m := range r.Milestones {
		s.element("milestones", i).template(m)
		s.element("milestones", i).line(m.Value)
	}
	s.field("released_at").line(r.ReleasedAt)
	for i, l := range r.Links {
		at := s.element("links", i)
		at.field("name").template(l.Name)
		at.field("name").line(l.Name.Value)
		at.field("url").template(l.URL)
		at.field("url").line(l.URL.Value)
		at.optional("filepath", l.Filepath)
		if l.Type != "" {
			at.field("type").word(l.Type, linkType...)
		}
	}
}
