package pipeline

// scope is a place where keywords stand: a mapping of the language. It is a
// set of places where several are meant.
type scope uint64

const (
	inPipeline       scope = 1 << iota // the top level
	inDefault                          // default
	inJob                              // a job
	inVariable                         // variables:NAME of the top level
	inJobVariable                      // variables:NAME of a job
	inImage                            // image
	inService                          // an entry of services
	inDocker                           // image:docker, services:docker
	inRule                             // an entry of rules
	inFilter                           // only, except
	inNeed                             // an entry of needs
	inArtifacts                        // artifacts
	inCache                            // an entry of cache
	inCacheKey                         // cache:key
	inRetry                            // retry
	inExitCodes                        // allow_failure
	inParallel                         // parallel
	inEnvironment                      // environment
	inCoverageReport                   // artifacts:reports:coverage_report
	inSecret                           // secrets:NAME
	inVault                            // secrets:NAME:vault
	inVaultEngine                      // secrets:NAME:vault:engine
	inCloudSecret                      // secrets:NAME:gcp_secret_manager, azure_key_vault
	inAWSSecret                        // secrets:NAME:aws_secrets_manager
	inManagedSecret                    // secrets:NAME:gitlab_secrets_manager
	inWorkflow                         // workflow
	inAutoCancel                       // workflow:auto_cancel
	inWorkflowRule                     // an entry of workflow:rules
	inNeedParallel                     // needs:parallel
	inInherit                          // inherit
	inChanges                          // rules:changes
	inExists                           // rules:exists
	inKubernetes                       // image:kubernetes, services:kubernetes
	inHooks                            // hooks
	inStep                             // an entry of run
	inIDToken                          // id_tokens:NAME
	inPages                            // pages
	inRelease                          // release
	inReleaseAssets                    // release:assets
	inReleaseLink                      // an entry of release:assets:links
	inDAST                             // dast_configuration
	inJobInput                         // inputs:NAME of a job
	inTriggerJob                       // a trigger job
	inTrigger                          // trigger
	inForward                          // trigger:forward
	inChildFile                        // an entry of trigger:include
	scopeEnd
)

// onlyScriptSteps is the help for steps that are programs of their own.
const onlyScriptSteps = `a step that is fetched from elsewhere is not run here: write its commands under "script"`

// inherited are the places of a keyword that default, the deprecated globals
// and jobs share (specification 5.1).
const inherited = inDefault | inJob

// keyword says what cic does with a keyword where.
type keyword struct {
	name string
	// done: decoded into the model.
	done scope
	// resolved: dealt with before the tree is decoded, by package resolve.
	resolved scope
	// ignored: checked and accepted with a warning, since it means nothing here.
	ignored scope
	// refused: known and an error; it is never ignored silently.
	refused scope
	// instead says what to write in place of a refused keyword, if anything.
	instead string
}

