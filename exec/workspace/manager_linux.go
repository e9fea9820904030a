package workspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/userns"
)

// mode is how the project gets into a workspace.
type mode int

const (
	modeOverlay mode = iota
	modeCopy
	modeShared
)

// Manager makes workspaces. Its methods may be called concurrently.
type Manager struct {
	cfg     Config
	mode    mode
	mounter overlayMounter
	mask    []string
	hidden  map[string]bool
	// maskLayer is the directory of the mask layer, empty if nothing is masked.
	maskLayer string
	owner     unix.Stat_t
	tracked   func() (map[string]bool, error)
	// users, if not nil, are those for whom owners are translated.
	users *userns.Namespace
}

// Names in Config.Dir that are no job's: the character @ is not in an identifier.
const (
	maskDir  = "@mask"
	probeDir = "@probe"
)

// New prepares the workspaces of a run: it checks the configuration, finds out
// how this machine mounts an overlay, and builds the mask layer. Config.Dir must
// not hold the workspaces of another run.
func New(cfg Config) (*Manager, error) {
	m := &Manager{cfg: cfg}
	var err error
	if m.cfg.Source, err = realDir(cfg.Source); err != nil {
		return nil, fmt.Errorf("project: %w", err)
	}
	if m.cfg.Dir, err = realDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("workspace directory: %w", err)
	}
	if within(m.cfg.Dir, m.cfg.Source) {
		return nil, fmt.Errorf("the workspace directory %q is inside the project %q: keep the state elsewhere", m.cfg.Dir, m.cfg.Source)
	}
	if within(m.cfg.Source, m.cfg.Dir) {
		return nil, fmt.Errorf("the project %q is inside the workspace directory %q: keep the state elsewhere", m.cfg.Source, m.cfg.Dir)
	}
	if err := unix.Stat(m.cfg.Source, &m.owner); err != nil {
		return nil, fmt.Errorf("project %q: %w", m.cfg.Source, err)
	}
	if m.mask, err = cleanMask(cfg.Mask); err != nil {
		return nil, err
	}
	m.hidden = hiddenSet(m.mask)
	if cfg.Tracked != nil {
		m.tracked = sync.OnceValues(cfg.Tracked)
	}
	if cfg.Shared {
		m.mode, m.hidden = modeShared, nil
		return m, nil
	}
	if err := m.prepareOverlay(); err != nil {
		return nil, err
	}
	return m, nil
}

// Mapped returns a manager of the same workspaces for jobs in user namespaces, which
// see the owners that files have on the disk, and leave such. The two share the
// names of workspaces. users must stay open as long as workspaces are made.
func (m *Manager) Mapped(users *userns.Namespace) (*Manager, error) {
	mapped := *m
	mapped.users = users
	var err error
	switch m.mode {
	case modeShared:
		err = mapped.probeShared()
	case modeOverlay:
		err = mapped.probe(m.mounter)
	case modeCopy:
		err = errors.New("no overlay file system can be mounted")
	}
	if err != nil {
		return nil, fmt.Errorf("workspaces for user namespaces: %w", err)
	}
	return &mapped, nil
}

