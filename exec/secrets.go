package exec

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cic-ci/cic/exec/mask"
	"github.com/cic-ci/cic/plan"
)

// Secrets are the values that were given for a run. A job gets those that it
// declares and those whose names its scripts read without anyone defining them;
// all are masked in the output of every job, as an artifact may carry one along.
// A nil one holds none.
type Secrets struct {
	values map[string]Sensitive
	masker *mask.Masker
}

// NewSecrets collects values by name, which must not be blank.
func NewSecrets(values map[string]Sensitive) *Secrets {
	s := &Secrets{values: maps.Clone(values)}
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		texts = append(texts, values[name].Reveal())
	}
	s.masker = mask.New(texts)
	return s
}

// Masker masks all values, and well-known tokens.
func (s *Secrets) Masker() *mask.Masker {
	if s == nil {
		return nil
	}
	return s.masker
}

// of are those that a job may have, sorted by name.
func (s *Secrets) of(j *plan.Job) (list []Secret) {
	if s == nil {
		return nil
	}
	for _, declared := range j.Secrets {
		if v, given := s.values[declared.Name]; given {
			list = append(list, Secret{Name: declared.Name, File: declared.File, Value: v})
		}
	}
	for _, name := range j.Reads {
		known := slices.ContainsFunc(list, func(s Secret) bool { return s.Name == name })
		if v, given := s.values[name]; given && !known {
			list = append(list, Secret{Name: name, Value: v})
		}
	}
	slices.SortFunc(list, func(a, b Secret) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Unasked are the names, sorted, that no job of the plan asks for.
func (s *Secrets) Unasked(p *plan.Plan) (names []string) {
	if s == nil {
		return nil
	}
	asked := map[string]bool{}
	for i := range p.Jobs {
		for _, secret := range s.of(&p.Jobs[i]) {
			asked[secret.Name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		if !asked[name] {
			names = append(names, name)
		}
	}
	return names
}

// Written are the names, sorted, whose values stand in the plan or its scripts,
// where they are no secret. scripts is as for [Executor.Run].
func (s *Secrets) Written(p *plan.Plan, scripts func(plan.Script) ([]byte, error)) (names []string, err error) {
	if s == nil || len(s.values) == 0 {
		return nil, nil
	}
	encoded, err := plan.Encode(p)
	if err != nil {
		return nil, err
	}
	texts := [][]byte{encoded}
	for i := range p.Jobs {
		for _, script := range p.Jobs[i].Scripts() {
			text, err := scripts(script)
			if err != nil {
				return nil, err
			}
			texts = append(texts, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		value := strings.TrimSpace(s.values[name].Reveal())
		quoted, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(texts, func(text []byte) bool {
			return bytes.Contains(text, []byte(value)) || bytes.Contains(text, quoted[1:len(quoted)-1])
		}) {
			names = append(names, name)
		}
	}
	return names, nil
}

// SecretsError says that jobs declare secrets which were not given.
type SecretsError struct {
	// Missing are the names, sorted; Jobs holds for each the jobs that declare it, in plan order.
	Missing []string
	Jobs    map[string][]string
}

// Error names the secrets and their jobs.
func (e *SecretsError) Error() string {
	var list []string
	for _, name := range e.Missing {
		word := "job"
		if len(e.Jobs[name]) > 1 {
			word = "jobs"
		}
		list = append(list, fmt.Sprintf("%s (%s %s)", name, word, joinQuoted(e.Jobs[name])))
	}
	return "these secrets were not given: " + strings.Join(list, ", ")
}

// Check refuses a plan whose jobs lack a secret that they declare, with a
// [*SecretsError]. [Executor.Run] does so too.
func (s *Secrets) Check(p *plan.Plan) error {
	e := &SecretsError{Jobs: map[string][]string{}}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		for _, declared := range j.Secrets {
			if s != nil {
				if _, given := s.values[declared.Name]; given {
					continue
				}
			}
			e.Jobs[declared.Name] = append(e.Jobs[declared.Name], j.Name)
		}
	}
	if len(e.Jobs) == 0 {
		return nil
	}
	e.Missing = slices.Sorted(maps.Keys(e.Jobs))
	return e
}

// hide masks what a result says in words. Its tail is output, which is masked already.
func (s *Secrets) hide(res *JobResult) {
	m := s.Masker()
	res.Error, res.Help, res.Reason = m.Text(res.Error), m.Text(res.Help), m.Text(res.Reason)
	res.EnvironmentURL = m.Text(res.EnvironmentURL)
	if res.Command != nil {
		res.Command.Text = m.Text(res.Command.Text)
	}
}

// hideError gives an error a text without secrets.
func (s *Secrets) hideError(err error) error {
	if err == nil {
		return nil
	}
	text := s.Masker().Text(err.Error())
	if text == err.Error() {
		return err
	}
	return &hiddenError{text, err}
}

type hiddenError struct {
	text string
	err  error
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.err }
