package workspace

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Unchanged reports whether Collect would find under p exactly what the directory
// layer holds: one of those given to Mount, which an earlier Collect with the same
// patterns has made. It looks only at what lies beside the layer, so that it is
// quick where the job has touched nothing of it. Like Collect it ends the mount.
func (w *Workspace) Unchanged(p Patterns, layer string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.mounted || w.closed {
		return false, errors.New("the workspace is not mounted, or an earlier collection failed")
	}
	unchanged, err := w.unchanged(p, layer)
	if err != nil {
		return false, fmt.Errorf("look for changes: %w", err)
	}
	return unchanged, nil
}

func (w *Workspace) unchanged(p Patterns, dir string) (_ bool, err error) {
	dir, err = realDir(dir)
	if err != nil {
		return false, err
	}
	// In a copy of the project, or merged with others, the layer cannot be told apart.
	if w.m.mode != modeOverlay || !slices.Contains(w.layers, dir) {
		return false, nil
	}
	if err := UnmountAll(w.project()); err != nil {
		return false, err
	}
	sel, err := newSelector(p, w.m.tracked)
	if err != nil {
		return false, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	others := slices.DeleteFunc(w.view(), func(l *layer) bool { return l.path == dir })
	view, err := openStack(others)
	if err != nil {
		return false, err
	}
	defer view.close()
	c := &comparison{sel: sel, layer: root}
	changed, err := c.changed(view, false)
	return !changed, err
}

// comparison looks for what other layers change of a layer.
type comparison struct {
	sel   *selector
	layer *os.Root
}

// changed reports whether anything in dir, a directory of the other layers, makes
// a difference. whole is set if dir itself is selected, and thereby all of it.
func (c *comparison) changed(dir *stack, whole bool) (bool, error) {
	entries, err := dir.merged()
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		changed, err := c.entry(dir, e, whole)
		if changed || err != nil {
			return changed, err
		}
	}
	return false, nil
}

func (c *comparison) entry(dir *stack, e entry, whole bool) (bool, error) {
	path := joinPath(dir.path, e.name)
	if path == gitDir {
		return false, nil
	}
	if len(e.layers) == 0 {
		return c.has(path), nil // the mark of a deletion
	}
	selected := whole || c.sel.match(path)
	// The project lies below the layer, everything else above.
	below := e.layers[0].transfer == transferCopy
	if e.typ != unix.DT_DIR {
		if below {
			return c.selects(path, selected) && !c.has(path), nil
		}
		return c.selects(path, selected) || c.has(path), nil
	}
	switch has := c.has(path); {
	case selected && (!below || !has):
		return true, nil
	case has && !below && isOpaque(dir.fd(e.layers[0]), e.name):
		return true, nil
	case !selected && !has && !c.sel.mayMatchBelow(path):
		return false, nil
	}
	sub, err := dir.descend(e.name, e.layers)
	if vanished(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer sub.close()
	return c.changed(sub, selected)
}

// selects reports whether a file is selected.
func (c *comparison) selects(path string, selected bool) bool {
	return selected || c.sel.untracked && !c.sel.tracked[path]
}

// has reports whether the layer holds a path. One that cannot be looked up counts
// as held, which makes it a change.
func (c *comparison) has(path string) bool {
	_, err := c.layer.Lstat(path)
	return !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENOTDIR)
}
