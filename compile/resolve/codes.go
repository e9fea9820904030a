package resolve

// The codes of this package. A code is stable: it never changes its meaning,
// and a dropped one is not used again.
const (
	// CodeInclude: include, which is not supported yet.
	CodeInclude = "CIC2002"
	// CodeReference: a !reference, which is not supported yet.
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
)
