package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/cmd/imagelock"
	"github.com/cic-ci/cic/compile"
	"github.com/cic-ci/cic/exec/containerd"
	"github.com/cic-ci/cic/plan"
)

func lockCommand() *cli.Command {
	return &cli.Command{
		Name:      "lock",
		Usage:     "pin the images of a pipeline by their digests",
		ArgsUsage: "[FILE|PLAN]",
		Description: "The digests are those that the registries have now. They are kept in " + imagelock.File + " of\n" +
			"the project, or the FILE of --lock: commit it. cic compile puts them into the plan, and cic exec\n" +
			"--locked runs no other images. Those that are listed already keep their digests, and those of\n" +
			"other refs and events stay.\n\n" +
			"Example:\n   cic image lock && git add " + imagelock.File + "\n   cic image lock --update 'python:*'",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "update", Usage: "ask anew for images that match `PATTERN`, * for all"},
			&cli.BoolFlag{Name: "offline", Usage: "ask no registry: take the digests of the images that are loaded, which for an archive of docker save are not those of a registry"},
		}, compileFlags(), runtimeFlags()),
		Action: lockImages,
	}
}

// useLock gives a compilation the digests of the lock file, if there is one. texts is
// what was read, by name.
func useLock(c *cli.Context, p *project, o *compile.Options) (texts map[string][]byte, err error) {
	name, err := lockFile(c, p)
	if err != nil {
		return nil, err
	}
	return readLock(o, name)
}

// lockFile is the path in the project of the file that --lock names; empty without it.
func lockFile(c *cli.Context, p *project) (string, error) {
	file := c.String("lock")
	if file == "" {
		return "", nil
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", fail(exitSystem, err)
	}
	if name, err := filepath.Rel(p.dir, abs); err == nil && filepath.IsLocal(name) {
		return filepath.ToSlash(name), nil // its directory need not exist yet
	}
	name, ok := p.inside(file)
	if !ok {
		return "", usage("--lock %s is not a file of the project", file)
	}
	return name, nil
}

// readLock is useLock for a path in the project; empty for the usual one, which need
// not exist.
func readLock(o *compile.Options, name string) (texts map[string][]byte, err error) {
	if o.LockFile = name; name == imagelock.File {
		o.LockFile = ""
	}
	from := name
	if from == "" {
		from = imagelock.File
	}
	lock, text, err := imagelock.Read(o.Project, from)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case missing && name == "":
		return nil, nil
	case missing:
		return nil, &exitError{code: exitInvalid, err: fmt.Errorf("the lock file %s does not exist", from), help: "cic image lock --lock " + from + " makes it"}
	case err != nil:
		return nil, fail(exitInvalid, err)
	}
	o.Lock = lock
	return map[string][]byte{from: text}, nil
}

// needsStore reports whether images are to be locked that a containerd has, or files.
func needsStore(c *cli.Context) bool { return c.Bool("offline") || c.IsSet("image") }

func lockImages(c *cli.Context) error {
	target, err := oneFile(c)
	if err != nil {
		return err
	}
	p, pl, err := planToLock(c, target)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return fail(exitSystem, err)
	}
	defer root.Close()
	name, err := lockFile(c, p)
	if err != nil {
		return err
	}
	if name == "" {
		name = imagelock.File
	}
	lock, _, err := imagelock.Read(root.FS(), name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		lock = imagelock.Lock{}
	case err != nil:
		return fail(exitInvalid, err)
	}
	l, err := newLocking(c, lock)
	if err != nil {
		return err
	}
	if err := l.find(pl); err != nil {
		return err
	}
	if len(l.served)+len(l.stored) == 0 {
		return l.report(name)
	}
	if err := l.resolve(); err != nil {
		return err
	}
	if err := lock.Write(root, name); err != nil {
		return fail(exitSystem, err)
	}
	return l.report(name)
}

// planToLock is the plan of which images are to be locked: that of a pipeline file,
// compiled without the lock, or one that was compiled.
func planToLock(c *cli.Context, target string) (*project, *plan.Plan, error) {
	if target == "" || isPipelineFile(target) {
		p, o, closeProject, err := compileOptions(c, target)
		if err != nil {
			return nil, nil, err
		}
		defer closeProject()
		result, diagnostics, sources := compile.Compile(*o)
		if err := printDiagnostics(c.App.ErrWriter, diagnostics, o.Source, sources); err != nil {
			return nil, nil, err
		}
		return p, result.Plan, nil
	}
	d, err := readPlan(c, target)
	if err != nil {
		return nil, nil, err
	}
	p, err := openProject(c.Context, c.String("project"))
	if err != nil {
		return nil, nil, fail(exitInvalid, err)
	}
	return p, d.Plan, nil
}

// locking is one call of cic image lock.
type locking struct {
	context  *cli.Context
	lock     imagelock.Lock
	mappings []containerd.Mapping
	updates  []update
	// images are those of the plan that the lock is for, each once, in plan order.
	images []string
	// served and stored are those of them that are to be looked up: at their registries,
	// and among what is loaded or in files.
	served, stored []string
}

