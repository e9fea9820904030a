package resolve

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// external loads files that are not in the project, from their vendored copies.
func (l *loader) external(kind, value string, n, entry *syntax.Node, at place) (roots []*syntax.Node) {
	loc := Location{Kind: kind, Name: value}
	switch kind {
	case "remote":
		if !strings.HasPrefix(value, "https://") && !strings.HasPrefix(value, "http://") {
			l.fail(CodeInclude, n, "include:remote takes an address that begins with https://, not %q", value)
			return nil
		}
	case "project":
		return l.project(loc, n, entry, at)
	case "template":
		if !strings.HasSuffix(value, ".gitlab-ci.yml") {
			l.fail(CodeInclude, n, "include:template takes a name that ends in .gitlab-ci.yml, not %q", value)
			return nil
		}
	case "component":
		if name, version, ok := strings.Cut(value, "@"); !ok || version == "" || strings.Count(name, "/") < 2 {
			l.fail(CodeInclude, n, "include:component takes HOST/PROJECT/COMPONENT@VERSION, not %q", value)
			return nil
		}
	}
	return l.vendored(loc, at)
}

// project loads one or more files of another project.
func (l *loader) project(loc Location, n, entry *syntax.Node, at place) (roots []*syntax.Node) {
	for _, of := range l.projectFiles(loc, n, entry) {
		roots = append(roots, l.vendored(of, at)...)
	}
	return roots
}

// projectFiles are the files of another project that an entry names, at its keys file and
// ref; n is its project.
func (l *loader) projectFiles(loc Location, n, entry *syntax.Node) (all []Location) {
	if ref := entry.Get("ref"); ref != nil && ref.Kind != syntax.Null {
		loc.Ref = expandVariables(ref.Value, l.lookup)
	}
	file := entry.Get("file")
	if file == nil || file.Kind != syntax.String && (file.Kind != syntax.Sequence || len(file.Items) == 0) {
		l.fail(CodeInclude, n, `include:project needs "file", a path or a list of paths`)
		return nil
	}
	files := []*syntax.Node{file}
	if file.Kind == syntax.Sequence {
		files = file.Items
	}
	for _, f := range files {
		name := strings.TrimLeft(expandVariables(f.Value, l.lookup), "/")
		if f.Kind != syntax.String || !isPipelineFile(name) || !fs.ValidPath(name) {
			l.fail(CodeIncludePath, f, "the included file %q does not end in .yml or .yaml, or is no path", f.Value)
			continue
		}
		loc.File = name
		all = append(all, loc)
	}
	return all
}

// vendored loads the copy of one file.
func (l *loader) vendored(loc Location, at place) []*syntax.Node {
	at.file, at.origin = loc.String(), loc
	if !l.enter(at) {
		return nil
	}
	defer l.leave()
	name, data, ok := l.copyOf(loc, at)
	if !ok {
		return nil
	}
	l.path[len(l.path)-1].source = name
	if root := l.load(name, data, at); root != nil {
		return []*syntax.Node{root}
	}
	return nil
}

// copyOf reads the copy of a file that is not in the project; not ok is reported.
func (l *loader) copyOf(loc Location, at place) (name string, data []byte, ok bool) {
	err := error(fs.ErrNotExist)
	if l.o.Vendored != nil {
		name, data, err = l.o.Vendored(loc)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && l.o.Stub:
		l.stubs = append(l.stubs, at.pos)
		l.warnAt(CodeIncludeStub, at.pos, at.length, "%s is left out: there is no copy of it in the project", loc)
	case errors.Is(err, fs.ErrNotExist):
		l.failAt(CodeIncludeVendor, at.pos, at.length, "%s is not in the project, and there is no copy of it", loc).Help =
			"fetch copies with: cic vendor --allow-remote-include; or go on without it: --stub-includes"
	case err != nil:
		l.failAt(CodeIncludeVendor, at.pos, at.length, "the copy of %s cannot be used: %v", loc, err)
	}
	return name, data, err == nil
}

// fromOrigin tells where a local file is that the file being loaded includes, if
// that is itself not of this project: in the project that it comes from.
func (l *loader) fromOrigin(name string) (loc Location, elsewhere bool, err error) {
	if len(l.path) == 0 {
		return loc, false, nil
	}
	origin := l.path[len(l.path)-1].origin
	switch origin.Kind {
	case "":
		return loc, false, nil
	case "project":
		origin.File = name
		return origin, true, nil
	}
	return loc, true, fmt.Errorf("a local file cannot be included by %s", origin)
}

