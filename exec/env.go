package exec

import (
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cic-ci/cic/plan"
)

// Environment returns the predefined variables of a job as NAME=value, sorted
// by name: those of the plan, those that follow from the job, and runtime, the
// ones that only the executor knows (see [plan.RuntimeVariable]), which the
// templates of the others may mention. The job's own variables are not among
// them: its script exports these. Source: specification section 19.
func Environment(p *plan.Plan, j *plan.Job, runtime map[string]string) ([]string, error) {
	values := make(map[string]string, len(runtime)+64)
	for _, vars := range []plan.Variables{p.Predefined(j), plan.JobVariables(j)} {
		for _, v := range vars {
			value, err := v.Value.Expand(lookup(runtime))
			if err != nil {
				return nil, fmt.Errorf("variable %s: %w", v.Name, err)
			}
			values[v.Name] = value
		}
	}
	maps.Copy(values, runtime)
	env := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, name+"="+values[name])
	}
	return env, nil
}

// addEnvironment adds what follows from the name of the job's environment, as far
// as only the executor knows it.
func addEnvironment(vars map[string]string, j *plan.Job) error {
	env := j.Environment
	if env == nil || !env.Name.Template {
		return nil
	}
	name, err := env.Name.Expand(lookup(vars))
	switch {
	case err != nil:
		return fmt.Errorf("environment: %w", err)
	case strings.TrimSpace(name) == "":
		return &Error{Class: ClassConfig, Err: fmt.Errorf("the environment's name %q is empty once expanded", env.Name)}
	}
	for _, v := range plan.EnvironmentVariables(env, name) {
		vars[v.Name] = v.Value.Value
	}
	return nil
}

// tellEnvironment finds the address of the job's environment, in which the
// variables of the job's own dotenv report count too.
func (w *worker) tellEnvironment(res *JobResult) {
	env := w.job.Environment
	if env == nil || env.URL == nil || res.Status != StatusSuccess {
		return
	}
	r := w.resolver(append(slices.Clip(w.reports), w.left.dotenv))
	url, err := env.URL.Expand(r.mention)
	if err == nil {
		err = r.err
	}
	switch {
	case err != nil:
		w.log.Note(true, "environment:url: %v", err)
	case !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://"):
		w.log.Note(true, "environment:url: %q is no address of the web", url)
	default:
		res.EnvironmentURL = url
		w.log.Note(false, "environment: %s", url)
	}
}

func lookup(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	}
}

// attemptJobs is more than a plan may hold, and maxJobs as much for four attempts
// of each, so that all ids of all runs differ.
const (
	maxJobs     = 1_000_000
	attemptJobs = maxJobs / 4
)

// runtimeVariables are what the executor itself adds to the caller's variables,
// which cannot overrule them (specification section 19). job is the job's index,
// attempt counts from 1.
func (r *run) runtimeVariables(job, attempt int) map[string]string {
	id := strconv.FormatInt(r.number()*maxJobs+int64((attempt-1)*attemptJobs+job)+1, 10)
	pipeline := strconv.FormatInt(r.number(), 10)
	known := r.tree(&r.plan.Jobs[job]).Variables
	vars := make(map[string]string, len(known)+16)
	maps.Copy(vars, known)
	vars["CI_BUILDS_DIR"] = path.Dir(plan.ProjectDir)
	vars["CI_CONCURRENT_ID"] = "0"
	vars["CI_CONCURRENT_PROJECT_ID"] = "0"
	vars["CI_JOB_ID"] = id
	vars["CI_PIPELINE_CREATED_AT"] = r.started.UTC().Format(time.RFC3339)
	vars["CI_PIPELINE_ID"] = pipeline
	vars["CI_PIPELINE_IID"] = pipeline
	vars["CI_PROJECT_DIR"] = plan.ProjectDir
	vars["CI_RUNNER_EXECUTABLE_ARCH"] = runtime.GOOS + "/" + runtime.GOARCH
	vars["CI_RUNNER_SHORT_TOKEN"] = "local"
	name := r.plan.Name
	if c := r.plan.Pipeline(r.plan.Jobs[job].Pipeline); c != nil {
		name = c.Name
	}
	if name != "" {
		vars["CI_PIPELINE_NAME"] = name
	}
	if project := vars["CI_PROJECT_URL"]; project != "" {
		vars["CI_JOB_URL"] = project + "/-/jobs/" + id
		vars["CI_PIPELINE_URL"] = project + "/-/pipelines/" + pipeline
	}
	return vars
}

// expandAll expands each of texts.
func expandAll(texts []plan.Text, values map[string]string) ([]string, error) {
	out := make([]string, 0, len(texts))
	for _, t := range texts {
		s, err := t.Expand(lookup(values))
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}
