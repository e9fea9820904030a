package workspace

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Keep moves the private layer of the workspace to dst, which does not exist and
// is on the file system of Config.Dir, so that [Manager.Reopen] can make the same
// tree again. It returns the layers that lie below it, for Mount. It is called in
// place of further collections, when no process of the job is left, and before
// Close. Of a project that is shared there is no private layer, nor a dst.
func (w *Workspace) Keep(dst string) (layers []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.mounted || w.closed {
		return nil, errors.New("keep the workspace: it is not mounted, or a collection of artifacts failed")
	}
	w.mounted = false
	if w.m.mode == modeShared {
		return nil, nil
	}
	if w.m.mode == modeCopy {
		return nil, w.keepCopy(dst)
	}
	if err := UnmountAll(w.project()); err != nil {
		return nil, fmt.Errorf("keep the workspace: %w", err)
	}
	if err := os.Rename(w.upper(), dst); err != nil {
		return nil, fmt.Errorf("keep the workspace: %w", err)
	}
	// What was collected has left the private layer, and lies on top of the others.
	layers = slices.Concat(w.collected, w.layers)
	slices.Reverse(layers)
	return layers, nil
}

// keepCopy makes dst of a copied project and of what was collected from it, which
// has left it.
func (w *Workspace) keepCopy(dst string) error {
	if len(w.collected) == 0 {
		return os.Rename(w.project(), dst)
	}
	if err := storeEverything(w.view(), dst); err != nil {
		return fmt.Errorf("keep the workspace: %w", err)
	}
	return nil
}

// Reopen makes a workspace of a private layer that was kept, which it moves into
// it, and mounts it. An empty kept is for a project that is shared. Keep gives the
// layer back.
func (m *Manager) Reopen(id, kept string, layers []string) (_ *Workspace, err error) {
	w, err := m.Open(id)
	if err != nil {
		return nil, err
	}
	moved := ""
	defer func() {
		if err == nil {
			return
		}
		if moved != "" {
			err = errors.Join(err, os.Rename(moved, kept))
		}
		err = errors.Join(err, w.Close())
	}()
	switch {
	case (kept == "") != (m.mode == modeShared):
		return nil, errors.New("the workspace was kept in another mode")
	case kept == "":
		return w, w.Mount(nil)
	case m.mode == modeCopy:
		if err := os.Rename(kept, w.project()); err != nil {
			return nil, err
		}
		w.mounted = true
		return w, nil
	}
	if err := os.Remove(w.upper()); err != nil {
		return nil, err
	}
	if err := os.Rename(kept, w.upper()); err != nil {
		return nil, err
	}
	moved = w.upper()
	return w, w.Mount(layers)
}
