package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cic-ci/cic/plan"
)

const hunter = "hunter2hunter3"

func secretsOf(values ...string) *Secrets {
	all := map[string]Sensitive{}
	for i := 0; i < len(values); i += 2 {
		all[values[i]] = NewSensitive(values[i+1])
	}
	return NewSecrets(all)
}

// Whatever prints a secret, or something that holds one, prints something else.
func TestSensitive(t *testing.T) {
	secret := Secret{Name: "TOKEN", Value: NewSensitive(hunter)}
	spec := Spec{Secrets: []Secret{secret}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret.Value, "all", secret)
	encoded, err := json.Marshal(spec.Secrets)
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{log.String(), string(encoded)}
	hidden := struct {
		s *Secrets
		v Sensitive
	}{secretsOf("TOKEN", hunter), secret.Value}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, &secret), fmt.Sprintf(verb, spec.Secrets), fmt.Sprintf(verb, secret.Value),
			fmt.Sprintf(verb, hidden), fmt.Sprintf(verb, hidden.s), fmt.Sprintf(verb, *hidden.s))
	}
	for _, text := range shown {
		if strings.Contains(text, hunter) || strings.Contains(text, fmt.Sprintf("%x", hunter)) {
			t.Errorf("the secret shows: %s", text)
		}
	}
	if secret.Value.Reveal() != hunter {
		t.Error("the secret is lost")
	}
}

