// Package plan is the language between the compiler and the executor: a static
// graph of jobs, decided at compile time, that people commit and review.
//
// This file holds the whole language, but for child pipelines, which are in
// pipelines.go. A plan is stored as plan.json (canonical
// JSON, see [Encode]) beside one shell script a job and plan.map.json
// ([SourceMap]). The executor treats a plan as hostile input: [Decode] is
// strict and [Plan.Validate] re-checks every invariant stated here.
//
// Nothing in a plan depends on who compiled it, where or when: no clock,
// random number, host name, user, absolute path or secret.
package plan

// FormatVersion is the version of the format that this package writes,
// "MAJOR.MINOR". A minor step adds optional fields; another major is refused.
const FormatVersion = "1.0"

// ProjectDir is where every job finds the project inside its container; it is
// the value of CI_PROJECT_DIR there. It is fixed so that a container can be
// created before its workspace exists, and so that no plan can choose it.
const ProjectDir = "/builds/project"

// Plan is a compiled pipeline.
type Plan struct {
	FormatVersion string `json:"format_version"`
	// Name is the expanded workflow:name, empty without one.
	Name string `json:"name,omitempty"`
	// Source is the pipeline file as given to the compiler, with forward slashes.
	Source string `json:"source"`
	// Context is what the compiler knew and decided by.
	Context Context `json:"context"`
	// Variables are the predefined variables that are known at compile time and
	// common to all jobs (CI, CI_COMMIT_REF_NAME, ...), those of child pipelines as
	// [ChildVariables] says. Those known only at run
	// time ([RuntimeVariable]) are supplied by the executor.
	Variables Variables `json:"variables,omitempty"`
	// AutoCancel is workflow:auto_cancel, nil for its defaults.
	AutoCancel *AutoCancel `json:"auto_cancel,omitempty"`
	// Workflow are the rules of workflow:rules that were tried; the last one decided
	// that there is a pipeline.
	Workflow []TriedRule `json:"workflow,omitempty"`
	// Stages are the stages that hold at least one job, in order.
	Stages []string `json:"stages"`
	// Batches are the names of jobs by level: each level may run in parallel once
	// the levels before it are done. A reader's view; the executor starts a job
	// as soon as its own dependencies are done. Always equal to [Levels].
	Batches [][]string `json:"batches"`
	// Jobs are ordered by stage, then by definition. Those of child pipelines come
	// after all of the plan's own, in the order of Pipelines.
	Jobs []Job `json:"jobs"`
	// Pipelines are the child pipelines, each after the one that starts it.
	Pipelines []Pipeline `json:"pipelines,omitempty"`
	// Excluded are the jobs that the pipeline defines and this plan leaves out.
	Excluded []Excluded `json:"excluded,omitempty"`
	// Rules are records of the rules that decided about jobs, by [RulesKey]. Jobs that
	// were decided about in the same way share one.
	Rules map[string][]TriedRule `json:"rules,omitempty"`
	// Warnings are what the compiler accepted with a warning.
	Warnings []Warning `json:"warnings,omitempty"`
}

// Context records the inputs of a compilation that can change its result.
type Context struct {
	// Ref is the branch or tag name.
	Ref string `json:"ref"`
	// RefType is "branch" or "tag".
	RefType string `json:"ref_type"`
	// Event is the pipeline source: push, schedule, web, ...
	Event string `json:"event"`
	// TargetBranch is the branch that the merge request is to be merged into; it is
	// empty for every event but merge_request_event.
	TargetBranch string `json:"target_branch,omitempty"`
	// Options are the compiler's options that change meaning, where they differ
	// from their default: "artifacts", "changes-since", "default-image", "job-input",
	// "lock", "posix", "request", "skip-unsupported"; and "stub-includes" and "warnings"
	// in a plan with child pipelines that are compiled when it is run.
	Options map[string]string `json:"options,omitempty"`
	// Given are the names of variables that were given on the command line.
	Given []string `json:"given,omitempty"`
	// Read are the variables from outside the pipeline's file that a rule read, with
	// the value it saw ([Hidden] where the name says that it is secret); nil where the
	// variable was not defined.
	Read map[string]*string `json:"read,omitempty"`
}

