package cmd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/plan"
)

func diffCommand() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "say what differs between two plans",
		ArgsUsage: "OLD NEW",
		Description: "OLD and NEW are each a plan.json, the directory that holds it, or REV:PATH for the\n" +
			"state of such a directory in git.\n\n" +
			"Example:\n   cic diff HEAD:plan plan",
		Flags: []cli.Flag{
			projectFlag(),
			&cli.StringFlag{Name: "format", Value: "text", Usage: "text or json"},
			&cli.BoolFlag{Name: "exit-code", Usage: "exit with 1 if the plans differ"},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Len() != 2 {
				return usage("diff takes OLD and NEW, got %s", count(c.Args().Len(), "argument"))
			}
			format := c.String("format")
			if format != "text" && format != "json" {
				return usage("--format is text or json, not %q", format)
			}
			before, err := openRevision(c, c.Args().Get(0))
			if err != nil {
				return err
			}
			after, err := openRevision(c, c.Args().Get(1))
			if err != nil {
				return err
			}
			d, err := plan.Compare(before.plan, after.plan, func(old bool, path string) ([]byte, error) {
				if old {
					return before.script(path)
				}
				return after.script(path)
			})
			if err != nil {
				return planError(err)
			}
			if err := writeDiff(c, d, format); err != nil {
				return err
			}
			if c.Bool("exit-code") && !d.Empty() {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
}

func writeDiff(c *cli.Context, d *plan.Diff, format string) error {
	if format == "text" {
		return d.WriteText(c.App.Writer, func(name string, before, after []byte) []byte {
			return diff.Diff("a/"+name, before, "b/"+name, after)
		})
	}
	enc := json.NewEncoder(c.App.Writer)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}

// revision is a plan in a directory or in git.
type revision struct {
	plan   *plan.Plan
	script func(path string) ([]byte, error)
}

func openRevision(c *cli.Context, arg string) (*revision, error) {
	rev, file, inGit := strings.Cut(arg, ":")
	if _, err := os.Stat(arg); err == nil || !inGit || rev == "" {
		d, err := readPlan(c, arg)
		if err != nil {
			return nil, err
		}
		return &revision{d.Plan, func(path string) ([]byte, error) { return d.ScriptAt(path) }}, nil
	}
	p, err := openProject(c.Context, c.String("project"))
	if err != nil {
		return nil, fail(exitInvalid, err)
	}
	show := func(name string) ([]byte, error) {
		out, err := p.run(c.Context, "show", "--no-textconv", "--no-ext-diff", "--end-of-options", rev+":"+name)
		if err != nil {
			return nil, err
		}
		return []byte(out), nil
	}
	dir := path.Clean(file)
	if path.Base(dir) == "plan.json" {
		dir = path.Dir(dir)
	}
	data, err := show(path.Join(dir, "plan.json"))
	if err != nil {
		return nil, fail(exitInvalid, err)
	}
	decoded, warnings, err := plan.Decode(data)
	if err != nil {
		return nil, fail(exitInvalid, fmt.Errorf("%s: %w", arg, err))
	}
	for _, w := range warnings {
		fmt.Fprintf(c.App.ErrWriter, "cic: warning: %s: %s\n", arg, w)
	}
	return &revision{decoded, func(name string) ([]byte, error) {
		text, err := show(path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		return text, checkScript(decoded, name, text)
	}}, nil
}

// checkScript makes sure that a script is the plan's, as [plan.Dir.Script] does
// for files: what a reviewer reads must be what would run.
func checkScript(p *plan.Plan, name string, text []byte) error {
	sum := sha256.Sum256(text)
	got := hex.EncodeToString(sum[:])
	for i := range p.Jobs {
		for _, s := range p.Jobs[i].Scripts() {
			if s.Path == name && s.SHA256 != got {
				return &plan.IntegrityError{File: name, Want: s.SHA256, Got: got,
					Reason: "changed since the plan was made", Help: "compile the pipeline again"}
			}
		}
	}
	return nil
}
