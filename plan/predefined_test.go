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
	checkVariables(t, ContextVariables(Context{Ref: "topic", RefType: "branch", Event: "merge_request_event", TargetBranch: "main"}), map[string]string{
		"CI_COMMIT_REF_NAME": "topic", "CI_MERGE_REQUEST_IID": "1", "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
		"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "topic", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
	}, "CI_COMMIT_BRANCH", "CI_COMMIT_TAG", "CI_OPEN_MERGE_REQUESTS")
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

// predefinedRows are all names of specification section 19, by where their value
// comes from.
var predefinedRows = map[string]string{
	// Constants, and what follows from the context: in the plan.
	"plan": `CI GITLAB_CI CI_SERVER CI_SERVER_NAME CI_SERVER_VERSION CI_SERVER_VERSION_MAJOR CI_SERVER_VERSION_MINOR
		CI_SERVER_VERSION_PATCH CI_SERVER_REVISION CI_PROJECT_VISIBILITY CI_PROJECT_CLASSIFICATION_LABEL
		CI_PROJECT_REPOSITORY_LANGUAGES CI_PROJECT_DESCRIPTION CI_COMMIT_REF_NAME CI_COMMIT_REF_SLUG CI_COMMIT_REF_PROTECTED
		CI_PIPELINE_SOURCE CI_DISPOSABLE_ENVIRONMENT CI_RUNNER_ID CI_RUNNER_DESCRIPTION CI_RUNNER_TAGS CI_DEBUG_TRACE
		CI_DEBUG_SERVICES CI_TEMPLATE_REGISTRY_HOST GITLAB_FEATURES`,
	"plan of a branch":  `CI_COMMIT_BRANCH`,
	"plan of a tag":     `CI_COMMIT_TAG`,
	"plan of a trigger": `CI_PIPELINE_TRIGGERED`,
	"plan of a merge request": `CI_MERGE_REQUEST_ID CI_MERGE_REQUEST_IID CI_MERGE_REQUEST_SOURCE_BRANCH_NAME
		CI_MERGE_REQUEST_TARGET_BRANCH_NAME CI_MERGE_REQUEST_EVENT_TYPE`,
	// What follows from the job.
	"job": `CI_JOB_NAME CI_JOB_NAME_SLUG CI_JOB_STAGE CI_JOB_IMAGE CI_JOB_TIMEOUT CI_JOB_MANUAL CI_JOB_GROUP_NAME
		CI_ENVIRONMENT_NAME CI_ENVIRONMENT_SLUG CI_ENVIRONMENT_URL CI_ENVIRONMENT_ACTION CI_ENVIRONMENT_TIER`,
	// Known to the caller of the executor, and to the executor.
	"run time": `CI_SERVER_URL CI_SERVER_HOST CI_SERVER_FQDN CI_SERVER_PORT CI_SERVER_PROTOCOL CI_API_V4_URL
		CI_API_GRAPHQL_URL CI_PROJECT_DIR CI_BUILDS_DIR CI_PROJECT_NAME CI_PROJECT_NAMESPACE CI_PROJECT_PATH
		CI_PROJECT_PATH_SLUG CI_PROJECT_ROOT_NAMESPACE CI_PROJECT_TITLE CI_PROJECT_URL CI_PROJECT_NAMESPACE_SLUG
		CI_PROJECT_ID CI_PROJECT_NAMESPACE_ID CI_COMMIT_SHA CI_COMMIT_SHORT_SHA CI_COMMIT_BEFORE_SHA
		CI_COMMIT_TAG_MESSAGE CI_COMMIT_MESSAGE CI_COMMIT_TITLE CI_COMMIT_DESCRIPTION CI_COMMIT_AUTHOR
		CI_COMMIT_TIMESTAMP CI_DEFAULT_BRANCH CI_PIPELINE_ID CI_PIPELINE_IID CI_PIPELINE_URL CI_PIPELINE_CREATED_AT
		CI_PIPELINE_NAME CI_JOB_ID CI_JOB_STARTED_AT CI_JOB_URL CI_JOB_STATUS CI_CONCURRENT_ID
		CI_CONCURRENT_PROJECT_ID CI_RUNNER_VERSION CI_RUNNER_REVISION CI_RUNNER_SHORT_TOKEN
		CI_RUNNER_EXECUTABLE_ARCH CI_REPOSITORY_URL GITLAB_USER_ID GITLAB_USER_LOGIN GITLAB_USER_NAME
		GITLAB_USER_EMAIL CI_MERGE_REQUEST_DIFF_BASE_SHA`,
	// By package compile, which knows the file's name and what parallel makes.
	"compiler": `CI_CONFIG_PATH CI_NODE_TOTAL CI_NODE_INDEX`,
	// Not defined: there is no server that would give them, and rules tell an absent
	// variable from an empty one. A token, or a registry's name and password, can be
	// given as a secret.
	"absent": `CI_JOB_TOKEN CI_ENVIRONMENT_ID CI_REGISTRY CI_REGISTRY_IMAGE CI_REGISTRY_USER CI_REGISTRY_PASSWORD
		CI_PAGES_DOMAIN CI_PAGES_URL CI_PAGES_HOSTNAME CI_OPEN_MERGE_REQUESTS TRIGGER_PAYLOAD CI_DEPLOY_USER
		CI_DEPLOY_PASSWORD CI_KUBERNETES_ACTIVE KUBECONFIG`,
}

// TestPredefinedRows goes over section 19 of the specification: each name comes from
// one place, and is not defined where it does not hold.
func TestPredefinedRows(t *testing.T) {
	contexts := map[string]Context{
		"plan":                    {Ref: "v1", RefType: "branch", Event: "web"},
		"plan of a branch":        {Ref: "v1", RefType: "branch", Event: "push"},
		"plan of a tag":           {Ref: "v1", RefType: "tag", Event: "push"},
		"plan of a trigger":       {Ref: "v1", RefType: "tag", Event: "trigger"},
		"plan of a merge request": {Ref: "v1", RefType: "branch", Event: EventMergeRequest, TargetBranch: "main"},
	}
	j := simple("deploy", "deploy")
	j.When, j.Environment = "manual", &Environment{Name: Literal("production"), URL: &Text{Value: "https://x.example"}}
	from := func(name string) (places []string) {
		for _, place := range []string{"plan", "plan of a branch", "plan of a tag", "plan of a trigger", "plan of a merge request"} {
			if _, ok := ContextVariables(contexts[place]).Get(name); ok {
				places = append(places, place)
			}
		}
		if len(places) == len(contexts) {
			places = []string{"plan"}
		}
		if _, ok := JobVariables(&j).Get(name); ok {
			return append(places, "job") // what follows from a template's value comes at run time too
		}
		if RuntimeVariable(name) {
			places = append(places, "run time")
		}
		return places
	}
	want := map[string][]string{
		"plan of a branch":  {"plan", "plan of a branch"},
		"plan of a tag":     {"plan of a tag", "plan of a trigger"},
		"plan of a trigger": {"plan of a trigger"},
		"compiler":          nil,
		"absent":            nil,
	}
	for _, place := range sortedKeys(predefinedRows) {
		places, special := want[place]
		if !special {
			places = []string{place}
		}
		for name := range strings.FieldsSeq(predefinedRows[place]) {
			if got := from(name); !slices.Equal(got, places) {
				t.Errorf("%s: defined in %q, want %q", name, got, places)
			}
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