// keywords are all keywords of the language (specification 4.1, and of each
// keyword's own section) in order of first mention in a pipeline. Below a
// refused keyword nothing is looked at, so nothing is listed.
var keywords = []keyword{
	{name: "spec", refused: inPipeline, instead: `put "spec" in a document of its own at the beginning, ended by a line "---"`},
	{name: "include", done: inTrigger, resolved: inPipeline},
	{name: "workflow", done: inPipeline},
	{name: "default", done: inPipeline | inInherit | inJobInput},
	{name: "stages", done: inPipeline},
	{name: "variables", done: inPipeline | inJob | inRule | inWorkflowRule | inFilter | inService | inInherit | inTriggerJob},

	// jobs, and what they take from default
	{name: "stage", done: inJob | inTriggerJob},
	{name: "extends", resolved: inJob | inTriggerJob},
	{name: "image", done: inPipeline | inherited},
	{name: "services", done: inPipeline | inherited},
	{name: "cache", done: inPipeline | inherited},
	{name: "before_script", done: inPipeline | inherited},
	{name: "script", done: inJob | inStep},
	{name: "after_script", done: inPipeline | inherited},
	{name: "run", done: inJob},
	{name: "trigger", done: inJob | inTriggerJob},
	{name: "strategy", done: inTrigger},
	{name: "branch", done: inTrigger},
	{name: "forward", done: inTrigger},
	{name: "yaml_variables", done: inForward},
	{name: "pipeline_variables", done: inForward},
	{name: "local", done: inChildFile},
	{name: "template", done: inChildFile},
	{name: "remote", done: inChildFile},
	{name: "component", done: inChildFile},
	{name: "artifact", done: inChildFile},
	{name: "rules", done: inJob | inWorkflow | inTriggerJob},
	{name: "only", done: inJob | inTriggerJob},
	{name: "except", done: inJob | inTriggerJob},
	{name: "needs", done: inJob | inRule | inTriggerJob, ignored: inWorkflowRule},
	{name: "dependencies", done: inJob},
	{name: "artifacts", done: inherited | inNeed},
	{name: "retry", done: inherited},
	{name: "timeout", done: inherited},
	{name: "interruptible", done: inherited | inRule | inTriggerJob, ignored: inWorkflowRule},
	{name: "when", done: inJob | inRule | inWorkflowRule | inArtifacts | inCache | inRetry | inTriggerJob},
	{name: "start_in", done: inJob | inRule, ignored: inWorkflowRule},
	{name: "allow_failure", done: inJob | inRule | inTriggerJob, ignored: inWorkflowRule},
	{name: "parallel", done: inJob | inNeed | inTriggerJob},
	{name: "coverage", done: inJob},
	{name: "tags", ignored: inherited},
	{name: "inherit", done: inJob | inTriggerJob},
	{name: "hooks", ignored: inherited},
	{name: "id_tokens", done: inherited},
	{name: "identity", ignored: inherited},
	{name: "secrets", done: inJob},
	{name: "environment", done: inJob | inTriggerJob},
	{name: "resource_group", done: inJob | inTriggerJob},
	{name: "release", done: inJob},
	{name: "pages", done: inJob},
	{name: "publish", done: inJob | inPages},
	{name: "inputs", done: inJob | inTrigger | inChildFile, refused: inStep, instead: onlyScriptSteps},
	{name: "manual_confirmation", done: inJob},
	{name: "dast_configuration", ignored: inJob},

	// variables
	{name: "value", done: inVariable | inJobVariable},
	{name: "description", done: inVariable | inRelease | inJobInput},
	{name: "options", done: inVariable | inJobInput},
	{name: "expand", done: inVariable | inJobVariable},

	// image and services
	{name: "name", done: inImage | inService | inArtifacts | inEnvironment | inVaultEngine | inCloudSecret | inManagedSecret | inWorkflow | inStep | inRelease | inReleaseLink},
	{name: "alias", done: inService},
	{name: "entrypoint", done: inImage | inService},
	{name: "command", done: inService},
	{name: "pull_policy", done: inImage | inService},
	{name: "docker", done: inImage | inService},
	{name: "kubernetes", done: inFilter, ignored: inEnvironment | inImage | inService},
	{name: "ports", ignored: inImage | inService},
	{name: "user", done: inDocker, ignored: inKubernetes},
	{name: "platform", ignored: inDocker},

	// rules, only and except
	{name: "if", done: inRule | inWorkflowRule},
	{name: "changes", done: inRule | inWorkflowRule | inFilter},
	{name: "exists", done: inRule | inWorkflowRule},
	{name: "compare_to", done: inChanges},
	{name: "regexp", done: inChanges | inExists},
	{name: "refs", done: inFilter},

	// needs
	{name: "job", done: inNeed | inChildFile},
	{name: "optional", done: inNeed},
	{name: "pipeline", done: inNeed},
	{name: "project", done: inNeed | inExists | inTrigger | inChildFile},
	{name: "ref", done: inNeed | inExists | inRelease | inChildFile},

	// artifacts and cache
	{name: "key", done: inCache},
	{name: "files", done: inCacheKey},
	{name: "files_commits", done: inCacheKey},
	{name: "prefix", done: inCacheKey},
	{name: "paths", done: inArtifacts | inCache | inChanges | inExists},
	{name: "exclude", done: inArtifacts},
	{name: "untracked", done: inArtifacts | inCache},
	{name: "expire_in", done: inArtifacts, ignored: inPages},
	{name: "expose_as", ignored: inArtifacts},
	{name: "reports", done: inArtifacts},
	{name: "public", ignored: inArtifacts},
	{name: "access", ignored: inArtifacts},
	{name: "policy", done: inCache},
	{name: "unprotect", ignored: inCache},
	{name: "fallback_keys", done: inCache},

	{name: "coverage_format", done: inCoverageReport},
	{name: "path", done: inCoverageReport | inVault | inVaultEngine},

	// secrets
	{name: "vault", done: inSecret},
	{name: "gcp_secret_manager", done: inSecret},
	{name: "azure_key_vault", done: inSecret},
	{name: "aws_secrets_manager", done: inSecret},
	{name: "gitlab_secrets_manager", done: inSecret},
	{name: "file", done: inSecret | inChildFile},
	{name: "token", done: inSecret},
	{name: "engine", done: inVault},
	{name: "field", done: inVault | inAWSSecret},
	{name: "version", done: inCloudSecret},
	{name: "secret_id", done: inAWSSecret},
	{name: "version_id", done: inAWSSecret},
	{name: "version_stage", done: inAWSSecret},
	{name: "region", done: inAWSSecret},
	{name: "role_arn", done: inAWSSecret},
	{name: "role_session_name", done: inAWSSecret},

	// workflow
	{name: "auto_cancel", done: inWorkflow | inWorkflowRule},
	{name: "on_new_commit", done: inAutoCancel},
	{name: "on_job_failure", done: inAutoCancel},

	// environment
	{name: "url", done: inEnvironment | inReleaseLink},
	{name: "action", done: inEnvironment, refused: inStep, instead: onlyScriptSteps},
	{name: "deployment_tier", done: inEnvironment},
	{name: "on_stop", ignored: inEnvironment},
	{name: "auto_stop_in", ignored: inEnvironment},

	// steps of run
	{name: "step", refused: inStep, instead: onlyScriptSteps},
	{name: "func", refused: inStep, instead: onlyScriptSteps},
	{name: "env", done: inStep},

	// hooks, id_tokens, pages, dast_configuration
	{name: "pre_get_sources_script", ignored: inHooks},
	{name: "aud", done: inIDToken},
	{name: "path_prefix", ignored: inPages},
	{name: "site_profile", ignored: inDAST},
	{name: "scanner_profile", ignored: inDAST},

	// release
	{name: "tag_name", done: inRelease},
	{name: "tag_message", done: inRelease},
	{name: "milestones", done: inRelease},
	{name: "released_at", done: inRelease},
	{name: "assets", done: inRelease},
	{name: "links", done: inReleaseAssets},
	{name: "filepath", done: inReleaseLink},
	{name: "link_type", done: inReleaseLink},

	// inputs of a job
	{name: "type", done: inJobInput},
	{name: "regex", done: inJobInput},

	// retry, allow_failure and parallel; matrix in a job is an addition to the
	// language: parallel:matrix of one entry
	{name: "max", done: inRetry},
	{name: "exit_codes", done: inRetry | inExitCodes},
	{name: "matrix", done: inParallel | inNeedParallel | inJob},
}

// renamed maps keywords that GitLab removed to those that took their place, for
// the help of a diagnostic (specification 3).
var renamed = map[string]string{"type": "stage", "types": "stages"}

// vocabulary is what can stand in one scope.
type vocabulary struct {
	known map[string]*keyword
	// names in table order, for suggestions and messages.
	names []string
}

// vocabularies maps each single scope to its keywords.
var vocabularies = func() map[scope]*vocabulary {
	all := make(map[scope]*vocabulary)
	for s := scope(1); s < scopeEnd; s <<= 1 {
		v := &vocabulary{known: make(map[string]*keyword)}
		for i := range keywords {
			if k := &keywords[i]; (k.done|k.resolved|k.ignored|k.refused)&s != 0 {
				v.known[k.name] = k
				v.names = append(v.names, k.name)
			}
		}
		all[s] = v
	}
	return all
}()
