package pipeline

import "fmt"

// Object is a JSON object.
type Object = map[string]any

// Schema is the language as a JSON Schema (2020-12) for editors: which keywords
// may stand where, the forms of their values, and their words. It is made from the
// tables that the decoder goes by. What a schema cannot say (names of jobs, limits
// of texts, expressions) is for the decoder.
//
// A value of any keyword may also be null, which means that there is none; a
// !reference, which an editor sees as a list of strings; or an input, which has
// any type once it is filled in.
func Schema() (Object, error) {
	defs := Object{
		"late": anyOf(
			Object{"type": "null"},
			Object{"type": "array", "items": Object{"type": "string"}, "minItems": 2, "description": "!reference [NAME, KEYWORD]"},
			Object{"type": "string", "pattern": `\$\[\[.*\]\]`},
		),
		"commands": Object{"type": []string{"string", "array"}, "items": Object{"$ref": "#/$defs/commands"}},
		"matrix":   listOf(Object{"$ref": "#/$defs/axes"}),
		"axes": Object{
			"type": "object", "minProperties": 1,
			"additionalProperties": oneOrMore(Object{"type": []string{"string", "number"}}),
		},
	}
	for _, p := range places {
		s, err := placeSchema(p.scope)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		defs[placeNames[p.scope]] = s
	}
	top := defs[placeNames[inPipeline]].(Object)
	delete(defs, placeNames[inPipeline])
	job := anyOf(placeRef(inJob), placeRef(inTriggerJob))
	// Hidden entries may be anything; they are mostly parts of jobs.
	top["patternProperties"] = Object{`^\.`: anyOf(job, Object{})}
	top["additionalProperties"] = job
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["title"] = "A pipeline of cic, in the language of .gitlab-ci.yml"
	top["$defs"] = defs
	return top, nil
}

// placeNames are the names of places in the schema.
var placeNames = map[scope]string{
	inPipeline: "pipeline", inDefault: "default", inJob: "job", inVariable: "variable", inJobVariable: "jobVariable",
	inImage: "image", inService: "service", inDocker: "docker", inKubernetes: "kubernetes", inRule: "rule", inFilter: "filter",
	inNeed: "need", inNeedParallel: "needParallel", inArtifacts: "artifacts", inCoverageReport: "coverageReport",
	inCache: "cache", inCacheKey: "cacheKey", inRetry: "retry", inExitCodes: "exitCodes", inParallel: "parallel",
	inEnvironment: "environment", inSecret: "secret", inVault: "vault", inVaultEngine: "vaultEngine",
	inCloudSecret: "cloudSecret", inAWSSecret: "awsSecret", inManagedSecret: "managedSecret", inWorkflow: "workflow",
	inAutoCancel: "autoCancel", inWorkflowRule: "workflowRule", inInherit: "inherit", inChanges: "changes",
	inExists: "exists", inHooks: "hooks", inStep: "step", inIDToken: "idToken", inPages: "pages", inRelease: "release",
	inReleaseAssets: "releaseAssets", inReleaseLink: "releaseLink", inDAST: "dastConfiguration", inJobInput: "jobInput",
	inTriggerJob: "triggerJob", inTrigger: "trigger", inForward: "forward", inChildFile: "childFile",
}

// placeSchema is the schema of a mapping: its keywords, and nothing else.
func placeSchema(s scope) (Object, error) {
	properties := Object{}
	for _, name := range vocabularies[s].names {
		shape, ok := shapeOf(s, name)
		if !ok {
			return nil, fmt.Errorf("keyword %q has no shape", name)
		}
		k := vocabularies[s].known[name]
		if k.refused&s != 0 && name != "spec" { // which stands in the header
			shape = Object{"not": Object{}}
		}
		value := anyOf(shape, late)
		if k.ignored&s != 0 {
			value["description"] = "Checked, and without effect in cic."
		}
		properties[name] = value
	}
	return Object{"type": "object", "properties": properties, "additionalProperties": false}, nil
}

func anyOf(shapes ...any) Object { return Object{"anyOf": shapes} }

func listOf(item Object) Object { return Object{"type": "array", "items": item} }

// oneOrMore is one value or a list of them.
func oneOrMore(item Object) Object { return anyOf(item, listOf(item)) }

// placeRef refers to the schema of a place.
func placeRef(s scope) Object { return Object{"$ref": "#/$defs/" + placeNames[s]} }

// named is a mapping from names to values.
func named(value Object) Object { return Object{"type": "object", "additionalProperties": value} }

func word(words []string) Object { return Object{"enum": words} }

func integer(low, high int) Object { return Object{"type": "integer", "minimum": low, "maximum": high} }
