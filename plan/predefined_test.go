package plan

import (
	"slices"
	"strings"
	"testing"
)

func checkVariables(t *testing.T, got Variables, want map[string]string, absent ...string) {
	t.Helper()
	v := validator{}
	scope{v: &v}.variables(got)
	if err := v.err(); err != nil {
		t.Error(err)
	}
	for _, name := range sortedKeys(want) {
		if value, ok := got.Get(name); !ok || value.Value != want[name] {
			t.Errorf("%s = %q (defined: %v), want %q", name, value.Value, ok, want[name])
		}
	}
	for _, name := range absent {
		if value, ok := got.Get(name); ok {
			t.Errorf("%s is defined, as %q", name, value.Value)
		}
	}
	for _, variable := range got {
		// What is made of an environment's name is known with that.
		if RuntimeVariable(variable.Name) && !strings.HasPrefix(variable.Name, "CI_ENVIRONMENT_") {
			t.Errorf("%s is known at compile time and at run time", variable.Name)
		}
	}
}

func TestContextVariables(t *testing.T) {
	checkVariables(t, ContextVariables(Context{Ref: "feature/X", RefType: "branch", Event: "push"}), map[string]string{
		"CI": "true", "GITLAB_CI": "true", "CI_SERVER": "yes", "CI_SERVER_NAME": "GitLab", "CI_SERVER_VERSION_MAJOR": "18",
		"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_REF_NAME": "feature/X", "CI_COMMIT_REF": "feature/X",
		"CI_COMMIT_REF_SLUG": "feature-x", "CI_COMMIT_BRANCH": "feature/X", "CI_COMMIT_REF_PROTECTED": "false",
		"CI_DEBUG_TRACE": "false", "CI_DISPOSABLE_ENVIRONMENT": "true", "CI_RUNNER_TAGS": "[]",
	}, "CI_COMMIT_TAG", "CI_PIPELINE_TRIGGERED", "CI_MERGE_REQUEST_ID", "CI_NODE_TOTAL", "CI_JOB_TOKEN", "CI_REGISTRY")
	checkVariables(t, ContextVariables(Context{Ref: "v1.2", RefType: "tag", Event: "trigger"}), map[string]string{
		"CI_COMMIT_TAG": "v1.2", "CI_COMMIT_REF_SLUG": "v1-2", "CI_PIPELINE_TRIGGERED": "true", "CI_PIPELINE_SOURCE": "trigger",
	}, "CI_COMMIT_BRANCH")
	checkVariables(t, ContextVariables(Context{Ref: "topic", RefType: "branch", Event: "merge_request_event"}), map[string]string{
		"CI_COMMIT_REF_NAME": "topic",
	}, "CI_COMMIT_BRANCH", "CI_COMMIT_TAG")
	checkVariables(t, ContextVariables(Context{}), map[string]string{"CI": "true"},
		"CI_COMMIT_REF_NAME", "CI_COMMIT_REF", "CI_COMMIT_REF_SLUG", "CI_COMMIT_BRANCH", "CI_PIPELINE_SOURCE")
}

func TestJobVariables(t *testing.T) {
	p := full(t)
	checkVariables(t, JobVariables(&p.Jobs[2]), map[string]string{
		"CI_JOB_NAME": "test: [3.11, sqlite]", "CI_JOB_NAME_SLUG": "test---3-11--sqlite", "CI_JOB_GROUP_NAME": "test",
		"CI_JOB_STAGE": "test", "CI_JOB_IMAGE": "docker.io/library/python:3.11", "CI_JOB_TIMEOUT": "600",
		"CI_ENVIRONMENT_NAME": "review/x", "CI_ENVIRONMENT_URL": "https://x.example", "CI_ENVIRONMENT_ACTION": "start",
	}, "CI_JOB_MANUAL")
	j := simple("deploy", "deploy")
	checkVariables(t, JobVariables(&j), map[string]string{"CI_JOB_NAME": "deploy"}, "CI_JOB_MANUAL", "CI_ENVIRONMENT_NAME", "CI_ENVIRONMENT_SLUG")
	j.When = "manual"
	j.Environment = &Environment{Name: Text{"review/${CI_PROJECT_NAME}", true}}
	vs := JobVariables(&j)
	checkVariables(t, vs, map[string]string{"CI_JOB_MANUAL": "true", "CI_ENVIRONMENT_ACTION": "start"}, "CI_ENVIRONMENT_SLUG", "CI_ENVIRONMENT_URL")
	if name, _ := vs.Get("CI_ENVIRONMENT_NAME"); !name.Template {
		t.Error("the name of the environment is no template")
	}
	j.Environment.Name = Literal("production")
	checkVariables(t, JobVariables(&j), map[string]string{"CI_ENVIRONMENT_SLUG": "production", "CI_ENVIRONMENT_TIER": "production"})
	j.Environment.Tier = "other"
	checkVariables(t, JobVariables(&j), map[string]string{"CI_ENVIRONMENT_TIER": "other"})
}

// TestEnvironmentTier holds examples of GitLab's documentation and its order.
func TestEnvironmentTier(t *testing.T) {
	for name, want := range map[string]string{
		"Production": "production", "live": "production", "gprd": "production",
		"staging": "staging", "pre-prod": "staging", "demo": "staging",
		"QA": "testing", "integration": "testing", "prod-test": "testing",
		"dev": "development", "review/feature": "development", "Trunk": "development",
		"canary": "other", "": "other",
	} {
		if got := environmentTier(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestRuntimeVariables(t *testing.T) {
	names := RuntimeVariables()
	if !slices.IsSorted(names) {
		t.Error("the list must be sorted: it is searched by bisection")
	}
	for _, name := range []string{"CI_PROJECT_DIR", "CI_JOB_ID", "CI_COMMIT_SHA"} {
		if !RuntimeVariable(name) {
			t.Errorf("%s is not in the list", name)
		}
	}
	if RuntimeVariable("CI_COMMIT_REF_NAME") || RuntimeVariable("") {
		t.Error("too much is in the list")
	}
	names[0] = "x"
	if RuntimeVariables()[0] == "x" {
		t.Error("the list can be changed from outside")
	}
}

func TestTextSegments(t *testing.T) {
	for _, test := range []struct {
		text Text
		want string // expanded with X=1, or the error
	}{
		{Literal("a $X ${X} $$"), "a $X ${X} $$"},
		{Literal(""), ""},
		{Text{"", true}, ""},
		{Text{"a${X}b${Y}c$$d", true}, "a1bc$d"},
		{Text{"$${X}", true}, "${X}"},
		{Text{"$", true}, `template "$": single $ at byte 0`},
		{Text{"a$X", true}, `template "a$X": single $ at byte 1`},
		{Text{"${X", true}, `template "${X": malformed reference at byte 0`},
		{Text{"${}", true}, `template "${}": malformed reference at byte 0`},
		{Text{"${1}", true}, `template "${1}": malformed reference at byte 0`},
	} {
		got, err := test.text.Expand(func(name string) (string, bool) { return "1", name == "X" })
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%+v: got %s, want %s", test.text, got, test.want)
		}
	}
}
