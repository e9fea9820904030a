package resolve

// The codes of this package. A code is stable: it never changes its meaning,
// and a dropped one is not used again.
const (
	// CodeUnknownKey: a key that spec or include does not have.
	CodeUnknownKey = "CIC2001"
	// CodeInclude: an entry of include that is not formed as one.
	CodeInclude = "CIC2002"
	// CodeReference: a !reference that leads nowhere.
	CodeReference = "CIC2003"
	// CodeExtendsType: the value of extends is no name and no list of names.
	CodeExtendsType = "CIC2004"
	// CodeUnknownBase: extends names something that does not exist.
	CodeUnknownBase = "CIC2005"
	// CodeBaseNotMapping: extends names an entry that is no mapping.
	CodeBaseNotMapping = "CIC2006"
	// CodeExtendsCycle: an entry extends itself, perhaps by way of others.
	CodeExtendsCycle = "CIC2007"
	// CodeExtendsTooDeep: a chain of more than [MaxAncestors] bases.
	CodeExtendsTooDeep = "CIC2008"
	// CodeExtendsTooLarge: more than [MaxMerged] entries merged in one file.
	CodeExtendsTooLarge = "CIC2009"
	// CodeReferenceCircle: references that lead back to themselves.
	CodeReferenceCircle = "CIC2010"
	// CodeReferenceTooDeep: more than [MaxReferences] nested references.
	CodeReferenceTooDeep = "CIC2011"
	// CodeReferenceTooLarge: references that make a tree of more than [syntax.MaxNodes] values.
	CodeReferenceTooLarge = "CIC2012"
	// CodeIncludePath: the path of an included file that cannot be one.
	CodeIncludePath = "CIC2013"
	// CodeIncludeMissing: an included file that is not there, or cannot be read.
	CodeIncludeMissing = "CIC2014"
	// CodeIncludeCycle: a file that includes itself, perhaps by way of others.
	CodeIncludeCycle = "CIC2015"
	// CodeIncludeLimit: more than [MaxIncludes] files.
	CodeIncludeLimit = "CIC2016"
	// CodeIncludeRules: include:rules that are not formed as such.
	CodeIncludeRules = "CIC2017"
	// CodeIncludeVendor: a file from elsewhere without a copy in the project.
	CodeIncludeVendor = "CIC2018"
	// CodeSpec: a header that does not declare inputs as it should.
	CodeSpec = "CIC2019"
	// CodeInput: an input that is missing, or not declared.
	CodeInput = "CIC2020"
	// CodeInputValue: a value that an input cannot have.
	CodeInputValue = "CIC2021"
	// CodeInterpolation: a block $[[ ]] that cannot be filled in.
	CodeInterpolation = "CIC2022"
	// CodeIncludeNothing (warning): a pattern of include that no file matches.
	CodeIncludeNothing = "CIC2023"
	// CodeIncludeStub (warning): a file from elsewhere that is left out on demand.
	CodeIncludeStub = "CIC2024"
	// CodeStubbed (warning): something is missing that a file which is left out may hold.
	CodeStubbed = "CIC2025"
	// CodeUnknownFiles (warning): a clause asks for files of another project.
	CodeUnknownFiles = "CIC2315"
	// CodeMatching: the patterns of a pipeline take too much work.
	CodeMatching = "CIC2317"
)
