package pipeline

// The forms of values that many keywords share.
var (
	aString      = Object{"type": "string"}
	aBoolean     = Object{"type": "boolean"}
	aMapping     = Object{"type": "object"}
	someStrings  = listOf(aString)
	scalar       = Object{"type": []string{"string", "number", "boolean"}}
	someCommands = Object{"$ref": "#/$defs/commands"}
	exitCodes    = oneOrMore(Object{"type": "integer"})
	nested       = Object{"type": "array"} // lists in it are flattened
)

// shapes are the forms of the values of keywords, where one name has one form
// wherever it stands.
var shapes = map[string]Object{
	"spec":     aMapping,
	"workflow": placeRef(inWorkflow),
	"stages":   nested,

	"stage":               aString,
	"extends":             oneOrMore(aString),
	"image":               anyOf(aString, placeRef(inImage)),
	"services":            listOf(anyOf(aString, nestedIn(inService))),
	"cache":               anyOf(placeRef(inCache), late, listOf(anyOf(nestedIn(inCache), late))),
	"before_script":       someCommands,
	"after_script":        someCommands,
	"run":                 listOf(placeRef(inStep)),
	"strategy":            word(strategies),
	"branch":              aString,
	"forward":             placeRef(inForward),
	"yaml_variables":      aBoolean,
	"pipeline_variables":  aBoolean,
	"local":               aString,
	"template":            aString,
	"remote":              aString,
	"component":           aString,
	"artifact":            aString,
	"only":                anyOf(aString, someStrings, placeRef(inFilter)),
	"except":              anyOf(aString, someStrings, placeRef(inFilter)),
	"dependencies":        someStrings,
	"retry":               anyOf(integer(0, maxRetries), placeRef(inRetry)),
	"timeout":             Object{"type": []string{"string", "integer"}},
	"interruptible":       aBoolean,
	"start_in":            aString,
	"coverage":            aString,
	"tags":                nested,
	"inherit":             placeRef(inInherit),
	"hooks":               placeRef(inHooks),
	"id_tokens":           named(placeRef(inIDToken)),
	"identity":            word(identities),
	"secrets":             named(placeRef(inSecret)),
	"environment":         anyOf(aString, placeRef(inEnvironment)),
	"resource_group":      aString,
	"release":             placeRef(inRelease),
	"pages":               anyOf(aBoolean, placeRef(inPages)),
	"publish":             aString,
	"manual_confirmation": aString,
	"dast_configuration":  placeRef(inDAST),

	"value":       scalar,
	"description": aString,
	"expand":      aBoolean,

	"name":        aString,
	"alias":       aString,
	"entrypoint":  someStrings,
	"command":     someStrings,
	"pull_policy": oneOrMore(word(pullPolicies)),
	"docker":      placeRef(inDocker),
	"ports":       Object{"type": "array"},
	"platform":    aString,

	"if":         aString,
	"changes":    anyOf(someStrings, placeRef(inChanges)),
	"exists":     anyOf(someStrings, placeRef(inExists)),
	"compare_to": aString,
	"regexp":     aString,
	"refs":       someStrings,

	"job":      aString,
	"optional": aBoolean,
	"pipeline": aString,
	"project":  aString,
	"ref":      aString,

	"key":           anyOf(scalar, placeRef(inCacheKey)),
	"files":         someStrings,
	"files_commits": someStrings,
	"prefix":        scalar,
	"paths":         someStrings,
	"exclude":       someStrings,
	"untracked":     aBoolean,
	"expire_in":     aString,
	"expose_as":     aString,
	"reports":       reportShape(),
	"public":        aBoolean,
	"access":        word(artifactAccess),
	"policy":        anyOf(word(CachePolicies), variableText),
	"unprotect":     aBoolean,
	"fallback_keys": listOf(scalar),

	"coverage_format": word(coverageFormats),
	"path":            aString,

	"vault":                  anyOf(aString, placeRef(inVault)),
	"gcp_secret_manager":     placeRef(inCloudSecret),
	"azure_key_vault":        placeRef(inCloudSecret),
	"aws_secrets_manager":    anyOf(aString, placeRef(inAWSSecret)),
	"gitlab_secrets_manager": placeRef(inManagedSecret),
	"token":                  aString,
	"engine":                 placeRef(inVaultEngine),
	"field":                  aString,
	"version":                Object{"type": []string{"string", "integer"}},
	"secret_id":              aString,
	"version_id":             aString,
	"version_stage":          aString,
	"region":                 aString,
	"role_arn":               aString,
	"role_session_name":      aString,

	"auto_cancel":    placeRef(inAutoCancel),
	"on_new_commit":  word(cancelOnCommit),
	"on_job_failure": word(cancelOnFailure),

	"url":             aString,
	"action":          word(environmentActions),
	"deployment_tier": anyOf(word(environmentTiers), variableText),
	"on_stop":         aString,
	"auto_stop_in":    aString,

	"step": anyOf(aString, aMapping),
	"func": aString,
	"env":  named(aString),

	"pre_get_sources_script": someCommands,
	"aud":                    oneOrMore(aString),
	"path_prefix":            aString,
	"site_profile":           aString,
	"scanner_profile":        aString,

	"tag_name":    aString,
	"tag_message": aString,
	"milestones":  oneOrMore(aString),
	"released_at": aString,
	"assets":      placeRef(inReleaseAssets),
	"links":       listOf(placeRef(inReleaseLink)),
	"filepath":    aString,
	"link_type":   word(releaseLinkTypes),

	"type":  word(inputTypeNames()),
	"regex": aString,

	"max":        integer(0, maxRetries),
	"exit_codes": exitCodes,
}