// Job is one job, ready to run.
type Job struct {
	// Name is the full name, matrix values included: "test: [3.11, sqlite]".
	Name string `json:"name"`
	// Pipeline names the trigger job of the child pipeline that the job is of, empty
	// for the plan's own.
	Pipeline string `json:"pipeline,omitempty"`
	Stage    string `json:"stage"`
	// Rules is the key in Plan.Rules of what made the job part of the plan; empty for
	// a job that has neither rules nor only nor except.
	Rules string `json:"rules,omitempty"`
	// Trigger makes it a trigger job, which has neither an image nor a script nor
	// anything that belongs to these.
	Trigger *Trigger `json:"trigger,omitempty"`
	Image   Image    `json:"image,omitzero"`
	// Services are the containers that run beside the job.
	Services []Service `json:"services,omitempty"`
	// Variables are the job's own: those of the pipeline and of the job, expanded
	// as far as compile time allows. The script exports them itself.
	Variables Variables `json:"variables,omitempty"`
	// Secrets are values that the executor must be given, sorted by name.
	Secrets []Secret `json:"secrets,omitempty"`
	// Reads are the variables that the scripts read and that neither the scripts
	// nor the plan define; sorted. The predefined ones known at run time are
	// left out.
	Reads []string `json:"reads,omitempty"`
	// Script is before_script and script as one program.
	Script Script `json:"script,omitzero"`
	// AfterScript runs as a second program after Script, whatever its outcome.
	AfterScript *Script `json:"after_script,omitempty"`
	// Needs are the jobs this one waits for. Nil together with AfterStages false
	// means that the job starts at once.
	Needs []Need `json:"needs,omitempty"`
	// AfterStages: the job has no needs of its own and waits for every job of
	// every earlier stage of its pipeline. It excludes Needs; it stands for what would otherwise
	// be a quadratic number of edges.
	AfterStages bool `json:"after_stages,omitempty"`
	// ExternalNeeds are jobs of other pipelines and projects whose artifacts the job
	// asked for. It gets none, and does not wait.
	ExternalNeeds []ExternalNeed `json:"external_needs,omitempty"`
	// Inputs tells whose artifacts the job's workspace holds.
	Inputs *Inputs `json:"inputs,omitempty"`
	// Artifacts is what the job leaves for others, nil for nothing.
	Artifacts *Artifacts `json:"artifacts,omitempty"`
	Caches    []Cache    `json:"caches,omitempty"`
	// DotenvFrom are jobs whose dotenv report sets variables of this one.
	DotenvFrom []string `json:"dotenv_from,omitempty"`
	// When is on_success, on_failure, always, manual or delayed.
	When string `json:"when"`
	// ManualConfirmation is what to ask before a manual job is started.
	ManualConfirmation string `json:"manual_confirmation,omitempty"`
	// StartIn is the delay of a delayed job, in seconds.
	StartIn int64 `json:"start_in,omitempty"`
	// AllowFailure: a failure of this job does not fail the pipeline.
	AllowFailure bool `json:"allow_failure,omitempty"`
	// AllowFailureExitCodes: only failures with these exit codes are allowed.
	AllowFailureExitCodes []int  `json:"allow_failure_exit_codes,omitempty"`
	Retry                 *Retry `json:"retry,omitempty"`
	// Timeout bounds the job's Script, in seconds; at least 1, 0 of a trigger job.
	Timeout int64 `json:"timeout,omitempty"`
	// ScriptTimeout, if not 0, is shorter than Timeout: a script that it ends has
	// failed, but unlike one that Timeout ends it is followed by AfterScript.
	ScriptTimeout int64 `json:"script_timeout,omitempty"`
	// AfterScriptTimeout bounds AfterScript, in seconds; 0 for the executor's default.
	AfterScriptTimeout int64 `json:"after_script_timeout,omitempty"`
	// ResourceGroup names what only one job at a time may use, in all runs of the project.
	ResourceGroup *Text        `json:"resource_group,omitempty"`
	Environment   *Environment `json:"environment,omitempty"`
	// Release is what a server would publish once the script has succeeded.
	Release   *Release   `json:"release,omitempty"`
	Resources *Resources `json:"resources,omitempty"`
	// Privileged, Devices (paths such as /dev/kvm) and HostNetwork are requests;
	// only the command line grants them.
	Privileged  bool     `json:"privileged,omitempty"`
	Devices     []string `json:"devices,omitempty"`
	HostNetwork bool     `json:"host_network,omitempty"`
	// Matrix holds the values that make this job one of a parallel:matrix.
	Matrix Variables `json:"matrix,omitempty"`
	// Coverage is the RE2 expression of the coverage keyword, without slashes.
	Coverage      string `json:"coverage,omitempty"`
	Interruptible bool   `json:"interruptible,omitempty"`
}

