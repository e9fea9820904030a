package compile

// The codes of this package's diagnostics. A code is stable: it is what people
// search for, silence and explain; texts may be reworded.
const (
	// Scripts and expressions.

	codeScript        = "CIC2301" // a script is no shell program
	codeNotPOSIX      = "CIC2302" // a script needs bash where POSIX was asked for
	codeNeedsBash     = "CIC2303" // a script needs bash (warning)
	codeForeignShell  = "CIC2304" // a script is for a shell of Windows
	codeDoubtfulShell = "CIC2305" // a shell reads a place of a script and then fails on it (warning)
	codeScriptSize    = "CIC2309" // scripts are too long
	codeExpression    = "CIC2311" // rules:if cannot be parsed
	codeDoubtful      = "CIC2312" // rules:if can hardly mean what it says (warning)
	codeFilterPattern = "CIC2313" // an entry of only or except begins like a pattern and is none (warning)
	codeClause        = "CIC2314" // a clause of rules cannot be evaluated
	codeMissingRef    = "CIC2316" // rules:changes:compare_to names a ref that the checkout lacks (warning)
	codeManyRules     = "CIC2319" // the jobs of a pipeline have too many rules together
	codePathBudget    = "CIC2318" // to compare files with the patterns of rules takes too much work (warning)

	// The graph.

	codeUnknownStage      = "CIC3001" // a job's stage is not listed
	codeUnknownNeed       = "CIC3002" // needs names no job
	codeLaterNeed         = "CIC3003" // needs names a job of a later stage
	codeSelfNeed          = "CIC3004" // a job needs itself
	codeDuplicateNeed     = "CIC3005" // needs names a job twice
	codeCycle             = "CIC3006" // needs go in a circle
	codeExcludedNeed      = "CIC3007" // a needed job is left out by its rules
	codeUnknownDependency = "CIC3008" // dependencies names no job
	codeLaterDependency   = "CIC3009" // dependencies names a job of a later stage
	codeForeignDependency = "CIC3010" // dependencies names a job that needs does not
	codeDuplicateJob      = "CIC3012" // two jobs have one name
	codeOptionalNeed      = "CIC3013" // an optional need names no job at all (warning)
	codeIdleDependency    = "CIC3014" // a dependency in the same stage gives nothing (warning)
	codeManyNeeds         = "CIC3015" // more needs than GitLab allows by default (warning)
	codeArtifactFlow      = "CIC3016" // a job sees artifacts that it would not see on GitLab (warning)
	codeExternalNeed      = "CIC3017" // a job needs one of another pipeline or project (warning)

	// Values.

	codeVariableCycle  = "CIC3021" // variables refer to each other in a circle
	codeVariableSize   = "CIC3022" // a value is longer than any program may be given
	codeSelfReference  = "CIC3023" // a variable refers to itself (warning)
	codeImage          = "CIC3031" // an image is no reference (warning)
	codeDefaultImage   = "CIC3032" // jobs without image get the default one (warning)
	codeArtifactPath   = "CIC3033" // an artifact or cache path leaves the project (warning)
	codeEmptyPath      = "CIC3034" // a path is empty once expanded (warning)
	codeCacheKey       = "CIC3035" // a cache key is empty once expanded (warning)
	codeIdleCache      = "CIC3037" // a cache without paths keeps nothing (warning)
	codeTwinService    = "CIC3038" // a service loses a host name to an earlier one (warning)
	codeOwnVariable    = "CIC3039" // a service's command mentions a variable of the service alone (warning)
	codeUndefinedImage = "CIC3040" // an image is no reference, as a variable in it is not defined (warning)
	codeUnlockedImage  = "CIC3044" // an image is not in the lock file (warning)
	codeImageUser      = "CIC3043" // docker:user is no user once expanded (warning)
	codeEnvironment    = "CIC3041" // an environment's name or tier is wrong once expanded (warning)
	codeNoEnvironment  = "CIC3042" // an environment, or its address, is nothing once expanded (warning)
	codeCachePolicy    = "CIC3045" // a cache policy is none once expanded (warning)
	codeSameCache      = "CIC3046" // two caches of a job have one key (warning)
	codeSecretProvider = "CIC3051" // the value of a secret must be given (warning)
	codeSecretVariable = "CIC3052" // a variable is a secret too (warning)
	codeTimeout        = "CIC3061" // a variable that limits a program holds no duration (warning)
	codeIdleTimeout    = "CIC3062" // a script's limit is not below that of its job (warning)

	// Child pipelines.

	codeChildJob     = "CIC3071" // the file of a child pipeline is made by no job that can have made it
	codeOtherProject = "CIC3072" // the pipeline of another project is not run (warning)
	codeEmptyChild   = "CIC3073" // a child pipeline has no job, so that its trigger job fails (warning)
	codeChildDepth   = "CIC3074" // child pipelines stand too deep in each other, so that a trigger job fails (warning)
	codeChildLimit   = "CIC3075" // child pipelines are too many or too large
	codeLeftOutChild = "CIC3076" // the files of a child pipeline are left out (warning)
	codeOtherBranch  = "CIC3077" // another project is not at the branch that its pipeline is for (warning)
	codeOtherReports = "CIC3078" // another project's pipeline does not get variables of dotenv reports (warning)
	codeOtherLoop    = "CIC3079" // another project's pipeline would start itself again (warning)

	// The plan.

	codePlan     = "CIC4001" // the plan breaks its own rules
	codeOption   = "CIC4002" // an option of the compiler has a wrong value
	codePlanSize = "CIC4003" // the plan is larger than can be read again

	// Policy.

	codeCredential = "CIC5001" // a text looks like a credential (warning)
)

// CodeNoJobs is the code of the warning that the rules of a valid pipeline leave no
// job to run for this ref and event. GitLab then makes no pipeline, which is no
// failure: -W error means others.
const CodeNoJobs = "CIC3011"

// CodeIdleIgnore is the code of the warning that a comment which ignores warnings
// ignores none. It is about all pipelines of a file: a comment that is idle in one
// may be of use in another.
const CodeIdleIgnore = "CIC5002"
