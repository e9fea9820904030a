package workspace

import (
	"fmt"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/cic-ci/cic/plan"
)

// pattern is one valid glob of Patterns.Paths.
type pattern struct {
	// text is as the pipeline's author wrote it, for messages.
	text string
	// glob is relative to the project, without a trailing slash.
	glob string
	// matched is set once a path has matched.
	matched bool
}

// parsePatterns prepares the globs of an artifact (specification section 24).
// What cannot select anything is left out and told in a warning.
func parsePatterns(texts []string) (patterns []*pattern, warnings []string) {
	for _, text := range texts {
		glob, problem := relativeGlob(text)
		if problem != "" {
			warnings = append(warnings, fmt.Sprintf("path %q %s: skipped", text, problem))
			continue
		}
		patterns = append(patterns, &pattern{text: text, glob: glob})
	}
	return patterns, warnings
}

// parseExcludes prepares the globs of Patterns.Exclude. An exclude is matched
// against whole paths, so one that ends in a slash matches nothing: GitLab's
// rule, kept.
func parseExcludes(texts []string) (globs, warnings []string) {
	for _, text := range texts {
		glob, problem := relativeGlob(text)
		if problem != "" {
			warnings = append(warnings, fmt.Sprintf("exclude %q %s: skipped", text, problem))
			continue
		}
		globs = append(globs, glob)
	}
	return globs, warnings
}

// relativeGlob returns the glob of text relative to the project, or what is
// wrong with it. The project as a whole is "**".
func relativeGlob(text string) (glob, problem string) {
	glob = text
	switch {
	case strings.TrimSpace(text) == "":
		return "", "is empty"
	case glob == plan.ProjectDir || strings.HasPrefix(glob, plan.ProjectDir+"/"):
		glob = strings.TrimLeft(strings.TrimPrefix(glob, plan.ProjectDir), "/")
	}
	if strings.HasPrefix(glob, "/") {
		return "", "is outside of the project " + plan.ProjectDir
	}
	// A brace may hold a slash, and path.Clean would cut the brace apart.
	if !strings.ContainsAny(glob, "{\\") {
		glob = path.Clean(glob)
	}
	for strings.HasPrefix(glob, "./") {
		glob = strings.TrimLeft(glob[1:], "/")
	}
	glob = strings.TrimRight(glob, "/")
	switch {
	case glob == "" || glob == ".":
		return "**", ""
	case glob == ".." || strings.HasPrefix(glob, "../"):
		return "", "is outside of the project " + plan.ProjectDir
	case glob == gitDir || strings.HasPrefix(glob, gitDir+"/"):
		return "", "is git's own directory"
	case !doublestar.ValidatePattern(glob):
		return "", "is not a valid pattern"
	}
	return glob, ""
}

// gitDir is never collected: an artifact over it would change the repository
// that later jobs see.
const gitDir = ".git"

// match reports whether the pattern matches name, a path relative to the project.
func (p *pattern) match(name string) bool {
	if !doublestar.MatchUnvalidated(p.glob, name) {
		return false
	}
	p.matched = true
	return true
}

// mayMatchBelow reports whether the pattern can match a path below the directory
// dir. It may say yes for a directory with no match, never no for one with a match.
func (p *pattern) mayMatchBelow(dir string) bool {
	globs, dirs := strings.Split(p.glob, "/"), strings.Split(dir, "/")
	for i, g := range globs {
		if i == len(dirs) || g == "**" {
			return true
		}
		// A slash within braces or a class separates no path elements.
		ok, err := doublestar.Match(g, dirs[i])
		if err != nil || strings.ContainsAny(g, "{\\") {
			return true
		}
		if !ok {
			return false
		}
	}
	return false
}

// literalPrefix returns the leading elements of the pattern that hold no meta
// character: the place its author had in mind.
func (p *pattern) literalPrefix() []string {
	elements := strings.Split(p.glob, "/")
	for i, e := range elements {
		if strings.ContainsAny(e, "*?[{\\") {
			return elements[:i]
		}
	}
	return elements
}
