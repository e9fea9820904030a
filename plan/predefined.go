package plan

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// runtimeVariables are the predefined variables whose value depends on the
// checkout, the machine or the moment, and which the executor therefore
// supplies; sorted. Everything else that is predefined is in Plan.Variables or
// follows from the job. Source: specification section 19.
var runtimeVariables = []string{
	"CI_API_GRAPHQL_URL", "CI_API_V4_URL",
	"CI_BUILDS_DIR",
	"CI_COMMIT_AUTHOR", "CI_COMMIT_BEFORE_SHA", "CI_COMMIT_DESCRIPTION", "CI_COMMIT_MESSAGE",
	"CI_COMMIT_SHA", "CI_COMMIT_SHORT_SHA", "CI_COMMIT_TAG_MESSAGE", "CI_COMMIT_TIMESTAMP", "CI_COMMIT_TITLE",
	"CI_CONCURRENT_ID", "CI_CONCURRENT_PROJECT_ID",
	"CI_DEFAULT_BRANCH",
	"CI_ENVIRONMENT_SLUG", "CI_ENVIRONMENT_TIER",
	"CI_JOB_ID", "CI_JOB_STARTED_AT", "CI_JOB_STATUS", "CI_JOB_URL",
	"CI_MERGE_REQUEST_DESCRIPTION", "CI_MERGE_REQUEST_DIFF_BASE_SHA",
	"CI_MERGE_REQUEST_PROJECT_ID", "CI_MERGE_REQUEST_PROJECT_PATH", "CI_MERGE_REQUEST_PROJECT_URL",
	"CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", "CI_MERGE_REQUEST_SOURCE_PROJECT_URL",
	"CI_MERGE_REQUEST_TITLE",
	"CI_PIPELINE_CREATED_AT", "CI_PIPELINE_ID", "CI_PIPELINE_IID", "CI_PIPELINE_NAME", "CI_PIPELINE_URL",
	"CI_PROJECT_DIR", "CI_PROJECT_ID", "CI_PROJECT_NAME", "CI_PROJECT_NAMESPACE", "CI_PROJECT_NAMESPACE_ID",
	"CI_PROJECT_NAMESPACE_SLUG", "CI_PROJECT_PATH", "CI_PROJECT_PATH_SLUG", "CI_PROJECT_ROOT_NAMESPACE",
	"CI_PROJECT_TITLE", "CI_PROJECT_URL",
	"CI_REPOSITORY_URL",
	"CI_RUNNER_EXECUTABLE_ARCH", "CI_RUNNER_REVISION", "CI_RUNNER_SHORT_TOKEN", "CI_RUNNER_VERSION",
	"CI_SERVER_FQDN", "CI_SERVER_HOST", "CI_SERVER_PORT", "CI_SERVER_PROTOCOL", "CI_SERVER_URL",
	"GITLAB_USER_EMAIL", "GITLAB_USER_ID", "GITLAB_USER_LOGIN", "GITLAB_USER_NAME",
}

// RuntimeVariable reports whether name is a predefined variable that only the
// executor can supply. A value that mentions one is a template.
func RuntimeVariable(name string) bool {
	_, found := slices.BinarySearch(runtimeVariables, name)
	return found
}

// RuntimeVariables returns the names for which [RuntimeVariable] holds, sorted.
func RuntimeVariables() []string { return slices.Clone(runtimeVariables) }

// EventMergeRequest is the pipeline source of a merge request, whose pipeline is
// neither a branch's nor a tag's.
const EventMergeRequest = "merge_request_event"

// The GitLab release whose language this is, for CI_SERVER_VERSION.
const serverVersion = "18.0.0"

// ContextVariables returns the predefined variables that follow from the
// context, and the constants. What does not hold is not defined, since rules
// tell an empty variable from one that is not there. Source: specification
// section 19; CI_COMMIT_REF is an alias of CI_COMMIT_REF_NAME.
func ContextVariables(c Context) Variables {
	version := strings.Split(serverVersion, ".")
	vars := map[string]string{
		"CI":                              "true",
		"CI_DEBUG_SERVICES":               "false",
		"CI_DEBUG_TRACE":                  "false",
		"CI_DISPOSABLE_ENVIRONMENT":       "true",
		"CI_PROJECT_CLASSIFICATION_LABEL": "",
		"CI_PROJECT_DESCRIPTION":          "",
		"CI_PROJECT_REPOSITORY_LANGUAGES": "",
		"CI_PROJECT_VISIBILITY":           "private",
		"CI_RUNNER_DESCRIPTION":           "cic",
		"CI_RUNNER_ID":                    "1",
		"CI_RUNNER_TAGS":                  "[]",
		"CI_SERVER":                       "yes",
		"CI_SERVER_NAME":                  "GitLab",
		"CI_SERVER_REVISION":              "unknown",
		"CI_SERVER_VERSION":               serverVersion,
		"CI_SERVER_VERSION_MAJOR":         version[0],
		"CI_SERVER_VERSION_MINOR":         version[1],
		"CI_SERVER_VERSION_PATCH":         version[2],
		"CI_TEMPLATE_REGISTRY_HOST":       "registry.gitlab.com",
		"GITLAB_CI":                       "true",
		"GITLAB_FEATURES":                 "",
	}
	if c.Event != "" {
		vars["CI_PIPELINE_SOURCE"] = c.Event
	}
	if c.Event == "trigger" {
		vars["CI_PIPELINE_TRIGGERED"] = "true"
	}
	if c.Ref != "" {
		vars["CI_COMMIT_REF"] = c.Ref
		vars["CI_COMMIT_REF_NAME"] = c.Ref
		vars["CI_COMMIT_REF_PROTECTED"] = "false"
		vars["CI_COMMIT_REF_SLUG"] = Slug(c.Ref)
		switch {
		case c.RefType == "tag":
			vars["CI_COMMIT_TAG"] = c.Ref
		case c.Event != EventMergeRequest:
			vars["CI_COMMIT_BRANCH"] = c.Ref
		}
	}
	if c.Event == EventMergeRequest && c.TargetBranch != "" {
		maps.Copy(vars, mergeRequestVariables(c))
	}
	vs := make(Variables, 0, len(vars))
	for name, value := range vars {
		vs = append(vs, Variable{name, Literal(value)})
	}
	return sorted(vs)
}

