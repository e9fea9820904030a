package plan

import "slices"

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
	"CI_JOB_ID", "CI_JOB_STARTED_AT", "CI_JOB_STATUS", "CI_JOB_URL",
	"CI_PIPELINE_CREATED_AT", "CI_PIPELINE_ID", "CI_PIPELINE_IID", "CI_PIPELINE_URL",
	"CI_PROJECT_DIR", "CI_PROJECT_ID", "CI_PROJECT_NAME", "CI_PROJECT_NAMESPACE", "CI_PROJECT_NAMESPACE_ID",
	"CI_PROJECT_NAMESPACE_SLUG", "CI_PROJECT_PATH", "CI_PROJECT_PATH_SLUG", "CI_PROJECT_ROOT_NAMESPACE",
	"CI_PROJECT_TITLE", "CI_PROJECT_URL",
	"CI_REPOSITORY_URL",
	"CI_RUNNER_EXECUTABLE_ARCH", "CI_RUNNER_REVISION", "CI_RUNNER_VERSION",
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
