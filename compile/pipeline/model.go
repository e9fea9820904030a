// Package pipeline is the typed model of a pipeline and the decoder that makes
// it from a resolved [syntax.Node]: keywords, types, defaults, parallel jobs.
// Which jobs run (rules, only) and in which order is decided by package compile.
//
// Read model.go for the shape, keywords.go for which keyword is known where and
// what cic does with it, decode.go for the way in.
package pipeline

import "github.com/cic-ci/cic/compile/syntax"

// Pipeline is a decoded pipeline.
type Pipeline struct {
	// Stages in order, .pre first and .post last, duplicates dropped.
	Stages []Text
	// Variables of the top level, in source order.
	Variables []Variable
	// Workflow is nil if there is none.
	Workflow *Workflow
	// AutoCancel is workflow:auto_cancel, nil if there is none.
	AutoCancel *AutoCancel
	// Jobs are the visible jobs, parallel ones expanded, in source order.
	Jobs []*Job
}

// Workflow is the workflow keyword.
type Workflow struct {
	Pos syntax.Pos
	// Rules is nil if not specified. When is always or never.
	Rules []Rule
	// Name may hold variables; "" if there is none.
	Name Text
}

// AutoCancel is workflow:auto_cancel; "" stands for what is not specified.
type AutoCancel struct{ OnNewCommit, OnJobFailure Text }

// Text is a scalar with its position.
type Text struct {
	Value string
	Pos   syntax.Pos
}

// Variable is an entry of a variables mapping.
type Variable struct {
	Name  string
	Value string
	// Raw: expand: false, the value is never expanded.
	Raw bool
	Pos syntax.Pos // of the name
}

// Job is one concrete job with defaults applied.
type Job struct {
	// Name is the full name: "test", "test 1/3", "test: [a, b]".
	Name string
	// Base is the name as written, before parallel.
	Base string
	// Pos is the job's key.
	Pos syntax.Pos
	// NodeIndex is 1-based, 0 for a job that is not parallel; NodeTotal is then 1.
	NodeIndex, NodeTotal int
	// Matrix holds the values of parallel:matrix, in key order, not expanded. They
	// beat Variables.
	Matrix []Variable
	// RuleVariables are those of the rule that lets the job in, nil from Decode. They
	// beat Variables and Matrix (specification 10, 18.2).
	RuleVariables []Variable

	Stage    Text
	Image    *Image // nil: none given
	Services []Service
	// TopVariables names the top-level variables that the job has, nil for all
	// (specification 5.2).
	TopVariables *[]string
	// Variables are the job's own, matrix values not among them.
	Variables    []Variable
	BeforeScript []Command
	Script       []Command
	AfterScript  []Command
	// Steps are those of run, in place of all scripts; nil if there is none.
	Steps []Step
	// Inputs are those of the job itself. Their values have been put in where they
	// are mentioned.
	Inputs []Input

	// Trigger makes it a trigger job, which has no script.
	Trigger *Trigger

	// Rules is not nil if the job has rules, perhaps none.
	Rules []Rule
	Only  *Filter
	// Except is nil if there is none.
	Except *Filter

	// Needs is nil if not specified; empty means: start at once.
	Needs *[]Need
	// External are needs of jobs of other pipelines and projects.
	External []ExternalNeed
	// Dependencies is nil if not specified; empty means: download nothing.
	Dependencies *[]Text

	Secrets []Secret
	// IDTokens are variables that hold a token of a server; their values must be
	// given too.
	IDTokens []Secret
	// Release is nil if there is none.
	Release *Release
	// Pages is nil if not specified; Publish is its deprecated form. The directory
	// that a job of pages publishes is among its artifacts.
	Pages       *Pages
	Publish     Text
	Artifacts   *Artifacts
	Caches      []Cache
	Retry       *Retry
	Environment *Environment
	// Timeout in seconds, 0 for none given.
	Timeout int64
	// When is "" if not specified.
	When    Text
	StartIn int64
	// AllowFailure is nil if not specified.
	AllowFailure          *bool
	AllowFailureExitCodes []int
	Interruptible         bool
	// ManualConfirmation is "" if there is none.
	ManualConfirmation string
	// ResourceGroup may hold variables; "" if there is none.
	ResourceGroup Text
	// Coverage is the RE2 expression of coverage, without its slashes.
	Coverage string
}

// Command is one item of a script, verbatim, untrimmed.
type Command struct {
	Text string
	// Node tells the position of each line through LinePos.
	Node *syntax.Node
}

// Step is an entry of run that has a script: a shell of its own.
type Step struct {
	Name   Text
	Env    []Variable
	Script Command
}

// Input is an input of a job.
type Input struct {
	Name  string
	Value string
	Pos   syntax.Pos // of the name
}

// InputValue is a value that is given for an input of a job, in place of its default.
type InputValue struct {
	// Job is the name as in the file, for all copies that parallel makes of the job.
	Job, Name string
	// Text is the value as YAML, or as it is where the input is a string.
	Text string
}

// Release is the release keyword. Its texts may hold variables, but for
// ReleasedAt, a date of ISO 8601; "" stands for what is not specified.
type Release struct {
	TagName, Description, Name, Ref, TagMessage Text
	Milestones                                  []Text
	ReleasedAt                                  string
	Links                                       []ReleaseLink
}