// update is a pattern of --update.
type update struct {
	containerd.Mapping
	text    string
	matched bool
}

// newLocking reads the flags.
func newLocking(c *cli.Context, lock imagelock.Lock) (*locking, error) {
	l := &locking{context: c, lock: lock}
	for _, pattern := range c.StringSlice("update") {
		// Where it would lead does not matter: it is not used as a mapping.
		m, err := containerd.ParseMapping(pattern + "=" + string(containerd.TargetHost))
		if err != nil {
			return nil, usage("--update: %q is neither an image nor a pattern", pattern)
		}
		l.updates = append(l.updates, update{Mapping: m, text: pattern})
	}
	var err error
	l.mappings, err = imageMappings(c)
	return l, err
}

// find finds the images that are to be looked up, and warns of those that cannot be
// locked.
func (l *locking) find(pl *plan.Plan) error {
	seen := map[string]bool{}
	for _, asked := range planImages(pl) {
		image, digest, _ := strings.Cut(asked.Name.Value, "@")
		if seen[asked.Name.Value] {
			continue
		}
		seen[asked.Name.Value] = true
		m := containerd.MappingFor(asked.Name.Value, l.mappings)
		if why := unlockable(asked.Name, m); why != "" {
			l.warn("job %q: image %s cannot be locked: %s", asked.job, asked.Name.Value, why)
		} else if digest == "" || l.lock[image] != "" { // else the pipeline pins it by itself
			l.add(image, m, asked.PullPolicy)
		}
	}
	for i := range pl.Jobs {
		if t := pl.Jobs[i].Trigger; t != nil && t.Kind == plan.TriggerDynamic {
			l.warn("job %q: the images of its child pipeline cannot be locked: they are known only when the job runs", pl.Jobs[i].Name)
		}
	}
	for _, u := range l.updates {
		if !u.matched {
			return usage("--update: no image that can be locked matches %q", u.text)
		}
	}
	return nil
}

func (l *locking) warn(format string, args ...any) {
	warner(l.context.App.ErrWriter)(fmt.Sprintf(format, args...))
}

// add adds an image of the plan, given by its normalised reference.
func (l *locking) add(image string, m containerd.Mapping, policies []string) {
	if slices.Contains(l.images, image) {
		return
	}
	l.images = append(l.images, image)
	wanted := l.lock[image] == ""
	for i := range l.updates {
		if u := &l.updates[i]; u.Matches(image) {
			u.matched, wanted = true, true
		}
	}
	switch {
	case !wanted:
	case l.context.Bool("offline"), m.Kind == containerd.TargetOCI, m.Kind == containerd.TargetDockerArchive,
		slices.Equal(policies, []string{"never"}):
		l.stored = append(l.stored, image)
	default:
		l.served = append(l.served, image)
	}
}

// unlockable says why an image, which m is meant for, has no digest that could be
// locked; empty if it has one.
func unlockable(name plan.Text, m containerd.Mapping) string {
	switch {
	case name.Template:
		return "it is known only when the job runs"
	case !containerd.IsReference(name.Value):
		return "it is no image reference"
	case m.Kind == containerd.TargetHost || m.Kind == containerd.TargetRootfs:
		return "it is mapped to a directory"
	}
	return ""
}

// resolve looks up the images that are wanted, and changes the lock once all are known.
func (l *locking) resolve() error {
	digests := map[string]string{}
	var errs []error
	lookUp := func(ctx context.Context, images []string, find func(ctx context.Context, image string) (string, error)) {
		for _, image := range images {
			digest, err := find(ctx, image)
			if err != nil {
				errs = append(errs, err)
			}
			digests[image] = digest
		}
	}
	if len(l.served) > 0 {
		cfg, err := runtimeConfig(l.context)
		if err != nil {
			return err
		}
		lookUp(l.context.Context, l.served, func(ctx context.Context, image string) (string, error) {
			if m := containerd.MappingFor(image, l.mappings); m.Kind == containerd.TargetReference {
				image = m.Target
			}
			return containerd.ServedDigest(ctx, cfg, image)
		})
	}
	if len(l.stored) > 0 {
		err := withRuntime(l.context, func(ctx context.Context, r *containerd.Runtime) error {
			lookUp(ctx, l.stored, r.StoredDigest)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(errs) > 0 {
		return execError(errors.Join(errs...))
	}
	for _, image := range l.images {
		if digest := digests[image]; digest != "" {
			l.set(image, digest)
		}
	}
	return nil
}

// set puts a digest into the lock, and says so unless it is there.
func (l *locking) set(image, digest string) {
	was := l.lock[image]
	l.lock[image] = digest
	switch was {
	case digest:
	case "":
		fmt.Fprintf(l.context.App.Writer, "%s: %s\n", image, digest)
	default:
		fmt.Fprintf(l.context.App.Writer, "%s: %s -> %s\n", image, was, digest)
	}
}

func (l *locking) report(name string) error {
	_, err := fmt.Fprintf(l.context.App.Writer, "%s: %s of the pipeline, %d looked up now\n",
		name, count(len(l.images), "image"), len(l.served)+len(l.stored))
	return err
}
