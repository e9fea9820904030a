package pipeline

// The codes of this package's diagnostics. They are stable: a code never
// changes its meaning and is never used again.
const (
	// CodeNoJob: the file defines no visible job.
	CodeNoJob = "CIC2101"
	// CodeUnknownKeyword: a key that the language does not have at this place.
	CodeUnknownKeyword = "CIC2102"
	// CodeUnsupported: a keyword of the language that cic does not implement.
	CodeUnsupported = "CIC2103"
	// CodeType: a value of the wrong type.
	CodeType = "CIC2104"
	// CodeMissing: a value that must be given is missing, empty or blank.
	CodeMissing = "CIC2105"
	// CodeValue: a value of the right type that is not allowed.
	CodeValue = "CIC2106"
	// CodeLimit: a number, length or count outside its range.
	CodeLimit = "CIC2107"
	// CodeDuration: a text that is no duration.
	CodeDuration = "CIC2108"
	// CodeJobName: a name that no job can have.
	CodeJobName = "CIC2109"
	// CodeNotAJob: a top-level entry that is neither a keyword nor a job.
	CodeNotAJob = "CIC2110"
	// CodeConflict: keywords that exclude each other.
	CodeConflict = "CIC2111"
	// CodeVariableName: the name of a variable that must reach a shell, and that no
	// shell accepts.
	CodeVariableName = "CIC2112"
	// CodePath: a path outside the project.
	CodePath = "CIC2113"
	// CodePattern: an invalid regular expression.
	CodePattern = "CIC2114"
	// CodeSameName: two jobs of one name.
	CodeSameName = "CIC2115"
	// CodeOnStop: environment:on_stop names no job that stops the environment.
	CodeOnStop = "CIC2116"

	// CodeNoEffect (warning): a keyword that means nothing to a local run.
	CodeNoEffect = "CIC2151"
	// CodeShellVariable (warning): a variable that changes how programs start
	// or how the shell reads a script, or that the script cannot set.
	CodeShellVariable = "CIC2152"
	// CodeReadAs (warning): a plain scalar that YAML reads as another text.
	CodeReadAs = "CIC2153"
	// CodeWholeTree (warning): a pattern that collects .git too.
	CodeWholeTree = "CIC2154"
	// CodeHiddenVariable (warning): a variable's name that no shell accepts.
	CodeHiddenVariable = "CIC2156"
	// CodeHostName (warning): an alias of a service that is no host name.
	CodeHostName = "CIC2157"
	// CodeSameMatrix (warning): two combinations of a matrix make one name.
	CodeSameMatrix = "CIC2155"
)