// ReleaseLink is an entry of release:assets:links.
type ReleaseLink struct {
	Name, URL, Path Text
	Type            string // runbook, package, image, other, or ""
}

// Pages is the pages keyword.
type Pages struct {
	// On: the job makes a web site.
	On bool
	// Publish is its directory, "" if not specified.
	Publish Text
}

// Trigger is the trigger keyword. Its texts may hold variables.
type Trigger struct {
	Pos syntax.Pos // of the keyword
	// Project is another project whose pipeline is started, Upstream one whose
	// pipeline is looked at; without either, Include are the files of a child pipeline.
	Project, Branch, Upstream Text
	// Inputs are what another project's pipeline is passed, nil for nothing.
	Inputs   *syntax.Node
	Include  []ChildFile
	Strategy string // depend, mirror, or "" for none
	// ForwardYAML and ForwardGiven tell which variables are passed on: those of the
	// file, and those that the pipeline itself was given.
	ForwardYAML, ForwardGiven bool
}

// ChildFile is an entry of trigger:include.
type ChildFile struct {
	// Kind is local, template, remote, component, project or artifact.
	Kind  string
	Place Text
	Job   Text // that makes the artifact
	Node  *syntax.Node
}

// Image is the image keyword; Name may hold variables.
type Image struct {
	Name       Text
	Entrypoint []string
	// User may hold variables.
	User       Text
	PullPolicy []string
}

// Service is an entry of services.
type Service struct {
	Image
	Alias     []string
	Command   []string
	Variables []Variable
}

// Secret is an entry of secrets.
type Secret struct {
	Name string
	// File: the variable holds the path of a file with the value.
	File bool
	// Provider is where a server would find the value.
	Provider string
	Pos      syntax.Pos // of the name
}

// Rule is one entry of rules.
type Rule struct {
	Pos syntax.Pos
	// If is empty-valued with an invalid position where the rule has none.
	If   Text
	When Text // "" if not specified
	// StartIn in seconds, of a rule that says delayed.
	StartIn int64
	// AllowFailure and Interruptible are nil if not specified.
	AllowFailure, Interruptible *bool
	// Changes and Exists are nil if not specified.
	Changes, Exists *Paths
	Variables       []Variable
	// Needs replace the job's if not nil.
	Needs *[]Need
	// AutoCancel is of workflow:rules alone.
	AutoCancel *AutoCancel
}

// Paths is rules:changes or rules:exists; its texts may hold variables.
type Paths struct {
	Pos      syntax.Pos
	Patterns []Text
	// Regexp stands in place of the patterns; "" if not specified.
	Regexp Text
	// CompareTo is "" if not specified.
	CompareTo Text
	// Project and Ref are where files are to exist, "" for this project.
	Project, Ref Text
}

// Filter is only or except. A key that is not specified is nil.
type Filter struct {
	Pos syntax.Pos
	// Refs as written: branch names, keywords, /regex/flags.
	Refs []Text
	// Variables are expressions, not parsed.
	Variables []Text
	// Changes are patterns, which may hold variables.
	Changes []Text
	// Kubernetes asks for a cluster.
	Kubernetes bool
}

// ExternalNeed is an entry of needs for a job of another project, or of another
// pipeline of this one. Its texts may hold variables.
type ExternalNeed struct {
	// Project and Ref, or Pipeline.
	Project, Ref, Pipeline Text
	Job                    Text
	Artifacts              bool
}

// Need is an entry of needs, expanded over parallel jobs.
type Need struct {
	Job       Text
	Artifacts bool
	Optional  bool
}

// Artifacts is the artifacts keyword; it collects paths, untracked files or reports.
type Artifacts struct {
	Name      *Text
	Paths     []Text
	Exclude   []Text
	Untracked bool
	When      string // on_success, on_failure, always
	ExpireIn  int64  // seconds, 0 for never or not given
	// Reports are files of a known kind, in source order.
	Reports []Report
}

// Report is an entry of artifacts:reports.
type Report struct {
	Kind  string // dotenv, junit, ...
	Paths []Text
}

// Cache is an entry of cache.
type Cache struct {
	// Key has the value "default" if not given. With KeyFiles it is a prefix,
	// perhaps empty.
	Key Text
	// KeyFiles are globs of the files whose contents, or with KeyCommits whose last
	// commits, make the key; nil if the key is a text.
	KeyFiles     []Text
	KeyCommits   bool
	FallbackKeys []Text
	Paths        []Text
	Untracked    bool
	When         string // on_success, on_failure, always
	Policy       Text   // one of CachePolicies, or with variables
}

// Environment is the environment keyword. Its texts may hold variables.
type Environment struct {
	Name   Text
	URL    *Text
	Action string // "" if not given
	Tier   Text   // "" if not given
	// OnStop names the job that stops the environment, "" if none does.
	OnStop Text
}

// Retry is the retry keyword. With neither When nor ExitCodes every failure is
// retried; When is never filled in.
type Retry struct {
	// Max is the number of extra attempts, 0 to 2.
	Max       int
	When      []string
	ExitCodes []int
}
