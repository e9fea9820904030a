package cmd

import (
	"fmt"
	"net/http"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/cmd/vendoring"
	"github.com/cic-ci/cic/compile"
	"github.com/cic-ci/cic/compile/resolve"
)

func vendorCommand() *cli.Command {
	return &cli.Command{
		Name:      "vendor",
		Usage:     "fetch copies of the files that a pipeline includes from elsewhere",
		ArgsUsage: "[FILE]",
		Description: "The copies are kept in " + vendoring.Dir + " of the project, pinned by their digests in\n" +
			vendoring.LockFile + ". Commit both: cic compile reads them and never the network.\n" +
			"A file that is listed already is not fetched again; remove it from the list for that.\n\n" +
			"Example:\n   cic vendor --allow-remote-include && git add " + vendoring.Dir,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "allow-remote-include", Usage: "yes, use the network"},
		}, compileFlags()...),
		Action: vendor,
	}
}

func vendor(c *cli.Context) error {
	file, err := oneFile(c)
	if err != nil {
		return err
	}
	if !c.Bool("allow-remote-include") {
		return &exitError{code: exitPolicy, err: fmt.Errorf("fetching files needs the network"), help: "allow it with --allow-remote-include"}
	}
	p, o, closeProject, err := compileOptions(c, file)
	if err != nil {
		return err
	}
	defer closeProject()
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return fail(exitSystem, err)
	}
	defer root.Close()
	lock, err := vendoring.Read(root)
	if err != nil {
		return fail(exitInvalid, err)
	}
	f := &vendoring.Fetcher{
		Project: root, Lock: lock, Server: p.facts["CI_SERVER_URL"], Client: http.DefaultClient,
		Progress: func(msg string) { fmt.Fprintf(c.App.ErrWriter, "cic: %s\n", msg) },
	}
	o.External = nil // their files are not of this project
	o.Vendored = func(loc resolve.Location) (string, []byte, error) { return f.Copy(c.Context, loc) }
	_, diagnostics, sources := compile.Compile(*o)
	if f.Fetched > 0 {
		if err := f.Write(); err != nil {
			return fail(exitSystem, err)
		}
	}
	if err := printDiagnostics(c.App.ErrWriter, diagnostics, o.Source, sources); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %s, %d fetched now\n", vendoring.LockFile, count(len(lock.Files), "file"), f.Fetched)
	return err
}
