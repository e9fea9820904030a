package exec

import (
	"errors"
	"strings"
	"testing"

	"github.com/cic-ci/cic/plan"
)

func TestCheckPinned(t *testing.T) {
	pinned := func(name string) plan.Image { return plan.Image{Name: plan.Literal(name + "@sha256:0")} }
	loose := plan.Image{Name: plan.Literal("docker.io/library/alpine:3.20")}
	later := plan.Image{Name: plan.Text{Value: "${IMAGE}", Template: true}}
	unpinned := func(image string) string {
		if strings.Contains(image, "@") {
			return ""
		}
		return "has no digest"
	}
	for _, test := range []struct {
		name string
		jobs []plan.Job
		want string
	}{
		{"nothing", nil, ""},
		{"pinned", []plan.Job{{Name: "a", Image: pinned("a:1"), Services: []plan.Service{{Image: pinned("b:1")}}}}, ""},
		{"a trigger job, which has none", []plan.Job{{Name: "a", Trigger: &plan.Trigger{}}}, ""},
		{"all at once", []plan.Job{
			{Name: "a", Image: loose},
			{Name: "b", Image: pinned("b:1"), Services: []plan.Service{{Image: pinned("c:1")}, {Image: loose}}},
			{Name: "c", Image: later},
		}, `image alpine:3.20 has no digest (for job "a", a service of job "b"); image ${IMAGE} is known only at run time (for job "c")`},
		{"more jobs than are named", []plan.Job{
			{Name: "a", Image: loose, Services: []plan.Service{{Image: loose}, {Image: loose}}}, {Name: "b", Image: loose}, {Name: "c", Image: loose}, {Name: "d", Image: loose},
		}, `image alpine:3.20 has no digest (for job "a", a service of job "a", job "b", 2 more)`},
	} {
		p := &plan.Plan{Jobs: test.jobs}
		err := CheckPinned(p, unpinned)
		var refused *UnpinnedError
		if (err == nil) != (test.want == "") || err != nil && (!errors.As(err, &refused) || err.Error() != test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
		if test.want == "" {
			continue
		}
		if _, err := (&Executor{Unpinned: unpinned, Runtime: DryRun{}}).newRun(p); !errors.As(err, &refused) {
			t.Errorf("%s: a run begins: %v", test.name, err)
		}
	}
}
