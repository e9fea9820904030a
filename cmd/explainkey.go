package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
)

func explainKeyCommand() *cli.Command {
	return &cli.Command{
		Name:      "explain-key",
		Usage:     "say why a run with --skip-unchanged did or did not run a job",
		ArgsUsage: "[RUN] JOB",
		Description: "It lists what the job's outcome follows from, and what of it differs from the last\n" +
			"time that the job succeeded. RUN is the last one unless given.\n\n" +
			"Example:\n   cic run --skip-unchanged && cic explain-key unit-tests",
		Flags: []cli.Flag{
			stateFlag(),
			&cli.BoolFlag{Name: "parts", Usage: "list all parts of the key"},
		},
		Action: explainKey,
	}
}

func explainKey(c *cli.Context) error {
	r, rest, err := runAndRest(c)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usage("explain-key takes perhaps a RUN, and a JOB")
	}
	job, err := jobOf(r, rest[0])
	if err != nil {
		return err
	}
	d, err := exec.ReadKeyDecision(r, job.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return &exitError{code: exitUsage, err: fmt.Errorf("run %s made no key of job %q", r.ID, job.Name), help: "keys are made by runs with --skip-unchanged"}
	} else if err != nil {
		return fail(exitSystem, err)
	}
	return printDecision(c, r, d)
}

func printDecision(c *cli.Context, r *exec.Record, d *exec.KeyDecision) error {
	out := c.App.Writer
	name := exec.DisplayName(d.Job)
	if d.Reused != "" {
		fmt.Fprintf(out, "%s was not run: unchanged since run %s\n", name, d.Reused)
	} else {
		fmt.Fprintf(out, "%s was run: %s\n", name, exec.DisplayName(d.Why))
	}
	if d.Key == "" {
		return nil
	}
	fmt.Fprintf(out, "key %s, of %s\n", d.Key, count(len(d.Parts), "part"))
	if d.Reused == "" {
		if err := printChanges(out, r, d); err != nil {
			return err
		}
	}
	if !c.Bool("parts") {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range d.Parts {
		fmt.Fprintf(w, "%s\t%s\n", exec.DisplayName(p.Name), exec.DisplayName(p.Value))
	}
	return w.Flush()
}

// printChanges says what differs from the last time that the job succeeded.
func printChanges(out io.Writer, r *exec.Record, d *exec.KeyDecision) error {
	last, err := exec.NearestKey(r.StateDir(), d)
	if err != nil {
		return fail(exitSystem, err)
	}
	if last == nil {
		fmt.Fprintln(out, "no earlier success of this job is recorded")
		return nil
	}
	changes := exec.KeyChanges(last.Parts, d.Parts)
	fmt.Fprintf(out, "since its success in run %s, %s changed:\n", last.Run, count(len(changes), "part"))
	for _, change := range changes {
		fmt.Fprintf(out, "  %s\n    was  %s\n    is   %s\n", exec.DisplayName(change.Name), shownPart(change.Before), shownPart(change.Now))
	}
	return nil
}

// shownPart is a part's value for a person.
func shownPart(value string) string {
	if value == "" {
		return "(none)"
	}
	return exec.DisplayName(value)
}