// mergeRequestVariables are those of a merge request that follow from the context.
// As there is none on a server it is number 1, a plain one (not of merged results),
// without label, milestone, reviewer or approval.
func mergeRequestVariables(c Context) map[string]string {
	return map[string]string{
		"CI_MERGE_REQUEST_DESCRIPTION_IS_TRUNCATED": "false",
		"CI_MERGE_REQUEST_DRAFT":                    "false",
		"CI_MERGE_REQUEST_EVENT_TYPE":               "detached",
		"CI_MERGE_REQUEST_ID":                       "1",
		"CI_MERGE_REQUEST_IID":                      "1",
		"CI_MERGE_REQUEST_REF_PATH":                 "refs/merge-requests/1/head",
		"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME":       c.Ref,
		"CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED":  "false",
		"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA":        "",
		"CI_MERGE_REQUEST_SQUASH_ON_MERGE":          "false",
		"CI_MERGE_REQUEST_TARGET_BRANCH_NAME":       c.TargetBranch,
		"CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED":  "false",
		"CI_MERGE_REQUEST_TARGET_BRANCH_SHA":        "",
	}
}

// JobVariables returns the predefined variables that follow from the job. What
// is made of an environment's expanded name is left out where that is a template:
// see [EnvironmentVariables].
func JobVariables(j *Job) Variables {
	name := j.LocalName()
	vs := Variables{
		{"CI_JOB_GROUP_NAME", Literal(groupName(name))},
		{"CI_JOB_IMAGE", j.Image.Name},
		{"CI_JOB_NAME", Literal(name)},
		{"CI_JOB_NAME_SLUG", Literal(Slug(name))},
		{"CI_JOB_STAGE", Literal(j.Stage)},
		{"CI_JOB_TIMEOUT", Literal(strconv.FormatInt(j.Timeout, 10))},
	}
	if j.When == "manual" {
		vs = append(vs, Variable{"CI_JOB_MANUAL", Literal("true")})
	}
	if env := j.Environment; env != nil {
		action := env.Action
		if action == "" {
			action = "start"
		}
		vs = append(vs, Variable{"CI_ENVIRONMENT_NAME", env.Name}, Variable{"CI_ENVIRONMENT_ACTION", Literal(action)})
		if !env.Name.Template {
			vs = append(vs, EnvironmentVariables(env, env.Name.Value)...)
		}
		if env.URL != nil {
			vs = append(vs, Variable{"CI_ENVIRONMENT_URL", *env.URL})
		}
	}
	return sorted(vs)
}

// EnvironmentTiers returns the values of Environment.Tier.
func EnvironmentTiers() []string { return slices.Clone(envTier) }

// EnvironmentVariables returns the predefined variables that follow from the
// expanded name of an environment.
func EnvironmentVariables(env *Environment, name string) Variables {
	tier := env.Tier
	if tier == "" {
		tier = environmentTier(name)
	}
	return Variables{
		{"CI_ENVIRONMENT_SLUG", Literal(environmentSlug(name))},
		{"CI_ENVIRONMENT_TIER", Literal(tier)},
	}
}

// tierWords are the parts of a name by which GitLab guesses an environment's
// tier; the first list with a part of the name decides. Source: GitLab's
// documentation, "Deployment tier of environments".
var tierWords = []struct {
	tier  string
	words []string
}{
	{"development", []string{"dev", "review", "trunk"}},
	{"testing", []string{"test", "tst", "int", "acpt", "accept", "qa", "qc", "control", "quality"}},
	{"staging", []string{"stg", "stag", "modl", "model", "pre", "demo", "non"}},
	{"production", []string{"prd", "prod", "live"}},
}

func environmentTier(name string) string {
	name = strings.ToLower(name)
	for _, t := range tierWords {
		for _, word := range t.words {
			if strings.Contains(name, word) {
				return t.tier
			}
		}
	}
	return "other"
}

func sorted(vs Variables) Variables {
	sort.Slice(vs, func(i, k int) bool { return vs[i].Name < vs[k].Name })
	return vs
}
