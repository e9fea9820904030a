package exec

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cic-ci/cic/plan"
)

// mappedWorld makes workspaces for jobs in user namespaces.
type mappedWorld struct{ *world }

func (w mappedWorld) Open(id string) (Workspace, error) {
	w.record("mapped %s", id)
	return w.world.Open(id)
}

// A job runs in a user namespace unless it was granted something, itself or for a
// service; then it says so. Workspace and container always agree.
func TestUserNamespaces(t *testing.T) {
	for _, with := range []bool{true, false} {
		p := grantPlan()
		p.Stages = []string{"test"}
		got := map[string]bool{}
		w := &world{setup: map[string]func(context.Context, Spec) error{}}
		for i := range p.Jobs {
			j := &p.Jobs[i]
			j.Stage, j.Timeout, j.When = "test", 60, "on_success"
			j.Image.Name, j.Script = plan.Literal("alpine"), plan.Script{Path: j.Name, Shell: "sh"}
			w.setup[jobID(j)] = func(_ context.Context, s Spec) error {
				w.mu.Lock()
				defer w.mu.Unlock()
				got[s.Job.Name] = s.UserNamespace
				return nil
			}
		}
		h := newHarness(t, w)
		h.Granted = map[string]Granted{"build": {Privileged: true}, "docker": {Privileged: true},
			"vm": {HostNetwork: true, Devices: []string{"/dev/kvm", "/dev/net/tun"}}}
		if with {
			h.Mapped = mappedWorld{w}
		}
		h.run(t, t.Context(), p)
		if want := map[string]bool{"quiet": with, "build": false, "docker": false, "vm": false}; !reflect.DeepEqual(got, want) {
			t.Errorf("user namespaces %v: got %v", with, got)
		}
		if slices.Contains(w.history, "mapped "+jobID(&p.Jobs[0])) != with || slices.Contains(w.history, "mapped "+jobID(&p.Jobs[1])) {
			t.Errorf("user namespaces %v: workspaces %v", with, w.history)
		}
		notes := map[string]string{}
		for _, e := range h.events {
			if strings.Contains(e.Text, "namespace") {
				notes[e.Job] = e.Text
			}
		}
		want := map[string]string{}
		if with {
			want = map[string]string{
				"build":  "runs without a user namespace, as it was granted privileged",
				"docker": "runs without a user namespace, as it was granted privileged",
				"vm":     "runs without a user namespace, as it was granted device:/dev/kvm, device:/dev/net/tun, host-network",
			}
		}
		if !reflect.DeepEqual(notes, want) {
			t.Errorf("user namespaces %v: got the notes %v", with, notes)
		}
	}
}
