package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/containerd"
	"github.com/cic-ci/cic/exec/userns"
	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// runtimeFlags say which containerd to use, and which images.
func runtimeFlags() []cli.Flag {
	return []cli.Flag{
		addressFlag(),
		&cli.DurationFlag{Name: "idle", Value: 10 * time.Minute, EnvVars: []string{"CIC_IDLE"}, Usage: "keep the containerd in cic ready for the next run for this `DURATION`; 0: end it with this one",
			Action: func(_ *cli.Context, d time.Duration) error {
				if d < 0 {
					return usage("--idle is at least 0, not %s", d)
				}
				return nil
			}},
		&cli.StringSliceFlag{Name: "image", Usage: "map images, `PATTERN=TARGET`; TARGET is a reference, oci:PATH, docker-archive:FILE, rootfs:DIR or host"},
		stateFlag(),
	}
}

func addressFlag() cli.Flag {
	return &cli.StringFlag{Name: "address", EnvVars: []string{"CONTAINERD_ADDRESS"}, Usage: "use the containerd at `SOCKET` (default: the one in cic)"}
}

func stateFlag() cli.Flag {
	return &cli.StringFlag{Name: "state-dir", EnvVars: []string{"CIC_STATE_DIR"}, Usage: "keep runs and images in `DIR`"}
}

// stateDir is where cic keeps its state, an absolute path: the flag, else
// /var/lib/cic for root of the machine, else $XDG_STATE_HOME/cic or ~/.local/state/cic (XDG
// Base Directory Specification).
func stateDir(c *cli.Context) (string, error) {
	dir := c.String("state-dir")
	switch {
	case dir != "":
	case os.Geteuid() == 0 && !userns.Entered():
		dir = "/var/lib/cic"
	case filepath.IsAbs(os.Getenv("XDG_STATE_HOME")):
		dir = filepath.Join(os.Getenv("XDG_STATE_HOME"), "cic")
	default:
		home, err := os.UserHomeDir()
		if err != nil {
			return "", &exitError{code: exitSystem, err: fmt.Errorf("no place for the state directory: %w", err), help: "name one with --state-dir or CIC_STATE_DIR"}
		}
		dir = filepath.Join(home, ".local", "state", "cic")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fail(exitSystem, err)
	}
	abs = realPath(abs) // under two names it would have two containerds, of which one starves
	if runtime.GOOS == "linux" && (!utf8.ValidString(abs) || strings.ContainsFunc(abs, unfitForState)) {
		return "", &exitError{code: exitSystem, err: fmt.Errorf("the state directory %q cannot be used: containerd takes no path with a comma, colon, backslash, control character, or what is not UTF-8", abs),
			help: "name another with --state-dir or CIC_STATE_DIR"}
	}
	return abs, nil
}

// realPath follows the symbolic links of a path, as far as that exists.
func realPath(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	if dir := filepath.Dir(path); dir != path {
		return filepath.Join(realPath(dir), filepath.Base(path))
	}
	return path
}

