package pipeline

// places name the scopes for people, in the order of the language.
var places = []struct {
	scope scope
	name  string
}{
	{inPipeline, "the top level"},
	{inDefault, "default"},
	{inWorkflow, "workflow"},
	{inWorkflowRule, "workflow:rules"},
	{inAutoCancel, "workflow:auto_cancel"},
	{inJob, "a job"},
	{inTriggerJob, "a trigger job"},
	{inTrigger, "trigger"},
	{inChildFile, "trigger:include"},
	{inForward, "trigger:forward"},
	{inVariable, "variables:NAME of the top level"},
	{inJobVariable, "variables:NAME of a job"},
	{inImage, "image"},
	{inService, "services"},
	{inDocker, "image:docker, services:docker"},
	{inKubernetes, "image:kubernetes, services:kubernetes"},
	{inStep, "run"},
	{inHooks, "hooks"},
	{inRule, "rules"},
	{inChanges, "rules:changes"},
	{inExists, "rules:exists"},
	{inFilter, "only, except"},
	{inNeed, "needs"},
	{inNeedParallel, "needs:parallel"},
	{inParallel, "parallel"},
	{inInherit, "inherit"},
	{inRetry, "retry"},
	{inExitCodes, "allow_failure"},
	{inArtifacts, "artifacts"},
	{inCoverageReport, "artifacts:reports:coverage_report"},
	{inCache, "cache"},
	{inCacheKey, "cache:key"},
	{inEnvironment, "environment"},
	{inSecret, "secrets:NAME"},
	{inVault, "secrets:NAME:vault"},
	{inVaultEngine, "secrets:NAME:vault:engine"},
	{inCloudSecret, "secrets:NAME:gcp_secret_manager, azure_key_vault"},
	{inAWSSecret, "secrets:NAME:aws_secrets_manager"},
	{inManagedSecret, "secrets:NAME:gitlab_secrets_manager"},
	{inIDToken, "id_tokens:NAME"},
	{inJobInput, "inputs:NAME of a job"},
	{inPages, "pages"},
	{inRelease, "release"},
	{inReleaseAssets, "release:assets"},
	{inReleaseLink, "release:assets:links"},
	{inDAST, "dast_configuration"},
}

// Place is where keywords stand, and what becomes of each that can stand there.
type Place struct {
	Name string
	// Done are carried out, or carried in the plan; Ignored are checked and mean
	// nothing to a local run, which is warned of; Refused are errors.
	Done, Ignored, Refused []string
}

// Places lists all places of the language.
func Places() []Place {
	all := make([]Place, len(places))
	for i, at := range places {
		all[i].Name = at.name
		for _, name := range vocabularies[at.scope].names {
			switch k := vocabularies[at.scope].known[name]; {
			case k.refused&at.scope != 0:
				all[i].Refused = append(all[i].Refused, name)
			case k.ignored&at.scope != 0:
				all[i].Ignored = append(all[i].Ignored, name)
			default:
				all[i].Done = append(all[i].Done, name)
			}
		}
	}
	return all
}
