package syntax

// The codes of this package. A code is stable: it never changes its meaning,
// and a dropped one is not used again.
const (
	// CodeTooLarge: the file is larger than [MaxFileSize].
	CodeTooLarge = "CIC1001"
	// CodeEncoding: the file is not UTF-8.
	CodeEncoding = "CIC1002"
	// CodeControlCharacter: a character that YAML does not allow.
	CodeControlCharacter = "CIC1003"
	// CodeEmpty: the file holds nothing, or only comments.
	CodeEmpty = "CIC1004"
	// CodeNotMapping: the file is a list or a scalar.
	CodeNotMapping = "CIC1005"
	// CodeTab: a tab in the indentation.
	CodeTab = "CIC1006"
	// CodeSyntax: the text is not YAML, for a reason without a code of its own.
	CodeSyntax = "CIC1007"
	// CodeTooDeep: more than [MaxDepth] nested collections.
	CodeTooDeep = "CIC1008"
	// CodeUnclosed: a quote, bracket or brace without its end.
	CodeUnclosed = "CIC1009"
	// CodeUnknownAnchor: an alias of an anchor that no earlier line defines.
	CodeUnknownAnchor = "CIC1010"
	// CodeRecursiveAlias: an alias inside the value that it names.
	CodeRecursiveAlias = "CIC1011"
	// CodeTooManyNodes: more than [MaxNodes] values once aliases are expanded, [MaxValues]
	// as written, or [MaxMembers] in one list or mapping.
	CodeTooManyNodes = "CIC1012"
	// CodeMergeValue: a merge key (<<) whose value is no mapping.
	CodeMergeValue = "CIC1013"
	// CodeKeyNotScalar: a list or a mapping as key.
	CodeKeyNotScalar = "CIC1014"
	// CodeTag: a tag that is not known, or does not fit its value.
	CodeTag = "CIC1015"
	// CodeDate: a date or time without quotes.
	CodeDate = "CIC1016"
	// CodeDuplicateKey (warning): a key twice in one mapping; the last one counts.
	CodeDuplicateKey = "CIC1017"
	// CodeIgnoredDocument (warning): a document after the first one.
	CodeIgnoredDocument = "CIC1018"
	// CodeSymbol (warning): a scalar that begins with a colon.
	CodeSymbol = "CIC1019"
	// CodeMergeBehind (warning): a merge key (<<) behind a key that it has too.
	CodeMergeBehind = "CIC1021"
	// CodeBang (warning): a tag that says nothing but that the value is a text.
	CodeBang = "CIC1022"
)
