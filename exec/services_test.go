package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cic-ci/cic/plan"
)

func variables(pairs ...string) plan.Variables {
	var vars plan.Variables
	for i := 0; i < len(pairs); i += 2 {
		vars = append(vars, plan.Variable{Name: pairs[i], Value: plan.Literal(pairs[i+1])})
	}
	return vars
}

func service(image string, aliases ...string) plan.Service {
	return plan.Service{Image: plan.Image{Name: plan.Literal(image)}, Alias: aliases}
}

// withServices is a plan of one job, a.
func withServices(t *testing.T, services ...plan.Service) *plan.Plan {
	t.Helper()
	p := parsePlan(t, "1 a")
	p.Jobs[0].Services = services
	return p
}

func notes(events []Event) (texts []string) {
	for _, e := range events {
		if e.Type == EventJobNote {
			kind := ""
			if e.Warning {
				kind = "warning: "
			}
			texts = append(texts, kind+e.Text)
		}
	}
	return texts
}

// The names that are taken are the next service's loss, and it is told.
func TestServiceNames(t *testing.T) {
	for _, tt := range []struct {
		services    []plan.Service
		names, note string
	}{
		{[]plan.Service{service("docker.io/library/postgres:15", "db")}, "db,postgres", ""},
		{[]plan.Service{service("docker.io/library/postgres:15", "db"), service("docker.io/library/postgres:13", "old")}, "db,postgres|old",
			`service postgres:13 is reached as "old" only: "postgres" cannot be used or belong to an earlier service`},
		{[]plan.Service{service("docker.io/library/postgres:15"), service("docker.io/library/postgres:15")}, "postgres",
			`service postgres:15 is not started: no host name is left for it, "postgres" cannot be used or belong to an earlier service; give it an alias`},
		{[]plan.Service{service("docker.io/library/redis:7", "Cache"), service("docker.io/library/memcached:1", "cache", "memcached")}, "Cache,redis|memcached",
			`service memcached:1 is reached as "memcached" only: "cache" cannot be used or belong to an earlier service`},
		// What only a plan by hand can hold.
		{[]plan.Service{service("docker.io/library/redis:7", "a\n6.6.6.6 registry.example.com")}, "redis",
			`service redis:7 is reached as "redis" only: "a\n6.6.6.6 registry.example.com" cannot be used or belong to an earlier service`},
	} {
		var names []string
		w := &world{setup: map[string]func(context.Context, Spec) error{"a": func(_ context.Context, s Spec) error {
			for _, s := range s.Services {
				names = append(names, strings.Join(s.Names, ","))
			}
			return nil
		}}}
		h := newHarness(t, w)
		h.run(t, t.Context(), withServices(t, tt.services...))
		if got := strings.Join(names, "|"); got != tt.names {
			t.Errorf("names %s, want %s", got, tt.names)
		}
		if got := strings.Join(notes(h.events), "\n"); got != strings.TrimSuffix("warning: "+tt.note, "warning: ") {
			t.Errorf("%s: got the notes\n%s", tt.names, got)
		}
	}
}

// A service has all variables of the job and its own, and none of its secrets.
func TestServiceEnvironment(t *testing.T) {
	p := withServices(t, plan.Service{
		Image:   plan.Image{Name: plan.Text{Value: "docker.io/library/db:${CI_COMMIT_SHA}", Template: true}, Entrypoint: []plan.Text{plan.Literal("/e")}},
		Command: []plan.Text{{Value: "serve:${CI_COMMIT_SHA}", Template: true}},
		Variables: plan.Variables{
			{Name: "MODE", Value: plan.Literal("service")},
			{Name: "OWN", Value: plan.Text{Value: "at ${CI_COMMIT_SHA}", Template: true}},
		},
	}, service("docker.io/library/other:1"))
	p.Variables = variables("CI", "true")
	p.Jobs[0].Variables = variables("MODE", "job", "SHARED", "yes")
	p.Jobs[0].Secrets = []plan.Secret{{Name: "PASSWORD"}}
	var got []Service
	w := &world{setup: map[string]func(context.Context, Spec) error{"a": func(_ context.Context, s Spec) error {
		got = s.Services
		return nil
	}}}
	h := newHarness(t, w)
	h.Variables = map[string]string{"CI_COMMIT_SHA": "abc"}
	h.Secrets = NewSecrets(map[string]Sensitive{"PASSWORD": NewSensitive("correct horse")})
	h.run(t, t.Context(), p)
	if len(got) != 2 {
		t.Fatalf("%d services", len(got))
	}
	if s := got[0]; s.Image.Name != plan.Literal("docker.io/library/db:abc") || s.Names[0] != "db" || s.Command[0] != "serve:abc" || s.Image.Entrypoint[0] != plan.Literal("/e") {
		t.Errorf("got %+v", s)
	}
	for i, want := range [][]string{{"CI=true", "MODE=service", "SHARED=yes", "OWN=at abc", "CI_JOB_NAME=a"}, {"MODE=job", "SHARED=yes"}} {
		for _, entry := range want {
			if !slices.Contains(got[i].Env, entry) {
				t.Errorf("service %d lacks %s: %q", i, entry, got[i].Env)
			}
		}
		if !slices.IsSorted(got[i].Env) || strings.Contains(strings.Join(got[i].Env, " "), "PASSWORD") {
			t.Errorf("service %d: %q", i, got[i].Env)
		}
	}
	if slices.ContainsFunc(got[1].Env, func(e string) bool { return strings.HasPrefix(e, "OWN=") }) {
		t.Error("a service sees another's variables")
	}
}

