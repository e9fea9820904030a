package resolve

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/expr"
	"github.com/cic-ci/cic/compile/syntax"
)

// The keys that say where an included file is.
var locationKeys = []string{"local", "remote", "template", "project", "component", "artifact"}

// include resolves the value of the keyword include: it returns everything that
// is included, merged, nil for nothing (specification, sections 6.3 and 7).
func (l *loader) include(n *syntax.Node) *syntax.Node {
	items := []*syntax.Node{n}
	if n.Kind == syntax.Sequence {
		items = n.Items
	}
	var merged *syntax.Node
	for _, item := range items {
		for _, root := range l.entry(item) {
			merged = l.merger.merge(merged, root)
		}
	}
	return merged
}

// entry resolves one entry of include: the trees of its files, in order.
func (l *loader) entry(n *syntax.Node) []*syntax.Node {
	switch n.Kind {
	case syntax.Null:
		return nil
	case syntax.String:
		kind := "local"
		if strings.HasPrefix(n.Value, "http://") || strings.HasPrefix(n.Value, "https://") {
			kind = "remote"
		}
		return l.location(kind, n, &syntax.Node{Kind: syntax.Mapping, Pos: n.Pos})
	case syntax.Mapping:
	default:
		l.fail(CodeInclude, n, "include takes the path of a file or a mapping, not %s", n.Kind.WithArticle())
		return nil
	}
	kind := l.locationKey(n)
	if kind == "" || !l.wanted(n.Get("rules")) {
		return nil
	}
	return l.location(kind, n.Get(kind), n)
}

// locationKey returns the one key that says where the file is, "" after an error.
func (l *loader) locationKey(n *syntax.Node) string {
	var found []*syntax.Node
	extra := map[string]string{"file": "project", "ref": "project", "integrity": "remote", "cache": "remote", "job": "artifact", "rules": "", "inputs": ""}
	for _, p := range n.Pairs {
		_, known := extra[p.Key.Value]
		switch {
		case slices.Contains(locationKeys, p.Key.Value):
			if p.Value.Kind != syntax.Null {
				found = append(found, p.Key)
			}
		case !known:
			l.unknownKey(p.Key, "include", append(slices.Clone(locationKeys), "cache", "file", "inputs", "integrity", "job", "ref", "rules")...)
			return ""
		}
	}
	if len(found) != 1 {
		e := l.failAt(CodeInclude, n.Pos, 1, "an entry of include has exactly one of local, remote, template, project and component")
		for _, key := range found[min(len(found), 1):] {
			e.Notes = append(e.Notes, syntax.Note{Pos: key.Pos, Msg: fmt.Sprintf("%q is another one", key.Value)})
		}
		return ""
	}
	kind := found[0].Value
	for _, p := range n.Pairs {
		if owner := extra[p.Key.Value]; owner != "" && owner != kind {
			l.fail(CodeInclude, p.Key, "%q belongs to include:%s, not to include:%s", p.Key.Value, owner, kind)
			return ""
		}
	}
	if kind == "artifact" && l.o.Artifact == nil {
		l.fail(CodeInclude, found[0], "include:artifact is only for trigger:include")
		return ""
	}
	return kind
}

// location loads what one entry names.
func (l *loader) location(kind string, n, entry *syntax.Node) []*syntax.Node {
	if n.Kind != syntax.String {
		l.fail(CodeInclude, n, "include:%s takes a text, not %s", kind, n.Kind.WithArticle())
		return nil
	}
	at := place{pos: n.Pos, length: len([]rune(n.Raw)), inputs: entry.Get("inputs")}
	if key := entry.GetKey(kind); key != nil && n.Pos.Line < key.Pos.Line {
		// An alias: what its anchor names may be no include at all.
		at.pos, at.length = key.Pos, len([]rune(key.Raw))
	}
	if at.inputs != nil && at.inputs.Kind == syntax.Null {
		at.inputs = nil
	}
	if at.inputs != nil && at.inputs.Kind != syntax.Mapping {
		l.fail(CodeInput, at.inputs, "include:inputs is a mapping, not %s", at.inputs.Kind.WithArticle())
		return nil
	}
	value := expandVariables(n.Value, l.lookup)
	if kind == "artifact" {
		return l.artifact(entry.Get("job"), n, at)
	}
	if kind != "local" {
		return l.external(kind, value, n, entry, at)
	}
	return l.local(value, n, at)
}

// local loads files of the project. A path is relative to its root, whether it
// begins with a slash or not, and never to the including file.
func (l *loader) local(value string, n *syntax.Node, at place) (roots []*syntax.Node) {
	name := strings.TrimLeft(value, "/")
	if name == "" {
		l.fail(CodeIncludePath, n, "include:local names no file")
		return nil
	}
	if !isPipelineFile(name) {
		l.fail(CodeIncludePath, n, "the included file %q does not end in .yml or .yaml", value)
		return nil
	}
	if path.Clean(name) == ".." || strings.HasPrefix(path.Clean(name), "../") {
		l.fail(CodeIncludePath, n, "the included file %q is outside of the project", value)
		return nil
	}
	loc, elsewhere, err := l.fromOrigin(name)
	switch {
	case err != nil:
		l.fail(CodeIncludePath, n, "%v", err)
		return nil
	case elsewhere:
		return l.vendored(loc, at)
	case strings.Contains(name, "*"):
		names, err := l.glob(name)
		if err != nil {
			l.fail(CodeIncludePath, n, "include %q: %v", value, err)
			return nil
		}
		if len(names) == 0 {
			l.warnAt(CodeIncludeNothing, at.pos, at.length, "no file of the project matches %q: nothing is included", value)
		}
		for _, name := range names {
			roots = append(roots, l.file(name, at)...)
		}
		return roots
	}
	return l.file(path.Clean(name), at)
}