// Image is a container image and how to run it.
type Image struct {
	// Name is a normalised reference: docker.io/library/python:3.11, which ends in
	// @sha256:... where its digest is locked. The job fails if it is none.
	Name Text `json:"name"`
	// Entrypoint replaces the image's when not nil; [""] clears it. Templates are for
	// services alone.
	Entrypoint []Text `json:"entrypoint,omitempty"`
	// User is "uid", "uid:gid", "name" or "name:group"; empty for the image's own. The
	// job fails if it is none of these, or the image does not have it.
	User string `json:"user,omitempty"`
	// PullPolicy lists always, if-not-present, never, tried in order; empty: if-not-present.
	PullPolicy []string `json:"pull_policy,omitempty"`
}

// Service is a container that runs beside a job and shares its network.
type Service struct {
	Image
	Alias     []string  `json:"alias,omitempty"`
	Command   []Text    `json:"command,omitempty"`
	Variables Variables `json:"variables,omitempty"`
	// Privileged is a request, granted with those of the service's job.
	Privileged bool `json:"privileged,omitempty"`
}

// Secret is a value that is never in a plan: only its name is.
type Secret struct {
	// Name is the variable that holds the value, or the path of a file with it.
	Name string `json:"name"`
	// File: the variable holds a path.
	File bool `json:"file,omitempty"`
}

// AutoCancel tells which jobs a run gives up by itself.
type AutoCancel struct {
	// OnJobFailure is all or none (the same as empty): whether a failed job ends
	// all others.
	OnJobFailure string `json:"on_job_failure,omitempty"`
	// OnNewCommit is conservative (the same as empty), interruptible or none: what a
	// later run of the same ref that asks for it ends of this one.
	OnNewCommit string `json:"on_new_commit,omitempty"`
}

// Script is one generated shell program.
type Script struct {
	// Path is relative to the plan's directory, with forward slashes: jobs/build.sh.
	Path string `json:"path"`
	// SHA256 is the lower-case hexadecimal digest of the file.
	SHA256 string `json:"sha256"`
	// Shell is "sh" (POSIX) or "bash".
	Shell string `json:"shell"`
}

// Need is one edge of the graph.
type Need struct {
	Job string `json:"job"`
	// Artifacts: the job asked for the artifacts of Job. What it gets is in Inputs.
	Artifacts bool `json:"artifacts"`
	// Optional: the edge was allowed to be absent.
	Optional bool `json:"optional,omitempty"`
}

// ExternalNeed is a job of another project, at Ref, or of another pipeline.
type ExternalNeed struct {
	Project  *Text `json:"project,omitempty"`
	Ref      *Text `json:"ref,omitempty"`
	Pipeline *Text `json:"pipeline,omitempty"`
	Job      Text  `json:"job"`
}

// Release is a release of the project. The executor shows it and publishes nothing.
type Release struct {
	TagName     Text   `json:"tag_name"`
	Name        *Text  `json:"name,omitempty"`
	Description Text   `json:"description"`
	Ref         *Text  `json:"ref,omitempty"`
	TagMessage  *Text  `json:"tag_message,omitempty"`
	Milestones  []Text `json:"milestones,omitempty"`
	// ReleasedAt is a date of ISO 8601.
	ReleasedAt string        `json:"released_at,omitempty"`
	Links      []ReleaseLink `json:"links,omitempty"`
}

// ReleaseLink is a file that belongs to a release.
type ReleaseLink struct {
	Name     Text  `json:"name"`
	URL      Text  `json:"url"`
	Filepath *Text `json:"filepath,omitempty"`
	// Type is runbook, package, image, other, or empty for other.
	Type string `json:"type,omitempty"`
}

// Inputs tells whose artifacts are in a job's workspace: those of BeforeStage and
// those of Jobs, together in plan order; a later one overwrites an earlier.
type Inputs struct {
	// BeforeStage: those of all jobs of all stages before this one. The job, or one
	// upstream of it, waits for these stages whole; it stands for what would
	// otherwise be a quadratic number of names.
	BeforeStage string `json:"before_stage,omitempty"`
	// Jobs: those of these jobs, none of a stage before BeforeStage, in plan order.
	// Only jobs that declare artifacts are listed.
	Jobs []string `json:"jobs,omitempty"`
}

// Artifacts is what is collected from a job's workspace.
type Artifacts struct {
	Name *Text `json:"name,omitempty"`
	// Paths and Exclude are doublestar globs relative to the project.
	Paths     []Text `json:"paths,omitempty"`
	Exclude   []Text `json:"exclude,omitempty"`
	Untracked bool   `json:"untracked,omitempty"`
	// When is on_success, on_failure or always.
	When string `json:"when"`
	// ExpireIn is in seconds; 0 means never.
	ExpireIn int64 `json:"expire_in,omitempty"`
	// Reports are files of a known kind (junit, dotenv, ...), by kind.
	Reports map[string][]Text `json:"reports,omitempty"`
}