// headerIncludes loads declarations of inputs from other files: spec:include
// (specification, section 8.1).
func (l *loader) headerIncludes(n *syntax.Node) (inputs []*input) {
	if n.Kind != syntax.Sequence {
		l.fail(CodeSpec, n, "spec:include is a list of files, not %s", n.Kind.WithArticle())
		return nil
	}
	for _, item := range n.Items {
		inputs = append(inputs, l.headerEntry(item)...)
	}
	return inputs
}

// headerEntry loads the files of one entry of spec:include: of this project, of another,
// or at an address.
func (l *loader) headerEntry(n *syntax.Node) (inputs []*input) {
	for _, p := range n.Pairs {
		if !slices.Contains([]string{"local", "remote", "project", "file", "ref"}, p.Key.Value) {
			l.fail(CodeSpec, p.Key, "spec:include takes local, remote and project files, and no %q", p.Key.Value)
			return nil
		}
	}
	kind, at := "local", n
	switch {
	case n.Kind == syntax.String && (strings.HasPrefix(n.Value, "http://") || strings.HasPrefix(n.Value, "https://")):
		kind = "remote"
	case n.Kind == syntax.Mapping:
		if kind = l.locationKey(n); kind == "" {
			return nil
		}
		at = n.Get(kind)
	}
	if at.Kind != syntax.String {
		l.fail(CodeSpec, at, "spec:include takes the paths of files, not %s", at.Kind.WithArticle())
		return nil
	}
	loc := Location{Kind: kind, Name: expandVariables(at.Value, l.lookup)}
	switch kind {
	case "remote":
		if !strings.HasPrefix(loc.Name, "https://") && !strings.HasPrefix(loc.Name, "http://") {
			l.fail(CodeInclude, at, "spec:include:remote takes an address that begins with https://, not %q", at.Value)
			return nil
		}
		return l.headerFile(loc, at)
	case "local":
		if loc.File = strings.TrimLeft(loc.Name, "/"); !l.isHeaderPath(loc.File, at) {
			return nil
		}
		return l.headerFile(loc, at)
	}
	for _, of := range l.projectFiles(loc, at, n) {
		inputs = append(inputs, l.headerFile(of, at)...)
	}
	return inputs
}

func (l *loader) isHeaderPath(name string, n *syntax.Node) bool {
	if isPipelineFile(name) && fs.ValidPath(name) {
		return true
	}
	l.fail(CodeIncludePath, n, "the included file %q does not end in .yml or .yaml, or is no path", n.Value)
	return false
}

// headerFile reads one file of spec:include; a local one from where the file that names
// it is.
func (l *loader) headerFile(loc Location, n *syntax.Node) (inputs []*input) {
	name, elsewhere := loc.File, loc.Kind != "local"
	at := place{file: name, source: l.o.Prefix + name, pos: n.Pos, length: len([]rune(n.Raw))}
	var err error
	if !elsewhere {
		if loc, elsewhere, err = l.fromOrigin(name); err != nil {
			l.fail(CodeIncludePath, n, "%v", err)
			return nil
		}
	}
	if elsewhere {
		at.file, at.origin = loc.String(), loc
	}
	if !l.enter(at) {
		return nil
	}
	defer l.leave()
	var data []byte
	if elsewhere {
		var ok bool
		if name, data, ok = l.copyOf(loc, at); !ok {
			return nil
		}
		l.path[len(l.path)-1].source = name
	} else if data, err = l.read(name); err != nil {
		l.fail(CodeIncludeMissing, n, "the included file %q cannot be read: %s", name, unread(err))
		return nil
	} else {
		name = at.source
	}
	f := l.parse(name, data, at)
	if f == nil {
		return nil
	}
	if f.Header != nil {
		l.fail(CodeSpec, f.Header, "a file of spec:include has no header of its own")
	}
	for _, p := range f.Root.Pairs {
		if p.Key.Value != "inputs" {
			l.fail(CodeSpec, p.Key, "a file of spec:include holds only \"inputs\", not %q", p.Key.Value)
			continue
		}
		inputs = append(inputs, l.declarations(p.Value)...)
	}
	return inputs
}
