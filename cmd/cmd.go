// Package cmd is the command line: one file a subcommand, flags -> one call ->
// print. It is the only place that reads the environment, the working directory,
// the clock and git; everything below takes values.
//
// Read cmd.go for the way in and the exit codes, then the file of a subcommand.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/containerd"
	"github.com/cic-ci/cic/exec/userns"
)

// Exit codes, the same for every subcommand.
const (
	exitOK        = 0
	exitFailed    = 1 // a job failed, or --exit-code found a difference
	exitUsage     = 2
	exitInvalid   = 3 // the pipeline or the plan
	exitSystem    = 4 // containerd, a pull, the disk
	exitPolicy    = 6 // refused by policy
	exitIntegrity = 7 // a script does not match its plan
	exitBlocked   = 8 // a manual job holds up what is left
)

// exitError ends a command with a code. A nil err means that everything has
// been said already.
type exitError struct {
	code int
	err  error
	help string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func fail(code int, err error) error { return &exitError{code: code, err: err} }

func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// Main runs cic with the arguments of the process and returns its exit code. It
// does not return in a process that cic itself started as its containerd.
func Main() int {
	containerd.Main()
	userns.Main()
	boundMemory()
	return run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)
}

// maxGarbage is how much of the memory in use may be garbage before it is collected, in
// per cent (GOGC in the documentation of package runtime).
const maxGarbage = 50

// boundMemory lets a pipeline take less memory than Go's default of 100 per cent would:
// a file may be made to take as much as is allowed. It costs ordinary ones no time that
// can be measured. A limit (GOMEMLIMIT) would: beyond it a pipeline of 20,000 jobs takes
// twice its time.
func boundMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(maxGarbage)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := newApp(stdin, stdout, stderr)
	args, err := flagsFirst(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	return printError(stderr, err)
}

// printError prints an error, if it has not been printed yet, and returns the code.
func printError(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	var e *exitError
	if !errors.As(err, &e) {
		// Whatever the flag parser reports is a mistake in the command line.
		e = &exitError{code: exitUsage, err: err}
	}
	// "stat x: no such file" names a system call that the user did not make.
	if path, ok := e.err.(*fs.PathError); ok {
		e.err = fmt.Errorf("%s: %w", path.Path, path.Err)
	}
	if msg := e.Error(); msg != "" {
		fmt.Fprintf(stderr, "cic: error: %s\n", msg)
	}
	if e.help == "" && e.err != nil && exec.DiskFull(e.err) {
		e.help = "make room on that disk; cic gc removes what past runs have left"
	}
	if e.help != "" {
		fmt.Fprintf(stderr, "cic: help: %s\n", e.help)
	}
	return e.code
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:  "cic",
		Usage: "compile a CI pipeline to a plan, and run the plan",
		Description: "cic compile turns a GitLab-style pipeline into a static plan: plan.json and one shell\n" +
			"script a job. cic exec runs a plan in containers. cic run does both.",
		Version:         version(),
		Reader:          stdin,
		Writer:          stdout,
		ErrWriter:       stderr,
		HideHelpCommand: true,
		// A value may hold a comma: that of --var, and a job's name.
		DisableSliceFlagSeparator: true,
		Commands: []*cli.Command{
			compileCommand(), lintCommand(), execCommand(), runCommand(), showCommand(), diffCommand(), graphCommand(), bundleCommand(),
			explainCommand(), explainKeyCommand(), runsCommand(), logsCommand(), artifactsCommand(), shellCommand(), schemaCommand(), imageCommand(), vendorCommand(), gcCommand(), doctorCommand(), completionCommand(), versionCommand(),
		},
		Action:         unknownCommand,
		OnUsageError:   usageError,
		ExitErrHandler: func(*cli.Context, error) {}, // printError does it
	}
	enterFor(app.Commands)
	settle(app.Commands)
	return app
}

// unknownCommand is what a command does that only has others below it: it prints
// its help, unless it is given something that is none of them.
func unknownCommand(c *cli.Context) error {
	switch {
	case c.Args().Present():
		return usage("unknown command %q; %s --help lists them", c.Args().First(), c.Command.HelpName)
	case c.Command.Name != c.App.Name:
		return cli.ShowSubcommandHelp(c)
	}
	return cli.ShowAppHelp(c)
}

// usageError keeps urfave/cli from printing the whole help at a mistyped flag.
func usageError(c *cli.Context, err error, _ bool) error {
	return &exitError{code: exitUsage, err: err, help: fmt.Sprintf("%s --help lists the flags", c.Command.HelpName)}
}

// settle gives all commands what urfave/cli does not inherit.
func settle(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError, c.HideHelpCommand = usageError, true
		if len(c.Subcommands) > 0 {
			c.Action = unknownCommand
		}
		if action := c.Action; action != nil {
			c.Action = func(c *cli.Context) error { return systemByDefault(action(c)) }
		}
		settle(c.Subcommands)
	}
}

// systemByDefault gives an error of a command that has no exit code yet, such
// as one of writing its output, that of the system.
func systemByDefault(err error) error {
	var e *exitError
	if err == nil || errors.As(err, &e) {
		return err
	}
	return fail(exitSystem, err)
}

// flagsFirst moves the flags of a subcommand before its arguments: urfave/cli
// stops reading flags at the first argument, users do not.
func flagsFirst(app *cli.App, args []string) ([]string, error) {
	if len(args) < 2 {
		return args, nil
	}
	out, rest := args[:1:1], args[1:]
	commands := app.Commands
	var cmd *cli.Command
	for len(rest) > 0 {
		next := find(commands, rest[0])
		if next == nil {
			break
		}
		cmd, commands = next, next.Subcommands
		out, rest = append(out, rest[0]), rest[1:]
	}
	if cmd == nil || len(cmd.Subcommands) > 0 {
		return args, nil
	}
	var flags, positional []string
	given := map[string]string{}
	for i := 0; i < len(rest); i++ {
		arg := rest[i]
		if arg == "--" {
			positional = append(positional, rest[i+1:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			positional = append(positional, arg)
			continue
		}
		flags = append(flags, arg)
		value := ""
		flag := flagOf(cmd, arg)
		if name, after, inline := strings.Cut(arg, "="); inline {
			arg, value = name, after
		} else if !takesValue(flag) {
			continue
		} else if i++; i < len(rest) {
			value = rest[i]
			flags = append(flags, value)
		}
		// No flag has a use for an empty value: it is a variable of the shell that is not set.
		if value == "" {
			return nil, usage("flag %s needs a value", arg)
		}
		if err := once(flag, arg, value, given); err != nil {
			return nil, err
		}
	}
	out = append(out, flags...)
	if len(positional) > 0 {
		out = append(append(out, "--"), positional...)
	}
	return out, nil
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// flagOf is the flag of an argument such as -j or --jobs=3, nil for an unknown one.
func flagOf(cmd *cli.Command, arg string) cli.Flag {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	for _, f := range cmd.Flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

// takesValue reports whether a flag needs a value, unlike a boolean or an unknown one.
func takesValue(f cli.Flag) bool {
	_, boolean := f.(*cli.BoolFlag)
	return f != nil && !boolean
}

// once refuses a second value for a flag that has only one: which of two was
// meant, nobody can tell. given holds the values so far, by the flag's first name.
func once(f cli.Flag, arg, value string, given map[string]string) error {
	if _, list := f.(*cli.StringSliceFlag); list || !takesValue(f) {
		return nil
	}
	name := f.Names()[0]
	if first, again := given[name]; again {
		return usage("flag %s is given twice, as %q and as %q", arg, first, value)
	}
	given[name] = value
	return nil
}
