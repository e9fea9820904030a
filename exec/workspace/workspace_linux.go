package workspace

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Workspace is one job's tree. Below its directory lie builds (what the container
// binds), upper and work (the overlay's private layers), and merged (the oldest
// artifacts, if there are more than the kernel takes).
//
// Its methods may be called concurrently; they wait for each other.
type Workspace struct {
	m   *Manager
	dir string

	mu      sync.Mutex
	mounted bool
	closed  bool
	// given are the artifact layers that Mount was given, layers those of the mount,
	// topmost first.
	given, layers []string
	// collected are the results of Collect, the latest first.
	collected []string
}

// Builds is the directory that the container binds at /builds, with recursive
// slave propagation. The project appears in its sub-directory project.
func (w *Workspace) Builds() string { return filepath.Join(w.dir, "builds") }

// Written lists the directories that hold what the job writes: nothing of a
// project that is shared, which is the user's own, and with the job's files the
// copy of one that had to be copied.
func (w *Workspace) Written() []string {
	switch w.m.mode {
	case modeOverlay:
		return []string{w.upper()}
	case modeCopy:
		return []string{w.Builds()}
	}
	return nil
}

func (w *Workspace) project() string { return filepath.Join(w.Builds(), "project") }
func (w *Workspace) upper() string   { return filepath.Join(w.dir, upperDir) }

// Mount makes the project appear. layers are artifact directories, a later one
// overwrites an earlier; one that is given twice counts where it stands last.
// They must not change until Close. Mount can be called once.
//
// Anyone may make files at the top of the project, whatever user the image runs
// as; below, the permissions of the project hold.
func (w *Workspace) Mount(layers []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mounted || w.closed {
		return errors.New("mount workspace: already mounted or closed")
	}
	var err error
	switch w.m.mode {
	case modeShared:
		err = bindTree(w.m.cfg.Source, w.project(), w.m.users)
	case modeCopy:
		err = w.copyProject(layers)
	case modeOverlay:
		err = w.mountOverlay(layers)
	}
	if err != nil {
		return fmt.Errorf("mount workspace: %w", err)
	}
	w.given, w.mounted = slices.Clone(layers), true
	return nil
}

func (w *Workspace) mountOverlay(layers []string) error {
	layers, err := w.topmostFirst(layers)
	if err != nil {
		return err
	}
	base := []string{w.m.cfg.Source}
	if w.m.maskLayer != "" {
		base = []string{w.m.maskLayer, w.m.cfg.Source}
	}
	if room := w.m.mounter.limit - len(base); len(layers) > room {
		merged := filepath.Join(w.dir, "merged")
		if err := mergeLayers(layers[room-1:], merged); err != nil {
			return fmt.Errorf("merge the oldest of %d artifacts: %w", len(layers), err)
		}
		layers = append(layers[:room-1:room-1], merged)
	}
	w.layers = layers
	o := overlay{lower: slices.Concat(layers, base), private: w.dir, users: w.m.users}
	return w.m.mounter.mount(o, w.project())
}

// copyProject makes the project as a tree of its own.
func (w *Workspace) copyProject(layers []string) error {
	layers, err := w.topmostFirst(layers)
	if err != nil {
		return err
	}
	var all []*layer
	for _, l := range layers {
		all = append(all, &layer{path: l, transfer: transferCopy})
	}
	all = append(all, &layer{path: w.m.cfg.Source, transfer: transferCopy, hidden: w.m.hidden})
	if err := storeEverything(all, w.project()); err != nil {
		return fmt.Errorf("copy the project: %w", err)
	}
	return w.openTop(w.project())
}

// openTop lets anyone write to the directory whose attributes the top of the
// project takes.
func (w *Workspace) openTop(dir string) error {
	if err := os.Lchown(dir, int(w.m.owner.Uid), int(w.m.owner.Gid)); err != nil {
		return err
	}
	return os.Chmod(dir, 0o777)
}

// topmostFirst turns artifact layers, in order of time, into overlay's order,
// each directory once. It refuses what the kernel would take and then treat as
// undefined: the private layers of a workspace.
func (w *Workspace) topmostFirst(layers []string) ([]string, error) {
	seen := map[fileID]bool{}
	var result []string
	for _, l := range slices.Backward(layers) {
		path, err := realDir(l)
		if err != nil {
			return nil, fmt.Errorf("artifact layer: %w", err)
		}
		if isPrivate(w.m.cfg.Dir, path) {
			return nil, fmt.Errorf("artifact layer %q is the private layer of a workspace", l)
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			return nil, fmt.Errorf("artifact layer %q: %w", l, err)
		}
		id := fileID{dev: uint64(st.Dev), ino: st.Ino}
		if !seen[id] {
			seen[id] = true
			result = append(result, path)
		}
	}
	return result, nil
}