// probeShared finds out whether the owners of a shared project can be translated.
func (m *Manager) probeShared() error {
	fd, err := cloneTree(m.cfg.Source, unix.AT_RECURSIVE, translated(m.users))
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// prepareOverlay chooses between overlay and copy, and builds the mask layer.
func (m *Manager) prepareOverlay() error {
	var failure error
	for _, mounter := range overlayMounters {
		err := m.probe(mounter)
		if err == nil {
			m.mounter = mounter
			return errors.Join(m.warnMounts(), m.prepareMask())
		}
		failure = errors.Join(failure, err)
	}
	m.mode = modeCopy
	reason := strings.ReplaceAll(failure.Error(), "\n", "; ")
	m.warn("no overlay file system can be mounted here: every job gets a copy of the project (" + reason + ")")
	return nil
}

func (m *Manager) warn(msg string) {
	if m.cfg.Warn != nil {
		m.cfg.Warn(msg)
	}
}

// warnMounts tells of the file systems in the project that an overlay leaves out.
func (m *Manager) warnMounts() error {
	points, err := mountsBelow(m.cfg.Source)
	for _, point := range points {
		if point != m.cfg.Source {
			m.warn(fmt.Sprintf("jobs do not see what is mounted at %q", point))
		}
	}
	return err
}

func (m *Manager) prepareMask() error {
	dir := filepath.Join(m.cfg.Dir, maskDir)
	needed, err := buildMask(m.cfg.Source, dir, m.mask)
	if err != nil {
		return errors.Join(err, Remove(dir))
	}
	if needed {
		m.maskLayer = dir
	}
	return nil
}

// probe mounts a workspace in small, and does in it what jobs do: a file system
// may take the mount and then refuse whiteouts or extended attributes.
func (m *Manager) probe(mounter overlayMounter) (err error) {
	dir := filepath.Join(m.cfg.Dir, probeDir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, UnmountAll(dir), Remove(dir)) }()
	o := overlay{private: dir, users: m.users}
	lower, project := filepath.Join(dir, "lower"), filepath.Join(dir, "project")
	for _, d := range []string{filepath.Join(dir, upperDir), filepath.Join(dir, workDir), filepath.Join(dir, layersDir), lower, project} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	// Its name must not be that of a directory of the project, with which it would merge.
	victim, err := os.MkdirTemp(lower, probeDir)
	if err != nil {
		return err
	}
	o.lower = []string{lower, m.cfg.Source}
	if err := mounter.mount(o, project); err != nil {
		return err
	}
	hidden := filepath.Join(project, filepath.Base(victim))
	if err := os.Remove(hidden); err != nil {
		return fmt.Errorf("make a whiteout: %w", err)
	}
	if err := os.Mkdir(hidden, 0o755); err != nil {
		return fmt.Errorf("make an opaque directory: %w", err)
	}
	if err := os.WriteFile(filepath.Join(hidden, "file"), nil, 0o644); err != nil {
		return err
	}
	// What the layers hold is what artifacts are collected from.
	if _, err := os.Stat(filepath.Join(dir, upperDir, filepath.Base(victim), "file")); err != nil {
		return fmt.Errorf("look into the upper layer: %w", err)
	}
	return nil
}

// validID are the identifiers of jobs, as exec makes them.
var validID = regexp.MustCompile(`^[a-z0-9_-][a-z0-9._-]{0,99}$`)

// Open prepares the workspace of a job, not mounted: what a container needs that
// is created before the job's dependencies are done. id must be unique in the
// run, of [a-z0-9._-], at most 100 bytes, and not begin with a dot.
func (m *Manager) Open(id string) (_ *Workspace, err error) {
	if !validID.MatchString(id) {
		return nil, fmt.Errorf("workspace %q: not a valid identifier", id)
	}
	w := &Workspace{m: m, dir: filepath.Join(m.cfg.Dir, id)}
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		return nil, fmt.Errorf("open workspace: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open workspace %q: %w", id, err), w.Close())
		}
	}()
	if err := os.Mkdir(w.Builds(), 0o755); err != nil {
		return nil, err
	}
	if m.mode == modeCopy {
		return w, nil // Mount makes the project in builds: there is nothing to propagate.
	}
	// Before the mount, through which it would not belong to root.
	if err := os.Mkdir(w.project(), 0o755); err != nil {
		return nil, err
	}
	if err := bindShared(w.Builds(), m.users); err != nil {
		return nil, err
	}
	if m.mode == modeShared {
		return w, nil
	}
	// Here and not in Mount, for which a job waits.
	if err := errors.Join(os.Mkdir(filepath.Join(w.dir, workDir), 0o700), os.Mkdir(w.upper(), 0o700)); err != nil {
		return nil, err
	}
	if m.users != nil {
		if err := os.Mkdir(filepath.Join(w.dir, layersDir), 0o700); err != nil {
			return nil, err
		}
	}
	if err := w.openTop(w.upper()); err != nil {
		return nil, err
	}
	return w, nil
}

// realDir returns the path of an existing directory without links.
func realDir(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%q is not an absolute path", path)
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%q is not a directory", path)
	}
	return resolved, nil
}

// within reports whether path is dir or below it. Both are clean and absolute.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