// unfitForState reports whether a path with r is misread by what containerd hands
// it to: overlayfs' mount options (comma, colon, backslash), the addresses of
// shims' sockets (colon), and the URLs of FIFOs (control characters).
func unfitForState(r rune) bool { return strings.ContainsRune(`,:\`, r) || unicode.IsControl(r) }

// runtimeConfig is what the flags say of a containerd.
func runtimeConfig(c *cli.Context) (cfg containerd.Config, err error) {
	state, err := stateDir(c)
	if err != nil {
		return cfg, err
	}
	images, err := imageMappings(c)
	return containerd.Config{
		Address:  c.String("address"),
		StateDir: state,
		Idle:     c.Duration("idle"),

		StrictRuntime:  c.Bool("strict-runtime"),
		Network:        c.String("network"),
		Images:         images,
		ServiceTimeout: c.Duration("service-timeout"),
		Warn:           warner(c.App.ErrWriter),
		Progress:       func(msg string) { fmt.Fprintf(c.App.ErrWriter, "cic: %s\n", msg) },
	}, err
}

// openRuntime connects to containerd. dir is nil where no job is to run.
// users are the ids of jobs in user namespaces, nil for none.
func openRuntime(ctx context.Context, c *cli.Context, dir *exec.RunDir, users *userns.Namespace) (*containerd.Runtime, error) {
	cfg, err := runtimeConfig(c)
	if err != nil {
		return nil, err
	}
	cfg.Users = users
	if dir != nil {
		cfg.RunID, cfg.RunDir = dir.ID, filepath.Join(dir.Dir, "work")
	}
	r, err := containerd.Open(ctx, cfg)
	if err != nil {
		return nil, execError(err)
	}
	return r, nil
}

func imageMappings(c *cli.Context) (mappings []containerd.Mapping, err error) {
	for _, m := range c.StringSlice("image") {
		mapping, err := containerd.ParseMapping(m)
		if err != nil {
			return nil, usage("--image: %v", err)
		}
		mappings = append(mappings, mapping)
	}
	return mappings, nil
}

// pinning says which images --locked refuses; nil without the flag.
func pinning(c *cli.Context) (unpinned func(image string) string, err error) {
	if !c.Bool("locked") {
		return nil, nil
	}
	mappings, err := imageMappings(c)
	if err != nil {
		return nil, err
	}
	return func(image string) string { return containerd.Unpinned(image, mappings) }, nil
}

// withRuntime calls do with a connection that can only manage images. A signal
// ends do's context, so that a private containerd is stopped all the same.
func withRuntime(c *cli.Context, do func(context.Context, *containerd.Runtime) error) error {
	ctx, _, stop := onSignals(c.Context, io.Discard) // no jobs to speak of
	defer stop()
	r, err := openRuntime(ctx, c, nil, nil)
	if err == nil {
		err = do(ctx, r)
		if closeErr := r.Close(); closeErr != nil && err == nil {
			err = execError(closeErr)
		}
	}
	if code, ok := signalCode(ctx, nil, err); ok {
		return &exitError{code: code}
	}
	return err
}

// executeInContainers runs a plan on containerd, after it has cleared away what
// runs that died have left.
func executeInContainers(ctx context.Context, c *cli.Context, p *project, e *exec.Executor, pl *plan.Plan, scripts func(plan.Script) ([]byte, error)) (result *exec.Result, err error) {
	users, err := openUsers(c, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, users.Close()) }()
	r, err := openRuntime(ctx, c, e.RunDir, users)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := r.Close(); closeErr != nil {
			e.RunDir.Abandon()
			err = errors.Join(err, closeErr)
		}
	}()
	if err := boundJobs(c, e); err != nil {
		return nil, err
	}
	manager, err := workspaces(ctx, c, p, e.RunDir.WorkspacesDir())
	if err != nil {
		return nil, err
	}
	if err := sweep(ctx, c, r); err != nil {
		warner(c.App.ErrWriter)(fmt.Sprintf("what an earlier run left could not be removed: %v", err))
	}
	if err := os.WriteFile(filepath.Join(e.RunDir.Dir, addressFile), []byte(r.Address()), 0o600); err != nil {
		return nil, err
	}
	if c.Bool("auto-cancel") {
		asked, err := e.RunDir.TakeOver(p.dir, pl.Context.Ref)
		for _, id := range asked {
			fmt.Fprintf(c.App.ErrWriter, "cic: asked run %s to give way\n", id)
		}
		if err != nil {
			warner(c.App.ErrWriter)(fmt.Sprintf("not all older runs could be asked to give way: %v", err))
		}
	}
	if e.KeepFailed {
		if err := keepSurroundings(c, p, e.RunDir); err != nil {
			return nil, err
		}
	}
	e.Runtime, e.Workspaces = r, manager
	if users != nil {
		if e.Mapped, err = mapped(manager, users); err != nil {
			return nil, err
		}
	}
	caches, afterwards, err := openCaches(ctx, c, p, pl)
	if err != nil {
		return nil, err
	}
	defer afterwards()
	e.Caches = caches
	others, afterwards, err := p.trees(ctx, c, e.RunDir, pl, users)
	defer afterwards()
	if err != nil {
		return nil, err
	}
	e.Others = others
	e.ClearDead = func(ctx context.Context) error { return sweep(ctx, c, r) }
	return e.Run(ctx, pl, scripts)
}

// boundJobs lets no more jobs run at once than there are files to open for.
func boundJobs(c *cli.Context, e *exec.Executor) error {
	most, files, err := containerd.MostJobs()
	if err != nil {
		return execError(err)
	}
	if e.Jobs < 1 {
		e.Jobs = exec.DefaultJobs()
	}
	if e.Jobs > most {
		warner(c.App.ErrWriter)(fmt.Sprintf("this process may open only %d files at once (ulimit -n), so that --jobs is %d instead of %d", files, most, e.Jobs))
		e.Jobs = most
	}
	return nil
}

// addressFile is where a run records which containerd it uses.
const addressFile = "containerd"

// sweep removes what runs have left whose cic is dead.
func sweep(ctx context.Context, c *cli.Context, r *containerd.Runtime) error {
	state, err := stateDir(c)
	if err != nil {
		return err
	}
	dead, err := exec.DeadRuns(state)
	// One run that cannot be cleared away must not keep the others.
	errs := []error{err}
	for _, d := range dead {
		if address, err := os.ReadFile(filepath.Join(d.Dir, addressFile)); err == nil && string(address) != r.Address() {
			errs = append(errs, d.Close()) // its containers are in another containerd
			continue
		}
		if err := r.Sweep(ctx, []string{d.ID}); err != nil {
			errs = append(errs, err, d.Close())
			continue
		}
		errs = append(errs, d.Bury(time.Now()))
	}
	return errors.Join(errs...)
}

// overlays makes a [workspace.Manager] an [exec.Workspaces].
type overlays struct{ *workspace.Manager }

func (o overlays) Open(id string) (exec.Workspace, error) { return o.Manager.Open(id) }

// workspaces makes those of jobs of a project in a directory.
func workspaces(ctx context.Context, c *cli.Context, p *project, dir string) (overlays, error) {
	cfg := workspace.Config{
		Source: p.dir, Dir: dir, Warn: warner(c.App.ErrWriter),
		Shared: c.String("workspace") == "shared",
	}
	if c.String("source") == "clean" {
		mask, err := p.ignored(ctx)
		if err != nil {
			return overlays{}, fail(exitSystem, err)
		}
		cfg.Mask = mask
	}
	if p.git && !p.hasRepository() {
		cfg.Warn("git will not work in jobs: the project is a worktree, a submodule or a part of a repository, whose data lies outside of it")
	}
	cfg.Tracked = func() (map[string]bool, error) { return p.tracked(ctx) }
	manager, err := workspace.New(cfg)
	if err != nil {
		return overlays{}, fail(exitSystem, err)
	}
	return overlays{manager}, nil
}
