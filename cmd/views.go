package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/mask"
	"github.com/cic-ci/cic/plan"
)

// viewFlags say how a run is shown while it runs.
func viewFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "progress", Value: "auto", Usage: "live: show what runs at the bottom of the terminal; plain: lines only; auto: live on a terminal"},
		&cli.BoolFlag{Name: "timestamps", Usage: "put the time of day before each line of a job"},
		&cli.StringFlag{Name: "log-limit", Value: exec.ByteSize(exec.DefaultLogLimit), Usage: "keep and show the first `SIZE` of a job's output; of what comes later a failed job shows its last lines"},
		&cli.StringFlag{Name: "events", Usage: "write each event of the run to `FILE` as a line of JSON (cic schema events); - is standard output, and what people read goes to standard error then"},
	}
}

func checkViewFlags(c *cli.Context) error {
	if v := c.String("progress"); v != "auto" && v != "live" && v != "plain" {
		return usage("--progress is auto, live or plain, not %q", v)
	}
	for _, name := range []string{"report", "junit"} {
		if c.Bool("dry-run") && c.String(name) != "" {
			return usage("--%s tells what ran, and a dry run runs nothing", name)
		}
	}
	return nil
}

// views are all that show a run while it runs.
type views struct {
	text   *exec.TextView
	live   *exec.Live // nil without one
	events *exec.EventWriter
	file   *os.File // of the events, if they go to one
	stderr io.Writer
	// masker is for the reports, which take in files that jobs wrote.
	masker *mask.Masker
	// reports are written when the run is over, which began at started.
	reports reports
	started time.Time
}

// openViews makes the views that the flags ask for. With a live one, the app's
// writers go through it until close.
func openViews(c *cli.Context, masker *mask.Masker) (*views, error) {
	v := &views{stderr: c.App.ErrWriter, masker: masker}
	out := c.App.Writer
	switch path := c.String("events"); path {
	case "":
	case "-":
		v.events, out = exec.NewEventWriter(c.App.Writer), c.App.ErrWriter
	default:
		var err error
		if v.file, err = os.Create(path); err != nil {
			return nil, fail(exitSystem, fmt.Errorf("--events: %w", err))
		}
		v.events = exec.NewEventWriter(v.file)
	}
	var err error
	if v.reports, err = openReports(c); err != nil {
		return nil, err
	}
	colour := colorTerminal(out)
	if terminal := out; wantsLive(c.String("progress"), terminal) {
		v.live = exec.NewLive(terminal, func() (int, int) { return terminalSize(terminal) }, time.Now, colour)
		if isTerminal(c.App.ErrWriter) {
			c.App.ErrWriter = v.live.Wrap(c.App.ErrWriter)
		}
		out = v.live
	}
	v.text = exec.NewTextView(out, colour)
	v.text.Timestamps = c.Bool("timestamps")
	return v, nil
}

// wantsLive reports whether a live view is possible and, unless it is asked
// for, wished: not where a CI system keeps what is printed.
func wantsLive(progress string, out io.Writer) bool {
	columns, _ := terminalSize(out)
	possible := columns > 0 && os.Getenv("TERM") != "dumb"
	return possible && (progress == "live" || progress == "auto" && os.Getenv("CI") == "")
}

// Observe is an [exec.Executor.Observer].
func (v *views) Observe(e exec.Event) {
	if e.Type == exec.EventRunStarted {
		v.started = e.Time
	}
	if v.events != nil {
		v.events.Observe(e)
	}
	if v.live != nil {
		v.live.Observe(e)
	}
	v.text.Observe(e)
}

// asking makes room for the questions that ask puts; nil stays nil.
func (v *views) asking(ask func(context.Context, exec.Question) (bool, error)) func(context.Context, exec.Question) (bool, error) {
	if ask == nil || v.live == nil {
		return ask
	}
	return func(ctx context.Context, q exec.Question) (bool, error) {
		defer v.live.Hold()()
		return ask(ctx, q)
	}
}

// close ends the views, which nothing is shown by any more, and writes the
// reports. What could not be shown is worth a warning, but a reader that has seen
// enough (cic exec plan | head) is no trouble; a report that could not be written
// is an error.
func (v *views) close(c *cli.Context, pl *plan.Plan, dir *exec.RunDir, result *exec.Result) error {
	v.text.Flush()
	errs := []error{v.text.Err()}
	if v.live != nil {
		errs = append(errs, v.live.Close())
	}
	c.App.ErrWriter = v.stderr
	if v.events != nil {
		errs = append(errs, v.events.Err())
	}
	if v.file != nil {
		errs = append(errs, v.file.Close())
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, syscall.EPIPE) {
			warner(c.App.ErrWriter)(fmt.Sprintf("not all of the run could be printed: %v", err))
		}
	}
	return v.reports.save(pl, dir, v.started, result, v.masker)
}
