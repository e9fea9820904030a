package cmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/mask"
	"github.com/cic-ci/cic/exec/report"
	"github.com/cic-ci/cic/plan"
)

// reportFlags say what is written of a run when it is over.
func reportFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "report", Usage: "write the run to `FILE` as one HTML page: timeline, graph, logs"},
		&cli.StringFlag{Name: "junit", Usage: "write the run to `FILE` as JUnit's XML"},
	}
}

// reports are the files to write. They are made before the run, so that a wrong
// path is found then.
type reports []*reportFile

type reportFile struct {
	flag  string
	file  *os.File
	write func(io.Writer, *report.Run) error
}

func openReports(c *cli.Context) (reports, error) {
	var list reports
	for _, r := range []reportFile{{flag: "report", write: report.HTML}, {flag: "junit", write: report.JUnit}} {
		path := c.String(r.flag)
		if path == "" {
			continue
		}
		var err error
		if r.file, err = os.Create(path); err != nil {
			return nil, errors.Join(fail(exitSystem, fmt.Errorf("--%s: %w", r.flag, err)), list.close())
		}
		list = append(list, &r)
	}
	return list, nil
}

// save writes the files of a run that is over; result is nil for one that has
// not begun, of which there is nothing to write.
func (l reports) save(pl *plan.Plan, dir *exec.RunDir, started time.Time, result *exec.Result, masker *mask.Masker) error {
	var errs []error
	if result != nil {
		run := reported(pl, dir, started, result, masker)
		for _, r := range l {
			w := bufio.NewWriter(r.file)
			if err := errors.Join(r.write(w, run), w.Flush()); err != nil {
				errs = append(errs, fmt.Errorf("--%s: %w", r.flag, err))
			}
		}
	}
	return errors.Join(append(errs, l.close())...)
}

func (l reports) close() error {
	var errs []error
	for _, r := range l {
		errs = append(errs, r.file.Close())
	}
	return errors.Join(errs...)
}

// reported is a run as the reports take it.
func reported(pl *plan.Plan, dir *exec.RunDir, started time.Time, result *exec.Result, masker *mask.Masker) *report.Run {
	run := &report.Run{Plan: pl, Result: result, Started: started}
	if dir == nil {
		return run
	}
	run.ID = dir.ID
	run.Log = func(job string) (io.ReadSeekCloser, error) { return os.Open(dir.LogPath(exec.JobID(job))) }
	run.Tests = func(job string) (files []io.ReadCloser, err error) {
		root, err := os.OpenRoot(dir.ReportsDir(exec.JobID(job), "junit"))
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, root.Close()) }()
		// Names that are not UTF-8 are passed over: io/fs has no paths for them.
		err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || !fs.ValidPath(path) {
				return err
			}
			f, err := root.Open(filepath.FromSlash(path))
			if err == nil {
				files = append(files, maskedFile{masker.Reader(f), f})
			}
			return err
		})
		return files, err
	}
	return run
}

// maskedFile is a file without secrets.
type maskedFile struct {
	io.Reader
	io.Closer
}
