package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
)

func runsCommand() *cli.Command {
	return &cli.Command{
		Name:      "runs",
		Usage:     "list the runs, newest first",
		ArgsUsage: "[rm RUN...]",
		Description: "A run that has not ended is running, or interrupted if its process died.\n" +
			"RUN is an id, the beginning of one from its date on, or last.\n\n" +
			"Example:\n   cic runs\n   cic runs rm 20260131-14",
		Flags: []cli.Flag{
			stateFlag(),
			&cli.StringFlag{Name: "format", Value: "text", Usage: "text or json"},
		},
		Action: func(c *cli.Context) error {
			switch {
			case !c.Args().Present():
				return listRuns(c)
			case c.Args().First() != "rm":
				return usage("runs takes rm or no argument, got %q", c.Args().First())
			case c.Args().Len() == 1:
				return usage("runs rm takes at least one RUN")
			}
			return removeRuns(c, c.Args().Tail())
		},
	}
}

// runListed is a run in the JSON that cic runs prints.
type runListed struct {
	ID      string      `json:"id"`
	Started time.Time   `json:"started,omitzero"`
	Source  string      `json:"source"`
	Ref     string      `json:"ref"`
	Status  exec.Status `json:"status"`
	// Seconds is how long the run took, or has taken so far.
	Seconds float64 `json:"seconds"`
	Jobs    int     `json:"jobs"`
	OK      int     `json:"ok"`
	Failed  int     `json:"failed"`
	// Size is in bytes.
	Size int64 `json:"size"`
}

func listRuns(c *cli.Context) error {
	state, err := stateDir(c)
	if err != nil {
		return err
	}
	format := c.String("format")
	if format != "text" && format != "json" {
		return usage("--format is text or json, not %q", format)
	}
	ids, err := exec.RunIDs(state)
	if err != nil {
		return err
	}
	listed := []runListed{}
	for _, id := range ids {
		r, err := listRun(state, id)
		if errors.Is(err, exec.ErrNoRun) {
			continue // removed meanwhile
		} else if err != nil {
			warner(c.App.ErrWriter)(fmt.Sprintf("run %s: %v", id, err))
			continue
		}
		listed = append(listed, r)
	}
	if format == "json" {
		enc := json.NewEncoder(c.App.Writer)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(listed)
	}
	return printRuns(c.App.Writer, listed)
}

func listRun(state, id string) (runListed, error) {
	r, err := exec.ReadRun(state, id)
	if err != nil {
		return runListed{}, err
	}
	out := runListed{ID: id, Started: r.Started, Source: r.Source, Ref: r.Ref, Status: r.Status, Jobs: r.Total, Seconds: r.Duration.Seconds()}
	if r.Status == exec.StatusRunning && !r.Started.IsZero() {
		out.Seconds = time.Since(r.Started).Seconds()
	}
	for i := range r.Jobs {
		if j := &r.Jobs[i]; j.Status == exec.StatusSuccess {
			out.OK++
		} else if j.Failed() {
			out.Failed++
		}
	}
	out.Size, err = r.Size()
	return out, err
}

func printRuns(w io.Writer, runs []runListed) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RUN\tSTARTED\tPIPELINE\tREF\tSTATUS\tDURATION\tJOBS\tSIZE")
	for _, r := range runs {
		started := "-"
		if !r.Started.IsZero() {
			started = r.Started.Local().Format("2006-01-02 15:04:05")
		}
		jobs := fmt.Sprintf("%d/%d ok", r.OK, r.Jobs)
		if r.Failed > 0 {
			jobs += fmt.Sprintf(", %d failed", r.Failed)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.1fs\t%s\t%s\n", r.ID, started, exec.DisplayName(r.Source), exec.DisplayName(r.Ref),
			r.Status, r.Seconds, jobs, exec.ByteSize(r.Size))
	}
	return t.Flush()
}

func removeRuns(c *cli.Context, refs []string) error {
	state, err := stateDir(c)
	if err != nil {
		return err
	}
	ids := make([]string, len(refs))
	for i, ref := range refs {
		if ids[i], err = findRun(state, ref); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if err := exec.RemoveRun(state, id); err != nil {
			return fail(exitSystem, err)
		}
		fmt.Fprintln(c.App.Writer, "removed", id)
	}
	return nil
}

// runShape is what an argument must look like to be taken for a run where a job
// can stand too: at least the date of an id.
var runShape = regexp.MustCompile(`^(last|\d{8}(-\d{0,6}(-[0-9a-f]{0,8})?)?)$`)

// findRun is the id that an argument stands for.
func findRun(state, ref string) (string, error) {
	id, err := exec.FindRun(state, ref)
	if err != nil {
		return "", &exitError{code: exitUsage, err: err, help: "cic runs lists the runs"}
	}
	return id, nil
}

// runAndRest splits the arguments [RUN] REST..., and reads the run: the last one
// if the first argument does not look like a run.
func runAndRest(c *cli.Context) (*exec.Record, []string, error) {
	state, err := stateDir(c)
	if err != nil {
		return nil, nil, err
	}
	ref, rest := "last", c.Args().Slice()
	if len(rest) > 0 && runShape.MatchString(rest[0]) {
		ref, rest = rest[0], rest[1:]
	}
	id, err := findRun(state, ref)
	if err != nil {
		return nil, nil, err
	}
	r, err := exec.ReadRun(state, id)
	if err != nil {
		return nil, nil, fail(exitSystem, err)
	}
	return r, rest, nil
}

// jobOf is the job of a run by its name.
func jobOf(r *exec.Record, name string) (*exec.JobResult, error) {
	if j, ok := r.Job(name); ok {
		return j, nil
	}
	return nil, usage("run %s has no job %q so far; its jobs: %s", r.ID, name, jobNames(r))
}

func jobNames(r *exec.Record) string {
	names := ""
	for i := range r.Jobs {
		if i == 10 {
			return names + ", ..."
		}
		if i > 0 {
			names += ", "
		}
		names += exec.DisplayName(r.Jobs[i].Name)
	}
	if names == "" {
		return "none"
	}
	return names
}
