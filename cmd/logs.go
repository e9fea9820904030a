package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
)

func logsCommand() *cli.Command {
	return &cli.Command{
		Name:      "logs",
		Usage:     "print the log of a job",
		ArgsUsage: "[RUN] [JOB]",
		Description: "RUN is an id, the beginning of one from its date on, or last (the default). Without JOB,\n" +
			"the logs of the run are listed. What is printed is what the job printed, byte for byte;\n" +
			"on a terminal without escape sequences other than colours.\n\n" +
			"Example:\n   cic logs unit-tests\n   cic logs -f --timestamps last build",
		Flags: []cli.Flag{
			stateFlag(),
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on printing until the job ends"},
			&cli.BoolFlag{Name: "timestamps", Aliases: []string{"t"}, Usage: "put the time before each line (UTC, to about 10 ms)"},
			&cli.IntFlag{Name: "attempt", Usage: "the log of attempt `N` of a job that was tried again, from 1"},
			&cli.StringFlag{Name: "service", Usage: "the log of the job's service `NAME`"},
		},
		Action: func(c *cli.Context) error {
			r, rest, err := runAndRest(c)
			if err != nil {
				return err
			}
			switch len(rest) {
			case 0:
				return listLogs(c, r)
			case 1:
				return printLog(c, r, rest[0])
			}
			return usage("logs takes RUN and JOB, got %q too", rest[1])
		},
	}
}

func listLogs(c *cli.Context, r *exec.Record) error {
	logs, err := r.Logs()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "JOB\tSTATUS\tSIZE\tFILE")
	for _, l := range logs {
		status := exec.Status("-")
		if j, ok := r.Job(l.Job); ok {
			status = j.Status
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", exec.DisplayName(l.Job), status, exec.ByteSize(l.Size), exec.DisplayName(l.File))
	}
	return w.Flush()
}

func printLog(c *cli.Context, r *exec.Record, job string) error {
	o := exec.LogOptions{Follow: c.Bool("follow"), Timestamps: c.Bool("timestamps")}
	if _, err := jobOf(r, job); err != nil && !o.Follow {
		return err
	}
	var err error
	if o.File, err = logFile(c, r, job); err != nil {
		return err
	}
	o.Terminal, o.Colour = isTerminal(c.App.Writer), colorTerminal(c.App.Writer)
	o.Over = func() (bool, error) { return jobOver(r, job) }
	ctx, _, stop := onSignals(c.Context, io.Discard)
	defer stop()
	err = r.CopyLog(ctx, c.App.Writer, o)
	switch code, stopped := signalCode(ctx, nil, err); {
	case stopped:
		return &exitError{code: code}
	case errors.Is(err, fs.ErrNotExist):
		return &exitError{code: exitUsage, err: fmt.Errorf("job %q has no such log in run %s", job, r.ID), help: "cic logs " + r.ID + " lists the logs"}
	case errors.Is(err, syscall.EPIPE):
		return nil // cic logs build | head
	}
	return err
}

// logFile is the name of the log that the flags choose.
func logFile(c *cli.Context, r *exec.Record, job string) (string, error) {
	attempt, service := c.Int("attempt"), c.String("service")
	switch {
	case c.IsSet("attempt") && attempt < 1:
		return "", usage("--attempt is at least 1, not %d", attempt)
	case service == "":
		return r.LogFile(job, attempt), nil
	case c.IsSet("attempt"):
		return "", usage("--attempt and --service exclude each other")
	}
	return r.ServiceLogFile(job, service), nil
}

// jobOver reports whether nothing more will come of a job.
func jobOver(r *exec.Record, job string) (bool, error) {
	now, err := exec.ReadRun(r.StateDir(), r.ID)
	if err != nil {
		return false, err
	}
	j, known := now.Job(job)
	return now.Status != exec.StatusRunning || known && j.Status != exec.StatusRunning, nil
}