func TestSecretsOfJobs(t *testing.T) {
	p := parsePlan(t, "1 a\n1 b\n1 c")
	p.Jobs[0].Secrets = []plan.Secret{{Name: "KEY", File: true}, {Name: "TOKEN"}}
	p.Jobs[0].Reads = []string{"EXTRA", "KEY", "TERM"}
	p.Jobs[1].Reads = []string{"TOKEN"}
	s := secretsOf("TOKEN", hunter, "KEY", "a key of a file", "EXTRA", "another one", "IDLE", "nobody's at all")
	for i, want := range []string{"EXTRA KEY(file) TOKEN", "TOKEN", ""} {
		var got []string
		for _, secret := range s.of(&p.Jobs[i]) {
			if secret.File {
				secret.Name += "(file)"
			}
			got = append(got, secret.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("job %s has %q, want %s", p.Jobs[i].Name, got, want)
		}
	}
	if got := s.Unasked(p); !slices.Equal(got, []string{"IDLE"}) {
		t.Errorf("nobody asks for %q", got)
	}
	if err := s.Check(p); err != nil {
		t.Error(err)
	}
	p.Jobs[2].Secrets = []plan.Secret{{Name: "KEY"}, {Name: "LOST"}}
	err := secretsOf("TOKEN", hunter).Check(p)
	var missing *SecretsError
	if !errors.As(err, &missing) || err.Error() != `these secrets were not given: KEY (jobs "a", "c"), LOST (job "c")` {
		t.Errorf("missing: %v", err)
	}
	var none *Secrets
	if none.Check(p) == nil || none.of(&p.Jobs[0]) != nil || none.Unasked(p) != nil {
		t.Error("no secrets are some")
	}
}

func TestSecretsWritten(t *testing.T) {
	p := parsePlan(t, "1 a\n1 b")
	p.Context = plan.Context{Ref: "main", RefType: "branch", Event: "push"}
	for i := range p.Jobs {
		p.Jobs[i].Script.SHA256 = strings.Repeat("0", 64)
	}
	p.Jobs[1].Variables = plan.Variables{{Name: "X", Value: plan.Literal(`say "hunter2"`)}}
	s := secretsOf("IN_PLAN", `say "hunter2"`, "IN_SCRIPT", "word in a script", "NOWHERE", hunter)
	got, err := s.Written(p, func(s plan.Script) ([]byte, error) { return []byte("echo word in a script " + s.Path), nil })
	if err != nil || !slices.Equal(got, []string{"IN_PLAN", "IN_SCRIPT"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestSecretsAreMasked runs jobs that say their secret everywhere, and looks for it
// in all that the executor tells and writes.
func TestSecretsAreMasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var specs []Spec
		w := &world{
			setup: map[string]func(context.Context, Spec) error{
				"a": func(_ context.Context, s Spec) error { specs = append(specs, s); return nil },
				"c": func(context.Context, Spec) error {
					return &Error{Class: ClassSystem, Help: "do not tell " + hunter, Err: errors.New("cannot mount " + hunter)}
				},
			},
			script: programs{
				"a": func(_ context.Context, _ Program, out io.Writer) (int, error) {
					for i := range len(hunter) {
						_, _ = io.WriteString(out, hunter[i:i+1])
					}
					_, _ = io.WriteString(out, "\nends in hunter2")
					return 1, nil
				},
				"b": func(_ context.Context, _ Program, out io.Writer) (int, error) {
					_, _ = io.WriteString(out, "from elsewhere: "+hunter+"\n")
					return 0, nil
				},
			},
			after:   programs{"a": func(context.Context, Program, io.Writer) (int, error) { return 0, errors.New("after " + hunter) }},
			closing: map[string]func() error{"b": func() error { return errors.New("left behind: " + hunter) }},
		}
		h := newHarness(t, w)
		h.Secrets = secretsOf("TOKEN", hunter)
		p := parsePlan(t, "1 a\n1 b\n1 c")
		p.Jobs[0].Secrets = []plan.Secret{{Name: "TOKEN"}}
		p.Jobs[0].AfterScript = &plan.Script{Path: "after", Shell: "sh"}
		res := h.run(t, t.Context(), p)
		if len(specs) != 1 || len(specs[0].Secrets) != 1 || specs[0].Secrets[0].Value.Reveal() != hunter {
			t.Errorf("the job was not given its secret: %+v", specs)
		}
		if slices.ContainsFunc(specs[0].Env, func(e string) bool { return strings.Contains(e, hunter) }) {
			t.Error("the secret is in the environment of the specification")
		}
		told := fmt.Sprintf("%+v", res)
		for _, e := range h.events {
			encoded, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			told += string(encoded) + "\n"
		}
		err := filepath.WalkDir(h.RunDir.Dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			told += string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if at := strings.Index(told, hunter); at >= 0 {
			t.Errorf("the secret shows: %q", told[max(0, at-100):at+len(hunter)])
		}
		for _, want := range []string{"cannot mount [MASKED]", "do not tell [MASKED]", "left behind: [MASKED]", "after [MASKED]", "from elsewhere: [MASKED]", "ends in hunter2"} {
			if !strings.Contains(told, want) {
				t.Errorf("%q is not told", want)
			}
		}
		if tail := res.Jobs[0].Tail; !slices.Equal(tail, []string{"[MASKED]", "ends in hunter2"}) {
			t.Errorf("tail %q", tail)
		}
	})
}

func TestRunNeedsItsSecrets(t *testing.T) {
	h := newHarness(t, &world{})
	p := parsePlan(t, "1 a")
	p.Jobs[0].Secrets = []plan.Secret{{Name: "TOKEN"}}
	res, err := h.Run(t.Context(), p, func(plan.Script) ([]byte, error) { return nil, nil })
	var missing *SecretsError
	if res != nil || !errors.As(err, &missing) || len(h.events) > 0 {
		t.Errorf("%+v, %v", res, err)
	}
	h.Runtime, h.Workspaces = DryRun{}, DryRun{}
	if _, err := h.Run(t.Context(), p, func(plan.Script) ([]byte, error) { return nil, nil }); err != nil {
		t.Errorf("a dry run: %v", err)
	}
}

// A note among output neither lets half of a secret out nor breaks one.
func TestJobLogNoteWithinSecret(t *testing.T) {
	var file bytes.Buffer
	var l logged
	log := newJobLog(&file, secretsOf("TOKEN", hunter).Masker(), 1000,
		func(text string, _ bool) { l.lines = append(l.lines, text) }, func(string, bool) {})
	_, _ = io.WriteString(log, "x "+hunter[:5])
	log.Note(false, "a service says %s", hunter)
	_, _ = io.WriteString(log, hunter[5:]+"\n")
	_, _ = io.WriteString(log, hunter[:5])
	log.Settle()
	log.Note(false, "end")
	if _, err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "x \ncic: a service says [MASKED]\n[MASKED]\nhunte\ncic: end\n"; file.String() != want {
		t.Errorf("file %q", file.String())
	}
	if want := []string{"x ", "[MASKED]", "hunte"}; !slices.Equal(l.lines, want) {
		t.Errorf("lines %q", l.lines)
	}
}
