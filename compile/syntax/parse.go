package syntax

import "io"

// Parse reads one pipeline file. The tree is nil if there is an error that
// leaves nothing to work on.
func Parse(file string, data []byte) (*Node, ErrorList) { panic("unimplemented") }

// RenderOptions control [ErrorList.Render].
type RenderOptions struct {
	Color bool
	// Max is the number of diagnostics to print, the rest is counted; 0: 20.
	Max int
}

// Render prints diagnostics with excerpts, sorted by position. files holds the
// text of each file by name; a diagnostic in another file is printed without
// excerpt.
func (l ErrorList) Render(w io.Writer, files map[string][]byte, o RenderOptions) error {
	panic("unimplemented")
}

// Suggest returns the candidate nearest to name by edit distance, or "" if none
// is near enough (distance 2, or 1 for short names) or two are equally near.
func Suggest(name string, candidates []string) string { panic("unimplemented") }