// Archived reports whether there is anything for other jobs; the files of
// reports are not.
func (a *Artifacts) Archived() bool { return a != nil && (len(a.Paths) > 0 || a.Untracked) }

// Cache is a directory kept from run to run.
type Cache struct {
	// Key names the cache. With KeyFiles it is a prefix, perhaps empty, and the rest
	// of the key is a digest of the files of the project that these globs match, or
	// "default" if there is none.
	Key      Text     `json:"key"`
	KeyFiles []string `json:"key_files,omitempty"`
	// KeyCommits: the digest is not of the files' contents but of the last commits
	// that changed them.
	KeyCommits   bool   `json:"key_commits,omitempty"`
	FallbackKeys []Text `json:"fallback_keys,omitempty"`
	Paths        []Text `json:"paths,omitempty"`
	Untracked    bool   `json:"untracked,omitempty"`
	// Policy is pull, push or pull-push.
	Policy Text `json:"policy"`
	// When is on_success, on_failure or always.
	When string `json:"when"`
}

// Retry tells how often a failed job is run again.
type Retry struct {
	// Max is the number of extra attempts, 0 to 2.
	Max       int      `json:"max"`
	When      []string `json:"when,omitempty"`
	ExitCodes []int    `json:"exit_codes,omitempty"`
}

// Environment is a deployment target; locally it only sets CI_ENVIRONMENT_*.
type Environment struct {
	Name   Text   `json:"name"`
	URL    *Text  `json:"url,omitempty"`
	Action string `json:"action,omitempty"`
	// Tier is production, staging, testing, development, other, or empty.
	Tier string `json:"tier,omitempty"`
}

// Resources are limits of a job's container; zero means the executor's default.
type Resources struct {
	// CPUs is a number of processors, such as 1.5.
	CPUs float64 `json:"cpus,omitempty"`
	// Memory and Disk are in bytes.
	Memory int64 `json:"memory,omitempty"`
	Disk   int64 `json:"disk,omitempty"`
	PIDs   int64 `json:"pids,omitempty"`
}

// Excluded is a job that the plan leaves out, and why.
type Excluded struct {
	Name  string `json:"name"`
	Stage string `json:"stage"`
	// Reason is a sentence for a person, such as: rules: no rule matched.
	Reason string `json:"reason"`
	// Rules is the key in Plan.Rules of the rules that were tried, if there are any.
	Rules string `json:"rules,omitempty"`
}

// TriedRule is a rule that was looked at to decide about a job or the pipeline.
// Rules are tried in order until one holds.
type TriedRule struct {
	// Rule is the rule on one line: if: $A == "x"; changes: src/**; when: manual.
	Rule string `json:"rule"`
	// Unmet is its first clause that does not hold: if, changes, exists, only or
	// except. Empty: the rule holds, and decided.
	Unmet string `json:"unmet,omitempty"`
	// Assumed is the clause, changes or exists, that was taken to hold because there is
	// nothing to compare with, or too much.
	Assumed string `json:"assumed,omitempty"`
	// Values are those of the variables that the rule read and that the pipeline's
	// file or the job defines, nil for none. The others are in Context.Read.
	Values map[string]*string `json:"values,omitempty"`
}

// Warning is something that the compiler accepted with a warning.
type Warning struct {
	// Code is stable: CIC2107.
	Code    string `json:"code"`
	Job     string `json:"job,omitempty"`
	Message string `json:"message"`
	// Ignored says what silenced it: "comment" (cic:ignore in the file) or "option"
	// (-W). Empty: it was reported.
	Ignored string `json:"ignored,omitempty"`
}

// SourceMap maps the lines of generated scripts to lines of the pipeline's
// files; it is plan.map.json, beside the plan so that moving a line of YAML
// does not change the plan.
type SourceMap struct {
	FormatVersion string `json:"format_version"`
	// Files are the pipeline's files as named in diagnostics.
	Files []string `json:"files"`
	// Sources are the files of the project that the plan was compiled from, by path:
	// the SHA-256 digest of each, in lower-case hexadecimal.
	Sources map[string]string `json:"sources,omitempty"`
	// Scripts holds, by script path, one entry a mapped line, ascending.
	Scripts map[string][]MapLine `json:"scripts"`
}

// MapLine says that line Script of a script comes from line Line of Files[File].
// Script and Line are 1-based.
type MapLine struct {
	Script int `json:"script"`
	File   int `json:"file"`
	Line   int `json:"line"`
}
