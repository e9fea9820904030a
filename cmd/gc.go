package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/cachestore"
	"github.com/cic-ci/cic/exec/containerd"
)

func gcCommand() *cli.Command {
	return &cli.Command{
		Name:  "gc",
		Usage: "remove what is no longer of use from the state directory",
		Description: "Runs that ended long ago, artifacts past their expire_in, those of attempts that\n" +
			"others followed, what runs that died have left, records of --skip-unchanged and caches\n" +
			"that were not used for long, and caches not used for longest beyond a size. A run that\n" +
			"lives, and the caches that it uses, are left alone; every run keeps the caches within\n" +
			"the size by itself.\n\n" +
			"Example:\n   cic gc --dry-run\n   cic gc --older-than 1w --max-size 5GiB",
		Flags: append([]cli.Flag{
			cacheSizeFlag("max-size", "keep at most `SIZE` of caches; 0 removes all"),
			&cli.StringFlag{Name: "older-than", Value: "30d", Usage: "remove runs that ended, and caches last used, longer than `DURATION` ago: 36h, 30d, 2w"},
			&cli.BoolFlag{Name: "images", Usage: "remove all images, too, and what was read for --image"},
			&cli.BoolFlag{Name: "dry-run", Usage: "remove nothing; print what would be removed"},
		}, runtimeFlags()...),
		Action: collectGarbage,
	}
}

func collectGarbage(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	age, err := parseAge(c.String("older-than"))
	if err != nil {
		return usage("--older-than: %v", err)
	}
	size, err := sizeFlag(c, "max-size")
	if err != nil {
		return err
	}
	state, err := stateDir(c)
	if err != nil {
		return err
	}
	g := &garbage{c: c, out: c.App.Writer, dryRun: c.Bool("dry-run"), removed: "removed"}
	if g.dryRun {
		g.removed = "would remove"
	}
	// What dead runs have left first: only then can they be removed.
	errs := []error{g.deadRuns(state)}
	now := time.Now()
	x, err := exec.Expire(state, exec.Expiry{Now: now, Runs: age, DryRun: g.dryRun})
	errs = append(errs, err)
	if x.Runs > 0 {
		g.say("%s %s, %s", g.removed, count(x.Runs, "run"), exec.ByteSize(x.RunBytes))
	}
	if x.Artifacts > 0 {
		g.say("%s the artifacts of %s, %s", g.removed, count(x.Artifacts, "job"), exec.ByteSize(x.ArtifactBytes))
	}
	if x.Attempts > 0 {
		g.say("%s the artifacts of %s that others followed, %s", g.removed, count(x.Attempts, "attempt"), exec.ByteSize(x.AttemptBytes))
	}
	if x.Records > 0 {
		g.say("%s %s of unchanged jobs, %s", g.removed, count(x.Records, "record"), exec.ByteSize(x.RecordBytes))
	}
	errs = append(errs, g.caches(cachestore.Limits{Size: size, Unused: now.Add(-age), DryRun: g.dryRun}))
	if c.Bool("images") {
		errs = append(errs, g.images(x.Living))
	}
	if err := errors.Join(errs...); err != nil {
		return execError(err)
	}
	if !g.said {
		g.say("nothing to remove")
	}
	return nil
}

// garbage is one collection and what it prints.
type garbage struct {
	c       *cli.Context
	out     io.Writer
	dryRun  bool
	removed string // the verb
	said    bool
}

func (g *garbage) say(format string, args ...any) {
	g.said = true
	fmt.Fprintf(g.out, format+"\n", args...)
}

// deadRuns clears away what runs that died have left: for that, containerd is needed.
func (g *garbage) deadRuns(state string) error {
	dead, err := exec.DeadRuns(state)
	errs := []error{err}
	for _, d := range dead {
		errs = append(errs, d.Close()) // stays dead, to be found again by sweep
	}
	if err := errors.Join(errs...); err != nil || len(dead) == 0 {
		return err
	}
	if !g.dryRun {
		err := withRuntime(g.c, func(ctx context.Context, r *containerd.Runtime) error { return sweep(ctx, g.c, r) })
		if err != nil {
			return err
		}
	}
	g.say("%s what was left of %s", g.removed, count(len(dead), "dead run"))
	return nil
}

func (g *garbage) caches(limits cachestore.Limits) error {
	store, err := openCacheStore(g.c)
	if err != nil {
		return err
	}
	t, err := store.Trim(limits)
	if t.Garbage > 0 {
		g.say("%s %s of caches, of no use any more", g.removed, count(t.Garbage, "generation"))
	}
	if t.Removed > 0 {
		g.say("%s %s, %s; left: %d, %s", g.removed, count(t.Removed, "cache"), exec.ByteSize(t.Freed), t.Left, exec.ByteSize(t.Size))
	}
	return err
}

// images removes all images, unless a run may be about to use one.
func (g *garbage) images(living int) error {
	if living > 0 {
		return fmt.Errorf("no image is removed as long as runs use them: not over yet is %s", count(living, "run"))
	}
	return withRuntime(g.c, func(ctx context.Context, r *containerd.Runtime) error {
		images, err := r.ListImages(ctx)
		if err != nil {
			return err
		}
		for _, image := range images {
			if !g.dryRun {
				if err := r.RemoveImage(ctx, image.Name); err != nil {
					return err
				}
			}
			what := "image " + image.Name
			if image.Mapped {
				what = "an image that --image had read from a file"
			}
			g.say("%s %s, %s", g.removed, what, exec.ByteSize(image.Size))
		}
		return nil
	})
}

// parseAge reads a duration as Go writes it, or a number of days or weeks: 90m,
// 36h, 30d, 2w.
func parseAge(s string) (time.Duration, error) {
	for _, unit := range []struct {
		suffix string
		length time.Duration
	}{{"d", 24 * time.Hour}, {"w", 7 * 24 * time.Hour}} {
		number, ok := strings.CutSuffix(s, unit.suffix)
		if n, err := strconv.ParseUint(number, 10, 16); ok && err == nil {
			return time.Duration(n) * unit.length, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration, such as 36h or 30d", s)
	}
	return d, nil
}