// late is a value that is known once references and inputs are filled in.
var late = Object{"$ref": "#/$defs/late"}

// variableText is a text with a variable, which is known later.
var variableText = Object{"type": "string", "pattern": `[$%]`}

// placeShapes are the forms of keywords whose values differ from place to place.
var placeShapes = map[string]map[scope]Object{
	"default":       {inPipeline: placeRef(inDefault), inInherit: inheritShape(word(vocabularies[inDefault].names)), inJobInput: {}},
	"include":       {inPipeline: anyOf(aString, aMapping, Object{"type": "array"}), inTrigger: anyOf(aString, Object{"type": "array", "items": anyOf(aString, placeRef(inChildFile)), "minItems": 1, "maxItems": maxChildFiles})},
	"trigger":       {inJob: {"not": Object{}}, inTriggerJob: anyOf(aString, placeRef(inTrigger))},
	"file":          {inSecret: aBoolean, inChildFile: oneOrMore(aString)},
	"variables":     variableShapes(),
	"script":        {inJob: someCommands, inStep: aString},
	"rules":         {inJob: {"type": "array", "items": nestedIn(inRule)}, inTriggerJob: {"type": "array", "items": nestedIn(inRule)}, inWorkflow: {"type": "array", "items": nestedIn(inWorkflowRule)}},
	"needs":         {inJob: needsShape(), inTriggerJob: needsShape(), inRule: needsShape(), inWorkflowRule: needsShape()},
	"artifacts":     {inDefault: placeRef(inArtifacts), inJob: placeRef(inArtifacts), inNeed: aBoolean},
	"when":          {inJob: word(jobWhen), inTriggerJob: word(triggerWhen), inRule: word(ruleWhen), inWorkflowRule: word(workflowWhen), inArtifacts: word(artifactWhen), inCache: word(artifactWhen), inRetry: oneOrMore(word(retryWhen))},
	"allow_failure": {inJob: anyOf(aBoolean, placeRef(inExitCodes)), inTriggerJob: aBoolean, inRule: aBoolean, inWorkflowRule: aBoolean},
	"parallel":      {inJob: anyOf(integer(1, maxParallel), placeRef(inParallel)), inTriggerJob: anyOf(integer(1, maxParallel), placeRef(inParallel)), inNeed: placeRef(inNeedParallel)},
	"inputs":        {inJob: named(placeRef(inJobInput)), inStep: aMapping, inTrigger: aMapping, inChildFile: aMapping},
	"options":       {inVariable: someStrings, inJobInput: {"type": "array"}},
	"kubernetes":    {inFilter: word([]string{"active"}), inEnvironment: aMapping, inImage: placeRef(inKubernetes), inService: placeRef(inKubernetes)},
	"user":          {inDocker: aString, inKubernetes: {"type": []string{"string", "integer"}}},
	"matrix":        {inJob: matrixAxes, inParallel: matrixList, inNeedParallel: matrixList},
}

var (
	matrixList = Object{"$ref": "#/$defs/matrix"}
	matrixAxes = Object{"$ref": "#/$defs/axes"}
)

// shapeOf is the form of a keyword's value.
func shapeOf(s scope, name string) (Object, bool) {
	if byPlace, differs := placeShapes[name]; differs {
		shape, ok := byPlace[s]
		return shape, ok
	}
	shape, ok := shapes[name]
	return shape, ok
}

// nestedIn is an entry of a list whose member lists are flattened.
func nestedIn(s scope) Object { return anyOf(placeRef(s), Object{"type": "array"}) }

func needsShape() Object {
	return anyOf(placeRef(inNeed), Object{"type": "array", "items": anyOf(aString, placeRef(inNeed), Object{"type": []string{"array", "null"}})})
}

func inheritShape(item Object) Object { return anyOf(aBoolean, listOf(item)) }

// variableShapes are the forms of variables: a value, or where it may be a mapping.
func variableShapes() map[scope]Object {
	return map[scope]Object{
		inPipeline: named(anyOf(scalar, placeRef(inVariable), late)), inJob: named(anyOf(scalar, placeRef(inJobVariable), late)), inTriggerJob: named(anyOf(scalar, placeRef(inJobVariable), late)),
		inRule: named(anyOf(scalar, late)), inWorkflowRule: named(anyOf(scalar, late)), inService: named(anyOf(scalar, late)),
		inFilter: someStrings, inInherit: inheritShape(aString),
	}
}

// reportShape is artifacts:reports: a path or several for each kind.
func reportShape() Object {
	properties := Object{}
	for _, kind := range reportKinds {
		properties[kind] = anyOf(oneOrMore(aString), Object{"type": "null"})
	}
	properties["coverage_report"] = anyOf(placeRef(inCoverageReport), Object{"type": "null"})
	return Object{"type": "object", "properties": properties, "additionalProperties": false}
}