// isPrivate reports whether path is, or lies in, a directory of a workspace that
// a job writes to. dir is Config.Dir.
func isPrivate(dir, path string) bool {
	elements := strings.Split(strings.TrimPrefix(path, dir+"/"), "/")
	return within(path, dir) && len(elements) > 1 && slices.Contains([]string{upperDir, workDir, "builds"}, elements[1])
}

// Collect moves what matches into dst, which does not exist yet and should be on
// the file system of Config.Dir. It is called when no process of the job is left,
// and ends the mount: the project is no longer seen at Builds.
//
// Only what the job sees is collected: a deletion is no artifact. Symbolic links
// are stored, never followed; devices, FIFOs and sockets are left out; setuid,
// setgid and sticky bits, extended attributes and ACLs are dropped; owners and
// times are kept. dst can be given to Mount as a layer.
//
// Files of the job get there by rename and hard link, artifacts of other jobs by
// hard link, files of the project by copy. Collect can be called again, for
// another set of patterns, as long as the earlier dst are still there; after an
// error it cannot, as files may be gone with the dst that it removes, unless it is
// a [*SparseError], which comes first.
func (w *Workspace) Collect(p Patterns, dst string) (*Manifest, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.mounted || w.closed {
		return nil, errors.New("collect artifacts: the workspace is not mounted, or an earlier collection failed")
	}
	manifest, err := w.collect(p, dst)
	if err != nil {
		if !errors.As(err, new(*SparseError)) {
			w.mounted = false
		}
		return nil, fmt.Errorf("collect artifacts: %w", err)
	}
	if w.m.mode != modeShared {
		w.collected = slices.Insert(w.collected, 0, dst)
	}
	return manifest, nil
}

func (w *Workspace) collect(p Patterns, dst string) (*Manifest, error) {
	// The kernel leaves undefined what a mounted overlay shows when its upper layer changes.
	if err := UnmountAll(w.project()); err != nil {
		return nil, err
	}
	sel, err := newSelector(p, w.m.tracked)
	if err != nil {
		return nil, err
	}
	view, err := openStack(w.view())
	if err != nil {
		return nil, err
	}
	defer view.close()
	items, _, err := sel.walk(view, false)
	if err != nil {
		return nil, err
	}
	if err := sel.warnUnmatched(view); err != nil {
		return nil, err
	}
	if len(items) == 0 && sel.dropped {
		sel.manifest.warn("exclude leaves nothing of what is to be collected")
	}
	if err := checkSparse(items); err != nil {
		return nil, err
	}
	if err := storeAt(view, items, dst); err != nil {
		return nil, fmt.Errorf("in %s: %w", dst, err)
	}
	sel.manifest.list("", items)
	slices.SortFunc(sel.manifest.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return sel.manifest, nil
}

// view returns the layers that the job's tree consists of, topmost first.
func (w *Workspace) view() []*layer {
	var layers []*layer
	switch w.m.mode {
	case modeShared:
		return []*layer{{path: w.m.cfg.Source, transfer: transferCopy}}
	case modeCopy:
		layers = append(layers, &layer{path: w.project(), transfer: transferMove})
	case modeOverlay:
		layers = append(layers, &layer{path: w.upper(), transfer: transferMove})
	}
	for _, c := range w.collected {
		layers = append(layers, &layer{path: c, transfer: transferLink, collected: true})
	}
	if w.m.mode == modeCopy {
		return layers
	}
	for _, l := range w.layers {
		layers = append(layers, &layer{path: l, transfer: transferLink})
	}
	return append(layers, &layer{path: w.m.cfg.Source, transfer: transferCopy, hidden: w.m.hidden, alone: true})
}

// Close unmounts and removes everything but what was collected. Nothing of the
// job may run any more. It may be called again, and does again what failed.
func (w *Workspace) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if err := UnmountAll(w.dir); err != nil {
		return fmt.Errorf("close workspace: %w", err)
	}
	if err := Remove(w.dir); err != nil {
		return fmt.Errorf("close workspace: %w", err)
	}
	return nil
}

// Link makes dst, which must not exist, a second copy of collected artifacts, by
// hard links: neither must be changed from then on, and either may be removed.
func Link(src, dst string) error { return mergeLayers([]string{src}, dst) }

// mergeLayers makes dst the merged view of artifact layers, topmost first, by
// hard links.
func mergeLayers(layers []string, dst string) error {
	var all []*layer
	for _, l := range layers {
		all = append(all, &layer{path: l, transfer: transferLink})
	}
	return storeEverything(all, dst)
}

// storeEverything makes dst the merged view of layers, topmost first.
func storeEverything(layers []*layer, dst string) error {
	view, err := openStack(layers)
	if err != nil {
		return err
	}
	defer view.close()
	sel := &selector{everything: true, manifest: &Manifest{}}
	items, _, err := sel.walk(view, true)
	if err != nil {
		return err
	}
	return storeAt(view, items, dst)
}
