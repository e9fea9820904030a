package exec

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cic-ci/cic/plan"
)

func TestParseGrant(t *testing.T) {
	for _, s := range []string{"privileged=a", "host-network=a,b", "device:/dev/kvm=x=y", "device:/dev/net/tun=a"} {
		if g, err := ParseGrant(s); err != nil || g.Privilege+"="+g.Jobs != s {
			t.Errorf("%q: got %+v, %v", s, g, err)
		}
	}
	for _, s := range []string{
		"", "privileged", "privileged=", "=a", "all=a", "Privileged=a", "device=a", "device:=a", "device:kvm=a",
		"device:/dev/../etc/shadow=a", "device:/dev/=a", "device:/dev=a", "device:/etc/shadow=a", "device://dev/kvm=a",
	} {
		if g, err := ParseGrant(s); err == nil {
			t.Errorf("%q: accepted as %+v", s, g)
		}
	}
}

// grantPlan has jobs that ask for something each, and one that asks for nothing.
func grantPlan(names ...string) *plan.Plan {
	p := &plan.Plan{Jobs: []plan.Job{
		{Name: "quiet"},
		{Name: "build", Privileged: true},
		{Name: "docker", Services: []plan.Service{{}, {Image: plan.Image{Name: plan.Literal("docker.io/library/docker:dind")}, Privileged: true}}},
		{Name: "vm", Devices: []string{"/dev/kvm", "/dev/net/tun"}, HostNetwork: true},
	}}
	for _, name := range names {
		p.Jobs = append(p.Jobs, plan.Job{Name: name, Privileged: true})
	}
	return p
}

func grants(t *testing.T, texts ...string) (list []Grant) {
	t.Helper()
	for _, text := range texts {
		g, err := ParseGrant(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, g)
	}
	return list
}

