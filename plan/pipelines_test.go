package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// family is a plan of jobs as jobsOf reads them, with a child pipeline of job T. The
// trigger jobs are those whose name begins with T.
func family(t *testing.T, strategy string, parent, child []string) (*Plan, *Plan) {
	t.Helper()
	p := assemble(t, jobsOf(parent...)...)
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.Name[0] == 'T' {
			*j = Job{Name: j.Name, Stage: j.Stage, Needs: j.Needs, AfterStages: j.AfterStages, When: "on_success",
				Trigger: &Trigger{Kind: TriggerChild, Strategy: strategy}}
		}
	}
	return p, assemble(t, jobsOf(child...)...)
}

func TestAdoptLevels(t *testing.T) {
	for _, test := range []struct {
		name, strategy string
		parent, child  []string
		want, heights  string
	}{
		{"the parent goes on", "", []string{"a/x", "b/T *", "c/z *"}, []string{"a/y", "b/w *"},
			"[[x] [T] [z T/y] [T/w]]", "[4 3 1 2 1]"},
		{"the parent waits", "depend", []string{"a/x", "b/T *", "c/z *"}, []string{"a/y", "b/w *"},
			"[[x] [T] [T/y] [T/w] [z]]", "[5 4 1 3 2]"},
		{"needs", "mirror", []string{"a/x", "a/T", "a/z T"}, []string{"a/y", "a/w y", "a/v"},
			"[[x T] [T/y T/v] [T/w] [z]]", "[1 4 1 3 2 2]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, c := family(t, test.strategy, test.parent, test.child)
			whole := adopt(t, p, "T", c)
			if got := fmt.Sprint(whole.Batches); got != test.want {
				t.Errorf("batches %s, want %s", got, test.want)
			}
			if err := whole.Validate(); err != nil {
				t.Error(err)
			}
			g, err := NewGraph(whole)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(g.Heights()); got != test.heights {
				t.Errorf("heights %s, want %s", got, test.heights)
			}
			if len(p.Jobs) != len(test.parent) || p.Pipelines != nil {
				t.Error("the parent's plan was changed")
			}
		})
	}
}

// TestAdoptNests: pipelines in pipelines keep their names and edges, and what they
// may not do is found.
func TestAdoptNests(t *testing.T) {
	p, c := family(t, "depend", []string{"a/x+", "b/T *"}, []string{"a/T2", "b/w *"})
	c.Jobs[0] = Job{Name: "T2", Stage: "a", When: "on_success", Trigger: &Trigger{Kind: TriggerChild}}
	leaf := assemble(t, jobsOf("a/u+", "a/v u")...)
	leaf.Jobs[1].Inputs = &Inputs{Jobs: []string{"u"}}
	number := &Text{Value: "${CI_PIPELINE_ID}", Template: true}
	leaf.Jobs[1].ExternalNeeds = []ExternalNeed{{Pipeline: number, Job: Literal("x")}, {Pipeline: number, Job: Literal("none")}}
	whole := adopt(t, p, "T", adopt(t, c, "T2", leaf))
	if err := whole.Validate(); err != nil {
		t.Fatal(err)
	}
	v := whole.Jobs[len(whole.Jobs)-1]
	if v.Name != "T/T2/v" || v.Pipeline != "T/T2" || v.LocalName() != "v" || v.Script.Path != ScriptPath("T/T2/v") {
		t.Errorf("%+v", v)
	}
	if !slices.Equal(v.Needs, []Need{{Job: "T/T2/u", Artifacts: true}, {Job: "x", Artifacts: true}}) ||
		!slices.Equal(v.Inputs.Jobs, []string{"x", "T/T2/u"}) || len(v.ExternalNeeds) != 1 {
		t.Errorf("needs %v, inputs %v, elsewhere %v", v.Needs, v.Inputs, v.ExternalNeeds)
	}
	deep := adopt(t, p, "T", adopt(t, c, "T2", adopt(t, c, "T2", leaf)))
	if err := deep.Validate(); err == nil || !strings.Contains(err.Error(), "more than 2 deep") {
		t.Errorf("got %v", err)
	}
}