// prints is a service that prints lines 1 to n and then what follows.
func prints(n int, then func(note func(int, string)) error) func(context.Context, []Service, func(int, string)) error {
	return func(_ context.Context, services []Service, note func(int, string)) error {
		for i := range n {
			if _, err := fmt.Fprintf(services[0].Output, "line %d\n", i+1); err != nil {
				return err
			}
		}
		return then(note)
	}
}

// What a service said is shown when it is in trouble, and when the job fails.
func TestServiceLogs(t *testing.T) {
	fine := func(func(int, string)) error { return nil }
	late := func(note func(int, string)) error { note(0, "is not ready after 30s: port 80 is not open"); return nil }
	for _, tt := range []struct {
		name   string
		lines  int
		then   func(note func(int, string)) error
		code   int
		debug  string
		notes  []string
		status Status
	}{
		{"success", 3, fine, 0, "", nil, StatusSuccess},
		{"failure", 2, fine, 1, "", []string{"the last that service db printed; all of it is in LOG", "db | line 1", "db | line 2"}, StatusFailed},
		{"silent", 0, fine, 1, "", []string{"service db printed nothing"}, StatusFailed},
		{"not ready", 1, late, 0, "", []string{"warning: service db is not ready after 30s: port 80 is not open",
			"the last that service db printed; all of it is in LOG", "db | line 1"}, StatusSuccess},
		{"not ready, and failure", 1, late, 1, "", []string{"warning: service db is not ready after 30s: port 80 is not open",
			"the last that service db printed; all of it is in LOG", "db | line 1"}, StatusFailed},
		{"streamed", 2, fine, 1, "true", []string{"db | line 1", "db | line 2"}, StatusFailed},
		{"cannot start", 1, func(func(int, string)) error {
			return &Error{Class: ClassConfig, Err: errors.New("service db: no such program")}
		}, 0, "",
			nil, StatusFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := withServices(t, service("docker.io/library/db:1"))
			if tt.debug != "" {
				p.Jobs[0].Variables = variables("CI_DEBUG_SERVICES", tt.debug)
			}
			w := &world{
				services: map[string]func(context.Context, []Service, func(int, string)) error{"a": prints(tt.lines, tt.then)},
				script:   programs{"a": exits(tt.code)},
			}
			h := newHarness(t, w)
			res := h.run(t, t.Context(), p)
			path := filepath.Join(h.RunDir.Dir, logsName, (&Record{}).ServiceLogFile("a", "db"))
			got := notes(h.events)
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], path, "LOG")
			}
			if !slices.Equal(got, tt.notes) || res.Jobs[0].Status != tt.status {
				t.Errorf("%s, notes %q, want %q", res.Jobs[0].Status, got, tt.notes)
			}
			text, err := os.ReadFile(path)
			if err != nil || strings.Count(string(text), "\n") != tt.lines {
				t.Errorf("the log holds %q, %v", text, err)
			}
			if at, end := w.happened("services a"), w.happened("script a"); at < 0 || end >= 0 && end < at {
				t.Errorf("%q", w.history)
			}
		})
	}
}

// Each attempt has services' logs of its own, and those of the last are found by
// the service's name.
func TestServiceLogsOfAttempts(t *testing.T) {
	p := withServices(t, service("docker.io/library/db:1"))
	p.Jobs[0].Retry = &plan.Retry{Max: 1}
	attempt := 0
	w := &world{
		services: map[string]func(context.Context, []Service, func(int, string)) error{
			"a": func(_ context.Context, services []Service, _ func(int, string)) error {
				attempt++
				_, err := fmt.Fprintf(services[0].Output, "attempt %d\n", attempt)
				return err
			},
		},
		script: programs{"a": codes(1, 0)},
	}
	h := newHarness(t, w)
	h.run(t, t.Context(), p)
	for name, want := range map[string]string{
		(&Record{}).ServiceLogFile("a", "db"): "attempt 2\n",
		"a@attempt-1-service-db.log":          "attempt 1\n",
	} {
		if text, err := os.ReadFile(filepath.Join(h.RunDir.Dir, logsName, name)); err != nil || string(text) != want {
			t.Errorf("%s holds %q, %v", name, text, err)
		}
	}
}

// Of a long output the end is shown, and of a long line the beginning.
func TestServiceTail(t *testing.T) {
	l := &serviceLog{name: "db"}
	secrets := NewSecrets(map[string]Sensitive{"PASSWORD": NewSensitive("correct horse")})
	w := &worker{r: &run{Executor: Executor{LogLimit: 1 << 20, Secrets: secrets}}}
	if err := w.openServiceLog(l); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		fmt.Fprintf(l, "%d\n", i)
	}
	fmt.Fprintf(l, "login with correct horse\n%s\xff\n", strings.Repeat("é", tailWidth))
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	lines, _, _ := l.last()
	if len(lines) != serviceTail || lines[0] != "12" || strings.Contains(lines[serviceTail-2], "horse") || !strings.HasSuffix(lines[serviceTail-1], "é ...") {
		t.Errorf("%d lines, %q", len(lines), lines)
	}
	if _, err := io.WriteString(l, "late\n"); err != nil {
		t.Errorf("output after the end: %v", err)
	}
}
