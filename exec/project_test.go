package exec

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cic-ci/cic/plan"
)

// ofAnotherProject makes the pipeline of trigger job T that of group/app.
func ofAnotherProject(p *plan.Plan) *plan.Plan {
	for i := range p.Jobs {
		if p.Jobs[i].Name == "T" {
			p.Jobs[i].Trigger.Project, p.Jobs[i].Trigger.Branch = &plan.Text{Value: "group/app"}, &plan.Text{Value: "main"}
		}
	}
	p.Pipelines[0].Project = &plan.Project{Path: "group/app", Source: ".gitlab-ci.yml", Ref: "main"}
	return p
}

// TestRunProject: the jobs of another project have its tree, and share no resource group
// with those of the run's own.
func TestRunProject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, there := newHarness(t, &world{}), &world{}
		h.Project, h.Variables = "/here", map[string]string{"CI_PROJECT_PATH": "group/main"}
		h.Others = map[string]Tree{"group/app": {Dir: "/there", Workspaces: there, Variables: map[string]string{"CI_PROJECT_PATH": "group/app"}}}
		p := ofAnotherProject(parseFamily(t, "1 a\n1 T", "T: depend\n1 b"))
		group := &plan.Text{Value: "g-$$", Template: true}
		p.Jobs[0].ResourceGroup, p.Jobs[2].ResourceGroup = group, group
		res := h.run(t, t.Context(), p)
		if states(res) != "a=success T=success T/b=success" {
			t.Error(states(res))
		}
		b := jobID(&p.Jobs[2])
		if _, here := h.world.layers[b]; here || len(h.world.layers) != 1 {
			t.Errorf("workspaces here: %v", h.world.layers)
		}
		if _, ok := there.layers[b]; !ok || len(there.layers) != 1 || there.open != 0 {
			t.Errorf("workspaces there: %v, %d open", there.layers, there.open)
		}
		for _, e := range h.events {
			if e.Type == EventJobWaiting {
				t.Errorf("job %s waits: %s", e.Job, e.Text)
			}
		}
	})
}

// TestRunProjectUnknown: nothing runs where a project is not given, but for a dry run.
func TestRunProjectUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, &world{})
		p := ofAnotherProject(parseFamily(t, "1 a\n1 T", "T: depend\n1 b"))
		scripts := func(s plan.Script) ([]byte, error) { return []byte(s.Path), nil }
		_, err := h.Run(t.Context(), p, scripts)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Help, "--external group/app=DIR") {
			t.Errorf("got %v", err)
		}
		h.Runtime, h.Workspaces = DryRun{}, DryRun{}
		if res, err := h.Run(t.Context(), p, scripts); err != nil || res.Status != StatusSuccess {
			t.Errorf("a dry run: %+v, %v", res, err)
		}
	})
}
