package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
)

func artifactsCommand() *cli.Command {
	const about = "RUN is an id, the beginning of one from its date on, or last (the default). A PATH is one of\n" +
		"ls, relative to the project; a directory stands for all that is in it.\n\n"
	return &cli.Command{
		Name:  "artifacts",
		Usage: "look at what jobs left",
		Subcommands: []*cli.Command{
			{
				Name: "ls", Usage: "list artifacts", ArgsUsage: "[RUN] JOB [PATH...]",
				Description: about + "Example:\n   cic artifacts ls build",
				Flags:       []cli.Flag{stateFlag()},
				Action:      withArtifacts(listArtifacts),
			},
			{
				Name: "cp", Usage: "copy artifacts to a directory", ArgsUsage: "[RUN] JOB [PATH...]",
				Description: about + "Example:\n   cic artifacts cp --to out build dist",
				Flags: []cli.Flag{
					stateFlag(),
					&cli.StringFlag{Name: "to", Value: ".", Usage: "copy into `DIR`, which is made if it is missing"},
					&cli.BoolFlag{Name: "force", Usage: "overwrite files"},
				},
				Action: withArtifacts(copyArtifacts),
			},
			{
				Name: "cat", Usage: "print artifacts", ArgsUsage: "[RUN] JOB PATH...",
				Description: about + "Example:\n   cic artifacts cat build dist/version.txt",
				Flags:       []cli.Flag{stateFlag()},
				Action:      withArtifacts(printArtifacts),
			},
			{
				Name: "verify", Usage: "hold artifacts against the digests recorded with them", ArgsUsage: "[RUN] [JOB...]",
				Description: "Without JOB, those of all jobs. The exit code is 7 if any is damaged or missing.\n\nExample:\n   cic artifacts verify last",
				Flags:       []cli.Flag{stateFlag()},
				Action:      verifyArtifacts,
			},
		},
	}
}

// withArtifacts opens the artifacts that the arguments name.
func withArtifacts(do func(*cli.Context, *exec.ArtifactSet, []string) error) cli.ActionFunc {
	return func(c *cli.Context) (err error) {
		r, rest, err := runAndRest(c)
		if err != nil {
			return err
		}
		if len(rest) == 0 {
			return usage("%s needs a JOB; those of run %s: %s", c.Command.HelpName, r.ID, jobNames(r))
		}
		j, err := jobOf(r, rest[0])
		if err != nil {
			return err
		}
		set, err := r.OpenArtifacts(j.Name)
		if errors.Is(err, fs.ErrNotExist) {
			return usage("job %q (%s) left no artifacts in run %s", j.Name, j.Status, r.ID)
		} else if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, set.Close()) }()
		err = do(c, set, rest[1:])
		if errors.Is(err, exec.ErrNoArtifact) || errors.Is(err, fs.ErrExist) {
			return &exitError{code: exitUsage, err: err}
		}
		return err
	}
}

func listArtifacts(c *cli.Context, set *exec.ArtifactSet, paths []string) error {
	list, err := set.List(paths)
	if err != nil {
		return err
	}
	for _, a := range list {
		name := exec.DisplayName(a.Path)
		switch {
		case a.Mode.IsDir():
			name += "/"
		case a.Mode&fs.ModeSymlink != 0:
			name += " -> " + exec.DisplayName(a.Link)
		}
		if _, err := fmt.Fprintf(c.App.Writer, "%s %12d %s\n", a.Mode, a.Size, name); err != nil {
			return err
		}
	}
	return nil
}

func copyArtifacts(c *cli.Context, set *exec.ArtifactSet, paths []string) (err error) {
	list, err := set.List(paths)
	if err != nil {
		return err
	}
	to := c.String("to")
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	dir, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return set.CopyTo(dir, list, c.Bool("force"), warner(c.App.ErrWriter))
}

func printArtifacts(c *cli.Context, set *exec.ArtifactSet, paths []string) error {
	if len(paths) == 0 {
		return usage("artifacts cat needs a PATH")
	}
	for _, p := range paths {
		f, err := set.Open(p)
		if err != nil {
			return err
		}
		err = printFile(c.App.Writer, f)
		if err = errors.Join(err, f.Close()); errors.Is(err, syscall.EPIPE) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%q: %w", p, err)
		}
	}
	return nil
}

// printFile prints a file as it is, but on a terminal without what would steer it.
func printFile(w io.Writer, f io.Reader) error {
	if !isTerminal(w) {
		_, err := io.Copy(w, f)
		return err
	}
	t := exec.NewTerminalWriter(w, colorTerminal(w))
	_, err := io.Copy(t, f)
	return errors.Join(err, t.Close())
}

func verifyArtifacts(c *cli.Context) error {
	r, jobs, err := runAndRest(c)
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		for i := range r.Jobs {
			if j := &r.Jobs[i]; j.Artifacts > 0 || len(j.Reports) > 0 {
				jobs = append(jobs, j.Name)
			}
		}
	}
	damaged := 0
	for _, name := range jobs {
		j, err := jobOf(r, name)
		if err != nil {
			return err
		}
		if _, err := exec.VerifyOutputs(c.Context, r.Dir, name); errors.As(err, new(*exec.OutputsError)) {
			damaged++
			fmt.Fprintf(c.App.ErrWriter, "cic: error: %s\n", exec.DisplayName(err.Error()))
			continue
		} else if err != nil {
			return err
		}
		fmt.Fprintf(c.App.Writer, "%s: intact, %s\n", exec.DisplayName(name), count(j.Artifacts, "artifact"))
	}
	if damaged > 0 {
		return fail(exitIntegrity, fmt.Errorf("what %s left is not what was recorded", count(damaged, "job")))
	}
	return nil
}
