package workspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// The names in a directory of Keep.
const (
	// keptTree is what the job wrote; of a copied project it is the whole of it.
	keptTree = "tree"
	// keptChanges is what was changed in it since.
	keptChanges = "changes"
)

// Keep moves the private layer of the workspace into the directory dst, which is on
// the file system of Config.Dir, so that [Manager.Reopen] can make the same tree
// again. It returns the layers that this needs. It is called in place of further
// collections, when no process of the job is left, and before Close. Of a project
// that is shared there is no private layer, nor a dst.
//
// What was collected shares files with the layer, by hard links. So nobody may write
// to either: in a workspace that was made again, both are lower layers.
func (w *Workspace) Keep(dst string) (layers []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.mounted || w.closed {
		return nil, errors.New("keep the workspace: it is not mounted, or a collection of artifacts failed")
	}
	w.mounted = false
	switch w.m.mode {
	case modeShared:
		return nil, nil
	case modeCopy:
		err = w.keepCopy(dst)
	case modeOverlay:
		layers, err = w.keepOverlay(dst)
	}
	if err != nil {
		return nil, fmt.Errorf("keep the workspace: %w", err)
	}
	return layers, nil
}

// keepOverlay keeps the upper layer, as the tree or, if there is one, as what was
// changed in it.
func (w *Workspace) keepOverlay(dst string) (layers []string, err error) {
	if err := UnmountAll(w.project()); err != nil {
		return nil, err
	}
	tree := filepath.Join(dst, keptTree)
	if slices.Contains(w.given, tree) {
		return w.given, os.Rename(w.upper(), filepath.Join(dst, keptChanges))
	}
	if err := errors.Join(makeKept(dst), os.Rename(w.upper(), tree)); err != nil {
		return nil, err
	}
	// What was collected lies above it, as directories that were moved away are
	// missing in one that hides those below.
	return slices.Concat(w.given, []string{tree}, w.collected), nil
}

// keepCopy keeps a copied project with what was collected from it, which has left
// it or is linked to it.
func (w *Workspace) keepCopy(dst string) error {
	if err := makeKept(dst); err != nil {
		return err
	}
	tree := filepath.Join(dst, keptTree)
	if len(w.collected) == 0 {
		return os.Rename(w.project(), tree)
	}
	layers := w.view()
	for _, l := range layers {
		l.transfer = transferCopy
	}
	if err := storeEverything(layers, tree); err != nil {
		return err
	}
	return w.openTop(tree)
}

// makeKept makes the directory for Keep, unless it is there.
func makeKept(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// Reopen makes a workspace of what was kept in the directory kept, with the layers
// that Keep returned, and mounts it. An empty kept is for a project that is shared.
// Keep puts back what it takes from there, with what was changed.
func (m *Manager) Reopen(id, kept string, layers []string) (_ *Workspace, err error) {
	switch {
	case (kept == "") != (m.mode == modeShared), m.mode == modeCopy && len(layers) > 0, m.mode == modeOverlay && len(layers) == 0:
		return nil, errors.New("the workspace was kept in another mode")
	}
	w, err := m.Open(id)
	if err != nil {
		return nil, err
	}
	back := func() error { return nil }
	defer func() {
		if err != nil {
			err = errors.Join(err, back(), w.Close())
		}
	}()
	switch m.mode {
	case modeShared:
		return w, w.Mount(nil)
	case modeCopy:
		if err := os.Rename(filepath.Join(kept, keptTree), w.project()); err != nil {
			return nil, err
		}
		w.mounted = true
		return w, nil
	}
	changes := filepath.Join(kept, keptChanges)
	if _, err := os.Lstat(changes); err == nil {
		if err := errors.Join(os.Remove(w.upper()), os.Rename(changes, w.upper())); err != nil {
			return nil, err
		}
		back = func() error { return os.Rename(w.upper(), changes) }
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return w, w.Mount(layers)
}
