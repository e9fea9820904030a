package cmd

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/plan"
)

func frozenFlag() cli.Flag {
	return &cli.BoolFlag{Name: "frozen", Usage: "refuse a plan whose pipeline files have changed since it was compiled"}
}

// sourceDigests are those of the files that a compilation has read, by their paths in
// the project. file is the pipeline file that the user named, from the working directory,
// empty if none was. One that is not of the project is left out: where the plan is run,
// nobody knows where it is.
func (p *project) sourceDigests(file string, sources map[string][]byte) map[string]string {
	digests := make(map[string]string, len(sources))
	for name, text := range sources {
		if file != "" && name == filepath.ToSlash(file) {
			var ok bool
			if name, ok = p.inside(file); !ok {
				continue
			}
		}
		sum := sha256.Sum256(text)
		digests[name] = hex.EncodeToString(sum[:])
	}
	return digests
}

// inside is the slash-separated path in the project of a file that is named from the
// working directory.
func (p *project) inside(file string) (name string, ok bool) {
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return "", false
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // as the project's directory
		return "", false
	}
	name, err = filepath.Rel(p.dir, filepath.Join(dir, filepath.Base(file)))
	return filepath.ToSlash(name), err == nil && filepath.IsLocal(name)
}

// checkStale compares the files that a plan was compiled from with those of the
// project: one that has changed is a warning, and an error with --frozen. A plan may
// well run where its pipeline file is not; only --frozen asks for each of them.
func checkStale(c *cli.Context, p *project, d *plan.Dir) error {
	changed, gone := p.compareSources(d.Map)
	text := ""
	switch frozen := c.Bool("frozen"); {
	case len(changed) > 0:
		text = fmt.Sprintf("%s changed since it was compiled", some(changed))
	case frozen && len(gone) > 0:
		text = fmt.Sprintf("%s gone from the project", some(gone))
	case frozen && (d.Map == nil || len(d.Map.Sources) == 0):
		return &exitError{code: exitIntegrity, err: errors.New("the plan does not say which files it was compiled from"),
			help: "plan.map.json, which does, belongs to the plan; compile the pipeline again"}
	}
	switch {
	case text == "":
		return nil
	case c.Bool("frozen"):
		return &exitError{code: exitIntegrity, err: fmt.Errorf("the plan is stale: %s", text), help: "compile the pipeline again, or leave out --frozen"}
	}
	warner(c.App.ErrWriter)("the plan is stale: " + text)
	return nil
}

// compareSources returns the paths of a plan's sources whose text in the project is
// another, which is so, too, where it cannot be read, and of those that are not there.
func (p *project) compareSources(m *plan.SourceMap) (changed, gone []string) {
	if m == nil {
		return nil, nil
	}
	for _, name := range slices.Sorted(maps.Keys(m.Sources)) {
		text, err := readRegular(p.sourcePath(name))
		sum := sha256.Sum256(text)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			gone = append(gone, name)
		case err != nil || hex.EncodeToString(sum[:]) != m.Sources[name]:
			changed = append(changed, name)
		}
	}
	return changed, gone
}

// some names the first of several files and counts the others, with the verb for it.
func some(names []string) string {
	if len(names) == 1 {
		return fmt.Sprintf("%q has", names[0])
	}
	return fmt.Sprintf("%q and %d more have", names[0], len(names)-1)
}
