package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// gateFlags say which jobs wait for what, and what ends a run early.
func gateFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "manual", Usage: "start the manual job `NAME`, or all"},
		&cli.BoolFlag{Name: "no-delay", Usage: "start delayed jobs at once"},
		&cli.DurationFlag{Name: "timeout", DefaultText: "no limit", Usage: "end the run after `DURATION`, such as 90m"},
		&cli.BoolFlag{Name: "auto-cancel", Usage: "ask older runs of the same ref to give way, as workflow:auto_cancel of their plans says"},
	}
}

// manualJobs are the manual jobs that start without a question: those of --manual,
// and those that the command line names to be run.
func manualJobs(c *cli.Context, p *plan.Plan, names []string) ([]string, error) {
	manual, err := exec.MatchManual(p, c.StringSlice("manual"))
	if err != nil {
		return nil, usage("--manual: %v", err)
	}
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.When == "manual" && slices.Contains(names, j.Name) {
			manual = append(manual, j.Name)
		}
	}
	return manual, nil
}

// blocked says how a run goes on that a manual job holds up.
func blocked(dir *exec.RunDir, r *exec.Result) error {
	var names, flags []string
	for i := range r.Jobs {
		if j := &r.Jobs[i]; j.Status == exec.StatusManual && !j.Allowed {
			names = append(names, fmt.Sprintf("%q", j.Name))
			flags = append(flags, "--manual "+shellWord(j.Name))
		}
	}
	e := &exitError{code: exitBlocked, err: fmt.Errorf("the run waits for the manual job %s", strings.Join(names, ", "))}
	if len(names) > 1 {
		e.err = fmt.Errorf("the run waits for the manual jobs %s", strings.Join(names, ", "))
	}
	if dir != nil {
		e.help = fmt.Sprintf("cic exec --resume %s %s", dir.ID, strings.Join(flags, " "))
	}
	return e
}

// shellWord quotes a word for a command line that a person may copy.
func shellWord(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%+", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !safe(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// asker asks on the terminal whether a manual job is to start; nil where there is
// nobody to ask.
func asker(c *cli.Context) func(context.Context, exec.Question) (bool, error) {
	if !interactive(c.App.Reader) || !isTerminal(c.App.ErrWriter) {
		return nil
	}
	// A read cannot be ended, so that one goroutine reads for all questions and is
	// left behind at the end.
	lines := make(chan string)
	start := false
	return func(ctx context.Context, q exec.Question) (bool, error) {
		if !start {
			start = true
			go readLines(c.App.Reader, lines)
		}
		what := "blocks the run"
		if q.Optional {
			what = "optional"
		}
		if q.Confirmation != "" {
			what += "; " + exec.SanitizeTerminal(q.Confirmation, false)
		}
		// A whole line, since jobs that run may print at any moment.
		fmt.Fprintf(c.App.ErrWriter, "cic: start the manual job %q (%s)? [y/N]\n", q.Job, what)
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case line, ok := <-lines:
			if !ok {
				return false, errors.New("the terminal was closed")
			}
			answer := strings.ToLower(strings.TrimSpace(line))
			return answer == "y" || answer == "yes", nil
		}
	}
}

// readLines hands on lines until their end, and then closes the channel.
func readLines(r io.Reader, lines chan<- string) {
	defer close(lines)
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		lines <- scan.Text()
	}
}