// artifact loads a file that a job has made.
func (l *loader) artifact(job, n *syntax.Node, at place) []*syntax.Node {
	if job == nil || job.Kind != syntax.String {
		l.fail(CodeInclude, n, `include:artifact needs "job", the one that makes the file`)
		return nil
	}
	name, data, err := l.o.Artifact(job.Value, n.Value)
	if err != nil {
		l.fail(CodeIncludeMissing, n, "%q of job %q cannot be had: %v", n.Value, job.Value, err)
		return nil
	}
	at.file, at.source = name, name
	if !l.enter(at) {
		return nil
	}
	defer l.leave()
	if root := l.load(name, data, at); root != nil {
		return []*syntax.Node{root}
	}
	return nil
}

// isPipelineFile reports whether a name has an extension that GitLab includes.
func isPipelineFile(name string) bool {
	return strings.HasSuffix(name, ".yml") || strings.HasSuffix(name, ".yaml")
}

// file reads and loads one file of the project.
func (l *loader) file(name string, at place) []*syntax.Node {
	at.file, at.source = name, l.o.Prefix+name
	if !l.enter(at) {
		return nil
	}
	defer l.leave()
	data, err := l.read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e := l.failAt(CodeIncludeMissing, at.pos, at.length, "the included file %q does not exist", name)
		if s := syntax.Suggest(name, l.siblings(name)); s != "" {
			e.Help = fmt.Sprintf("did you mean %q?", s)
		} else {
			e.Help = "paths of local files are relative to the root of the project"
		}
		return nil
	case err != nil:
		l.failAt(CodeIncludeMissing, at.pos, at.length, "the included file %q cannot be read: %s", name, unread(err))
		return nil
	}
	if root := l.load(at.source, data, at); root != nil {
		return []*syntax.Node{root}
	}
	return nil
}

// glob returns the files that a pattern matches, sorted: * within a directory,
// ** across directories.
func (l *loader) glob(pattern string) (names []string, err error) {
	if l.o.Project == nil {
		return nil, errors.New("this pipeline has no project directory")
	}
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.ReplaceAll(quoted, `\*\*`, `.*`)
	quoted = strings.ReplaceAll(quoted, `\*`, `[^/]*`)
	re, err := regexp.Compile(`^(?:` + quoted + `)$`)
	if err != nil {
		return nil, err
	}
	top := path.Dir(pattern[:strings.Index(pattern, "*")] + "x")
	err = fs.WalkDir(l.o.Project, top, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case (d.Type().IsRegular() || d.Type() == fs.ModeSymlink) && re.MatchString(name):
			names = append(names, name) // a link is followed within the project, as one that is named is
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

// wanted evaluates include:rules: the first rule that matches decides, and no
// match means no.
func (l *loader) wanted(rules *syntax.Node) bool {
	if rules == nil || rules.Kind == syntax.Null {
		return true
	}
	if rules.Kind != syntax.Sequence {
		l.fail(CodeIncludeRules, rules, "include:rules is a list of mappings, not %s", rules.Kind.WithArticle())
		return false
	}
	decided, wanted := false, false
	for _, rule := range rules.Items {
		matches, include := l.includeRule(rule)
		if !decided && matches {
			decided, wanted = true, include
		}
	}
	return wanted
}

// includeRule checks one rule, whether it counts or not.
func (l *loader) includeRule(rule *syntax.Node) (matches, include bool) {
	if rule.Kind != syntax.Mapping || len(rule.Pairs) == 0 {
		l.fail(CodeIncludeRules, rule, "a rule of include is a mapping, not %s", rule.Kind.WithArticle())
		return false, false
	}
	matches, include = true, true
	for _, p := range rule.Pairs {
		if p.Value.Kind == syntax.Null {
			continue
		}
		switch p.Key.Value {
		case "if":
			matches = l.condition(p.Value) && matches
		case "exists":
			matches = l.exists(p.Value) && matches
		case "changes":
			matches = l.changes(p.Value) && matches
		case "when":
			include = p.Value.Value == "always"
			if !include && p.Value.Value != "never" {
				l.fail(CodeIncludeRules, p.Value, `the "when" of a rule of include is always or never, not %q`, p.Value.Value)
			}
		default:
			l.unknownKey(p.Key, "rule of include", "changes", "exists", "if", "when")
		}
	}
	return matches, include
}

func (l *loader) condition(n *syntax.Node) bool {
	if n.Kind != syntax.String {
		l.fail(CodeIncludeRules, n, "the condition of a rule is a text, not %s", n.Kind.WithArticle())
		return false
	}
	e, err := expr.Parse(n.Value)
	if err != nil {
		l.fail(CodeIncludeRules, n, "the condition cannot be parsed: %v", err)
		return false
	}
	return l.holds(e, n, l.lookup)
}
