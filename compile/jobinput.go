package compile

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
)

// jobInputForm is JOB:NAME=VALUE. The name of a job may hold colons, and a value what
// looks like a name: the first place where a name can stand is that of the name.
var jobInputForm = regexp.MustCompile(`(?s)^(.+?):([A-Za-z0-9_-]+)=(.*)$`)

// ParseJobInput reads JOB:NAME=VALUE, a value for an input of a job (specification
// section 8.4).
func ParseJobInput(s string) (pipeline.InputValue, error) {
	m := jobInputForm.FindStringSubmatch(s)
	if m == nil {
		return pipeline.InputValue{}, fmt.Errorf("%q is not of the form JOB:NAME=VALUE", s)
	}
	return pipeline.InputValue{Job: m[1], Name: m[2], Text: m[3]}, nil
}

// checkJobInputs reports values for inputs that the file does not have.
func checkJobInputs(p *pipeline.Pipeline, given []pipeline.InputValue) (found syntax.ErrorList) {
	var jobs []string
	inputs := map[string][]string{}
	for _, j := range p.Jobs {
		if jobs = append(jobs, j.Base); inputs[j.Base] != nil {
			continue
		}
		inputs[j.Base] = []string{}
		for _, in := range j.Inputs {
			inputs[j.Base] = append(inputs[j.Base], in.Name)
		}
	}
	for _, v := range given {
		what, wrong, known := "which does not exist", v.Job, jobs
		names, exists := inputs[v.Job]
		switch {
		case slices.Contains(names, v.Name), !exists && ofChild(v.Job, p.Jobs):
			continue
		case exists:
			what, wrong, known = "which has no such input", v.Name, names
		}
		e := &syntax.Error{Code: codeOption, Msg: fmt.Sprintf("a value is given for input %q of job %q, %s", v.Name, v.Job, what)}
		if best := syntax.Suggest(wrong, known); best != "" {
			e.Help = fmt.Sprintf("did you mean %q?", best)
		}
		found = append(found, e)
	}
	return found
}

// jobInputTexts are values for inputs of jobs as the plan's context records them: the
// list in JSON, which [ParseJobInputTexts] reads.
func jobInputTexts(given []pipeline.InputValue) string {
	var texts []string
	for _, v := range given {
		texts = append(texts, fmt.Sprintf("%s:%s=%s", v.Job, v.Name, v.Text))
	}
	list, err := json.Marshal(texts)
	if err != nil { // of strings
		panic(err)
	}
	return string(list)
}

// ParseJobInputTexts reads the option "job-input" of a plan's context.
func ParseJobInputTexts(recorded string) (given []pipeline.InputValue, err error) {
	var texts []string
	if err := json.Unmarshal([]byte(recorded), &texts); err != nil {
		return nil, fmt.Errorf("job-input: %w", err)
	}
	for _, text := range texts {
		v, err := ParseJobInput(text)
		if err != nil {
			return nil, err
		}
		given = append(given, v)
	}
	return given, nil
}

// jobInputsBelow are those of jobs of the child pipeline whose trigger job goes by some names.
func jobInputsBelow(given []pipeline.InputValue, triggers []string) (below []pipeline.InputValue) {
	for _, v := range given {
		for _, trigger := range triggers {
			if name, ok := strings.CutPrefix(v.Job, trigger+"/"); ok {
				v.Job = name
				below = append(below, v)
				break
			}
		}
	}
	return below
}
