package plan

import (
	"slices"
	"strings"
	"testing"
)

// familyOfTwo is a plan whose job T starts the pipeline of group/app, in which T2 starts a
// child pipeline.
func familyOfTwo(t *testing.T) *Plan {
	t.Helper()
	p, c := family(t, "depend", []string{"a/x+", "b/T *"}, []string{"a/T2", "b/w *"})
	c.Jobs[0] = Job{Name: "T2", Stage: "a", When: "on_success", Trigger: &Trigger{Kind: TriggerChild}}
	c.Variables = Variables{{"CI_PIPELINE_SOURCE", Literal(OtherEvent)}, {"CI_PIPELINE_TRIGGERED", Literal("true")}}
	leaf := assemble(t, jobsOf("a/u")...)
	leaf.Jobs[0].ExternalNeeds = []ExternalNeed{{Pipeline: &Text{Value: "${CI_PIPELINE_ID}", Template: true}, Job: Literal("x")}}
	p.Jobs[1].Trigger.Project, p.Jobs[1].Trigger.Branch = &Text{Value: "group/app"}, &Text{Value: "main"}
	whole, _, err := p.Adopt(Child{Trigger: "T", Plan: adopt(t, c, "T2", leaf),
		Project: &Project{Path: "group/app", Source: ".gitlab-ci.yml", Ref: "main", Variables: c.Variables}})
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// TestAdoptProject: what the pipeline of another project starts is of that project, and
// no artifacts come from above it.
func TestAdoptProject(t *testing.T) {
	p := familyOfTwo(t)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]string{"T/w": OtherEvent, "T/T2/u": ChildEvent} {
		i := slices.IndexFunc(p.Jobs, func(j Job) bool { return j.Name == name })
		of := p.ProjectOf(&p.Jobs[i])
		if of == nil || of.Path != "group/app" || of.Ref != "main" {
			t.Errorf("%s is of %+v", name, of)
		}
		if got, _ := p.Predefined(&p.Jobs[i]).Get("CI_PIPELINE_SOURCE"); got != Literal(source) {
			t.Errorf("%s has source %q", name, got.Value)
		}
	}
	u := p.Jobs[len(p.Jobs)-1]
	if len(u.Needs) != 0 || len(u.ExternalNeeds) != 1 {
		t.Errorf("needs %v, elsewhere %v", u.Needs, u.ExternalNeeds)
	}
	if p.ProjectOf(&p.Jobs[0]) != nil {
		t.Error("x is of another project")
	}
}

func TestValidateProject(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(p *Plan)
		want string
	}{
		{"not said", func(p *Plan) { p.Pipelines[0].Project = nil }, "pipelines[0].project: must say which project"},
		{"of the child not said", func(p *Plan) { p.Pipelines[1].Project = nil }, "pipelines[1].project: must say which project"},
		{"another one of the child", func(p *Plan) { p.Pipelines[1].Project.Path = "a/b" }, "pipelines[1].project: its trigger job starts no pipeline of another project"},
		{"no trigger of one", func(p *Plan) { p.Jobs[1].Trigger.Project = nil }, "pipelines[0].project: its trigger job starts no pipeline of another project"},
		{"no branch", func(p *Plan) { p.Jobs[1].Trigger.Branch = nil }, "trigger.branch: must say what of the project is run"},
		{"path", func(p *Plan) { p.Pipelines[0].Project.Path = "a\x1b" }, `pipelines[0].project.path: "a\x1b" holds a control character`},
		{"ref", func(p *Plan) { p.Pipelines[0].Project.Ref = "" }, "pipelines[0].project.ref: must not be empty"},
		{"variables", func(p *Plan) { slices.Reverse(p.Pipelines[0].Project.Variables) }, "variables must be sorted"},
		{"a need across", func(p *Plan) {
			p.Jobs[2].Needs, p.Jobs[2].AfterStages = []Need{{Job: "x"}}, false
		}, `"x" is neither of the same pipeline nor of one above it`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := familyOfTwo(t)
			test.edit(p)
			if err := p.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
}

// TestProjectDepth: only the child pipelines of one project count.
func TestProjectDepth(t *testing.T) {
	p, c := family(t, "depend", []string{"a/T"}, []string{"a/T2"})
	c.Jobs[0] = Job{Name: "T2", Stage: "a", When: "on_success", Trigger: &Trigger{Kind: TriggerChild}}
	deep := adopt(t, p, "T", adopt(t, c, "T2", familyOfTwo(t)))
	if err := deep.Validate(); err != nil {
		t.Error(err)
	}
}