func TestResolveGrants(t *testing.T) {
	p := grantPlan("test: [3.11, sqlite]")
	got, err := ResolveGrants(p, grants(t, "privileged=docker,build", "device:/dev/kvm=vm", "device:/dev/net/tun=vm", "host-network=vm", "privileged=test: [3.11, sqlite]"))
	want := map[string]Granted{
		"docker":               {Privileged: true},
		"build":                {Privileged: true},
		"vm":                   {Devices: []string{"/dev/kvm", "/dev/net/tun"}, HostNetwork: true},
		"test: [3.11, sqlite]": {Privileged: true},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, test := range []struct {
		plan  *plan.Plan
		grant string
		want  string
	}{
		{p, "privileged=quiet", `job "quiet" does not ask for privileged`},
		{p, "host-network=build", `job "build" does not ask for host-network`},
		{p, "device:/dev/mem=vm", `job "vm" does not ask for device:/dev/mem`},
		{p, "privileged=build,quiet", `job "quiet" does not ask`},
		{p, "privileged=biuld", `no job "biuld"; did you mean "build"`},
		{p, "privileged=build,", `no job ""`},
		{p, "privileged=build*", `no job "build*"`},
		{p, "privileged=test", `no job "test"`},
		{grantPlan("a", "b", "a,b"), "privileged=a,b", "different jobs"},
	} {
		if _, err := ResolveGrants(test.plan, grants(t, test.grant)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want …%s…", test.grant, err, test.want)
		}
	}
}

// What a hand-written plan asks for stops the run, unless the command line
// grants exactly that (CVE-2024-23653).
func TestCheckPolicy(t *testing.T) {
	p := grantPlan()
	all := []string{"privileged=build", "privileged=docker", "device:/dev/kvm=vm", "device:/dev/net/tun=vm", "host-network=vm"}
	messages := []string{
		`job "build" asks for privileged: not granted`,
		`job "docker" asks for privileged (service docker:dind): not granted`,
		`job "vm" asks for device:/dev/kvm: not granted`,
		`job "vm" asks for device:/dev/net/tun: not granted`,
		`job "vm" asks for host-network: not granted`,
	}
	for i := range all {
		var given []string
		given = append(append(given, all[:i]...), all[i+1:]...)
		granted, err := ResolveGrants(p, grants(t, given...))
		if err != nil {
			t.Fatal(err)
		}
		var policy *PolicyError
		if err := CheckPolicy(p, granted); !errors.As(err, &policy) || err.Error() != messages[i] {
			t.Errorf("without %s: %v", all[i], err)
		} else if want := "--grant " + all[i]; !strings.HasSuffix(policy.Help(), want) {
			t.Errorf("help %q, want …%s", policy.Help(), want)
		}
	}
	granted, err := ResolveGrants(p, grants(t, all...))
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckPolicy(p, granted); err != nil {
		t.Error(err)
	}
	quoted := &PolicyError{Refused: []Refused{{Job: "it's: [a, b]", Privilege: "privileged"}}}
	if want := `--grant 'privileged=it'\''s: [a, b]'`; !strings.HasSuffix(quoted.Help(), want) {
		t.Errorf("help %q", quoted.Help())
	}
}

// A job gets what it asks for and was granted, and nothing that only one of the
// two names: a grant for a service is none for the job.
func TestGranted(t *testing.T) {
	p := grantPlan()
	r := &run{plan: p, Executor: Executor{Granted: map[string]Granted{
		"quiet": {Privileged: true, HostNetwork: true, Devices: []string{"/dev/kvm"}}, "docker": {Privileged: true},
		"vm": {Devices: []string{"/dev/net/tun", "/dev/mem"}},
	}}}
	for i, want := range []Granted{{}, {}, {}, {Devices: []string{"/dev/net/tun"}}} {
		w := &worker{r: r, job: &p.Jobs[i]}
		got := w.granted()
		if len(got.Devices) == 0 {
			got.Devices = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", p.Jobs[i].Name, got, want)
		}
	}
}

// A limit that was hit is named, and of a script that failed the class.
func TestJudgeHits(t *testing.T) {
	for _, test := range []struct {
		name  string
		code  int
		hits  Hits
		limit int64
		class Class
		error string
		note  string
	}{
		{"memory", 137, Hits{OOM: true}, 64 << 20, ClassOOM, "out of memory: the kernel killed a process of the job at its limit of 64 MiB; exit code 137 (SIGKILL)", ""},
		{"the machine's memory", 1, Hits{OOM: true}, 0, ClassOOM, "out of memory: the kernel killed a process of the job; exit code 1", ""},
		{"a script that goes on", 0, Hits{OOM: true}, 64 << 20, "", "", "out of memory: the kernel killed a process of the job at its limit of 64 MiB"},
		{"processes", 2, Hits{PIDs: true}, 0, ClassScript, "exit code 2", "the limit of 4096 processes was hit"},
		{"none", 137, Hits{}, 64 << 20, ClassScript, "exit code 137 (SIGKILL)", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, &world{script: programs{"a": exits(test.code)}, hits: map[string]Hits{"a": test.hits}})
				p := parsePlan(t, "1 a")
				p.Jobs[0].Resources = &plan.Resources{Memory: test.limit}
				res := h.run(t, t.Context(), p).Jobs[0]
				if res.Class != test.class || res.Error != test.error {
					t.Errorf("class %q: %s", res.Class, res.Error)
				}
				var notes []string
				for _, e := range h.events {
					if e.Type == EventJobNote && e.Warning {
						notes = append(notes, e.Text)
					}
				}
				if got := strings.Join(notes, "\n"); got != test.note {
					t.Errorf("notes %q", got)
				}
			})
		})
	}
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		plan       *plan.Resources
		most, want plan.Resources
	}{
		{nil, plan.Resources{}, plan.Resources{PIDs: DefaultPIDs}},
		{nil, plan.Resources{CPUs: 1.5, Memory: 2, Disk: 3, PIDs: 4}, plan.Resources{CPUs: 1.5, Memory: 2, Disk: 3, PIDs: 4}},
		{&plan.Resources{CPUs: 4, Memory: 10, Disk: 10, PIDs: 10}, plan.Resources{CPUs: 2, Memory: 5, Disk: 20}, plan.Resources{CPUs: 2, Memory: 5, Disk: 10, PIDs: 10}},
		{&plan.Resources{PIDs: 100_000}, plan.Resources{}, plan.Resources{PIDs: 100_000}},
	} {
		w := &worker{r: &run{Executor: Executor{Limits: test.most}}, job: &plan.Job{Resources: test.plan}}
		if got := w.limits(); got != test.want {
			t.Errorf("plan %+v, at most %+v: got %+v, want %+v", test.plan, test.most, got, test.want)
		}
	}
}
