package exec

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// ReportsDir holds the report files of a job of one kind, such as junit, by their
// paths in the project.
func (r *RunDir) ReportsDir(id, kind string) string {
	return filepath.Join(r.Dir, reportsName, id, plan.FileName(kind))
}

// collectReports takes the files of artifacts:reports, whatever the outcome of
// the job and artifacts:when. That there are none is worth a warning, no more.
// Source: specification section 24.
func (w *worker) collectReports(res *JobResult) error {
	if len(w.job.Artifacts.Reports) == 0 || w.r.hard.Err() != nil {
		return nil
	}
	// An earlier attempt may have left some.
	if err := workspace.Remove(filepath.Join(w.r.RunDir.Dir, reportsName, w.id)); err != nil {
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(w.job.Artifacts.Reports)) {
		paths, err := expandAll(w.job.Artifacts.Reports[kind], w.vars)
		if err != nil {
			return fmt.Errorf("artifacts:reports:%s: %w", kind, err)
		}
		dst := w.r.RunDir.ReportsDir(w.id, kind)
		if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
			return err
		}
		m, err := w.ws.Collect(workspace.Patterns{Paths: paths}, dst)
		if w.tooSparse(res, "artifacts:reports:"+kind, err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("artifacts:reports:%s: %w", kind, err)
		}
		for _, warning := range m.Warnings {
			w.log.Note(true, "artifacts:reports:%s: %s", kind, warning)
		}
		var files []string
		for _, f := range m.Files {
			if f.Type == "file" {
				files = append(files, f.Path)
			}
		}
		if len(files) > 0 {
			if res.Reports == nil {
				res.Reports = map[string]int{}
			}
			res.Reports[kind] = len(files)
			w.log.Note(false, "saved %d %s report(s), %s", len(files), kind, ByteSize(m.Size))
		}
		if kind == "dotenv" {
			w.takeDotenv(res, dst, files)
		}
	}
	return nil
}