// TestAdoptCycle: a job that the trigger job's end waits for cannot wait for what
// waits for that end.
func TestAdoptCycle(t *testing.T) {
	p, c := family(t, "depend", []string{"a/T", "a/x T"}, []string{"a/y"})
	c.Jobs[0].ExternalNeeds = []ExternalNeed{{Pipeline: &Text{Value: "${CI_PIPELINE_ID}", Template: true}, Job: Literal("x")}}
	_, _, err := p.Adopt(Child{Trigger: "T", Plan: c})
	var cycle *CycleError
	if !errors.As(err, &cycle) || strings.Join(cycle.Jobs, " ") != "T T/y x T" {
		t.Errorf("got %v", err)
	}
}

func TestValidatePipelines(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(p *Plan)
		want string
	}{
		{"no trigger job", func(p *Plan) { p.Pipelines[0].Trigger = "x" }, `pipelines[0].trigger: no job named "x" starts a child pipeline`},
		{"no pipeline", func(p *Plan) { p.Pipelines = nil }, `jobs[1] "T": trigger: there is no child pipeline for it`},
		{"no stages", func(p *Plan) { p.Pipelines[0].Stages = nil }, "pipelines[0].stages: must not be empty"},
		{"an empty stage", func(p *Plan) { p.Pipelines[0].Stages = append(p.Pipelines[0].Stages, "c") }, `pipelines[0].stages[2]: "c" holds no job`},
		{"two of one job", func(p *Plan) { p.Pipelines = append(p.Pipelines, p.Pipelines[0]) }, `pipelines[1].trigger: job "T" starts another one already`},
		{"a foreign name", func(p *Plan) { p.Jobs[3].Name = "U/y" }, `does not begin with the name of its trigger job "T"`},
		{"an image", func(p *Plan) { p.Jobs[1].Image.Name = Literal("a") }, `jobs[1] "T": image.name: a trigger job has none`},
		{"a script", func(p *Plan) { p.Jobs[1].Script = p.Jobs[0].Script }, `jobs[1] "T": script.path: a trigger job has none`},
		{"a time limit", func(p *Plan) { p.Jobs[1].Timeout = 1 }, `jobs[1] "T": timeout: a trigger job has none`},
		{"kind", func(p *Plan) { p.Jobs[1].Trigger.Kind = "x" }, `trigger.kind: "x" is none of child, dynamic`},
		{"strategy", func(p *Plan) { p.Jobs[1].Trigger.Strategy = "x" }, `trigger.strategy: "x" is none of`},
		{"reason", func(p *Plan) { p.Jobs[1].Trigger.Reason = "x" }, "trigger.reason: it belongs to the kinds"},
		{"two places", func(p *Plan) { p.Jobs[1].Trigger.Include = []ChildFile{{Local: "a", Remote: "b"}} }, "trigger.include[0]: want exactly one of"},
		{"inputs", func(p *Plan) {
			p.Jobs[1].Trigger.Include = []ChildFile{{Local: "a", Inputs: map[string]string{"a": "{"}}}
		}, `inputs["a"]: "{" is no JSON`},
		{"a job of a child", func(p *Plan) { p.Jobs[2].AfterStages, p.Jobs[2].Needs = false, []Need{{Job: "T/y"}} },
			`jobs[2] "z": needs[0]: "T/y" is neither of the same pipeline nor of one above it`},
		{"a file of nobody", func(p *Plan) {
			p.Jobs[1].Trigger = &Trigger{Kind: TriggerDynamic, Include: []ChildFile{{Artifact: "a", Job: "z"}}}
			p.Pipelines, p.Jobs = nil, p.Jobs[:3]
			p.Batches, _ = LevelsOf(p)
		}, `jobs[1] "T": trigger.include[0].job: "z" declares no artifacts`},
		{"a stage of another pipeline", func(p *Plan) { p.Jobs[4].Inputs = &Inputs{BeforeStage: "c"} }, `no stage is named "c"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, c := family(t, "depend", []string{"a/x", "b/T *", "c/z *"}, []string{"a/y", "b/w *"})
			p = adopt(t, p, "T", c)
			test.edit(p)
			if err := p.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
}
