package exec

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/cic-ci/cic/exec/workspace"
)

// Outputs is the record of what a job left: every file of its artifacts and
// reports with its digest. It is written once the job is over, as
// <run>/artifacts/<job>@outputs.json; without it, what is there does not count
// as whole.
type Outputs struct {
	Job string `json:"job"`
	// Artifacts are sorted by path; nil: the job left none.
	Artifacts []workspace.File `json:"artifacts,omitempty"`
	// Reports are those of each kind, sorted by path.
	Reports map[string][]workspace.File `json:"reports,omitempty"`
	// SHA256 is the digest of the JSON of all this without this field, in hexadecimal.
	SHA256 string `json:"sha256"`
}

// outputsSuffix follows a job's id in the name of its record.
const outputsSuffix = logMark + "outputs.json"

// OutputsError says that what a job left is not what was recorded.
type OutputsError struct {
	Job    string
	Reason string
}

// Error names the job.
func (e *OutputsError) Error() string { return fmt.Sprintf("job %q: %s", e.Job, e.Reason) }

// recordOutputs digests what the job left and makes the record durable.
func (r *RunDir) recordOutputs(ctx context.Context, job string) (*Outputs, error) {
	o, err := scanOutputs(ctx, r.Dir, job, &r.digested)
	if err != nil {
		return nil, err
	}
	return o, r.writeOutputs(o)
}

// recordOutputs records what a finished job left, beside the other work: the digest
// of a gigabyte takes a second. Where keys are made it is waited for, as those of
// the jobs after this one are made of it. nil: there is nothing to record.
func (w *worker) recordOutputs(res *JobResult) <-chan error {
	finished := res.Status == StatusSuccess || res.Status == StatusFailed
	if w.r.RunDir == nil || !finished || res.Reused != "" {
		return nil
	}
	recorded := make(chan error, 1)
	if w.r.Reuse != nil {
		recorded <- guard(func() error { return w.recordWithKey(res) })
	} else if w.job.Artifacts != nil {
		go func() {
			recorded <- guard(func() error {
				_, err := w.outputs()
				return err
			})
		}()
	} else {
		return nil
	}
	return recorded
}

func (w *worker) recordWithKey(res *JobResult) error {
	o, err := w.outputs()
	if err != nil {
		return err
	}
	if o != nil {
		w.left.digest = o.SHA256
	}
	if err := w.recordKey(res, o); err != nil {
		return fmt.Errorf("record the key: %w", err)
	}
	return nil
}

// outputs digests and records what the job left, nil if it declares nothing. A run
// that is told to end does not wait for it long: without the record the job is run
// again when the run is gone on with.
func (w *worker) outputs() (*Outputs, error) {
	if w.job.Artifacts == nil {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(w.r.hard)
	defer cancel()
	go w.r.endSoonAfter(w.r.ctx, ctx, cancel)
	o, err := w.r.RunDir.recordOutputs(ctx, w.job.Name)
	if ctx.Err() != nil {
		return nil, errors.New("what the job left is not recorded: the run was told to end")
	}
	if err != nil {
		return nil, fmt.Errorf("record what the job left: %w", err)
	}
	return o, nil
}

// writeOutputs makes a record durable.
func (r *RunDir) writeOutputs(o *Outputs) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(r.Dir, artifactsName, JobID(o.Job)+outputsSuffix), data)
}

// maxOutputs bounds the size of a record that is read, in bytes: a million files.
const maxOutputs = 512 << 20

// VerifyOutputs reads the record of what a job of the run in dir left and holds it
// against what is there. The error is an [*OutputsError] where that is missing,
// incomplete or different.
func VerifyOutputs(ctx context.Context, dir, job string) (*Outputs, error) {
	root, err := os.OpenRoot(filepath.Join(dir, artifactsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &OutputsError{job, "the run keeps no artifacts any more"}
	} else if err != nil {
		return nil, err
	}
	defer root.Close()
	data, err := readSmall(root, JobID(job)+outputsSuffix, maxOutputs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &OutputsError{job, "the run died before it could record what the job left"}
	} else if err != nil {
		return nil, err
	}
	var want Outputs
	if err := json.Unmarshal(data, &want); err != nil {
		return nil, &OutputsError{job, "the record of what it left is damaged"}
	}
	digest, err := want.digest()
	if err != nil {
		return nil, err
	}
	if want.Job != job || digest != want.SHA256 {
		return nil, &OutputsError{job, "the record of what it left is damaged"}
	}
	have, err := scanOutputs(ctx, dir, job, nil)
	if err != nil {
		return nil, err
	}
	if have.SHA256 != want.SHA256 {
		return nil, &OutputsError{job, want.difference(have)}
	}
	return &want, nil
}

// difference says what of o is not in other any more; they differ.
func (o *Outputs) difference(other *Outputs) string {
	if d := filesDifference(o.Artifacts, other.Artifacts); d != "" {
		return "artifact " + d
	}
	for _, kind := range slices.Sorted(maps.Keys(o.Reports)) {
		if d := filesDifference(o.Reports[kind], other.Reports[kind]); d != "" {
			return kind + " report " + d
		}
	}
	return "there is more than it left"
}

func filesDifference(want, have []workspace.File) string {
	byPath := make(map[string]workspace.File, len(have))
	for _, f := range have {
		byPath[f.Path] = f
	}
	for _, f := range want {
		switch now, ok := byPath[f.Path]; {
		case !ok:
			return fmt.Sprintf("%q is missing", f.Path)
		case now.SHA256 != f.SHA256:
			return fmt.Sprintf("%q has sha256 %s, and was recorded with %s", f.Path, now.SHA256, f.SHA256)
		case now != f:
			return fmt.Sprintf("%q has changed", f.Path)
		}
	}
	if len(have) > len(want) {
		return "files are there that the job did not leave"
	}
	return ""
}

// digest is that of everything but the digest itself.
func (o *Outputs) digest() (string, error) {
	bare := *o
	bare.SHA256 = ""
	data, err := json.Marshal(&bare)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// scanOutputs reads all that a job of the run in dir left, but for the content of
// files that is known.
func scanOutputs(ctx context.Context, dir, job string, known *digests) (*Outputs, error) {
	o := &Outputs{Job: job}
	var err error
	if o.Artifacts, err = scanFiles(ctx, filepath.Join(dir, artifactsName, JobID(job)), known); err != nil {
		return nil, err
	}
	reports := filepath.Join(dir, reportsName, JobID(job))
	kinds, err := os.ReadDir(reports)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, kind := range kinds {
		files, err := scanFiles(ctx, filepath.Join(reports, kind.Name()), known)
		if err != nil {
			return nil, err
		}
		if len(files) > 0 {
			if o.Reports == nil {
				o.Reports = make(map[string][]workspace.File, len(kinds))
			}
			o.Reports[kind.Name()] = files
		}
	}
	o.SHA256, err = o.digest()
	return o, err
}

// scanFiles lists a directory with digests, nil if it does not exist.
func scanFiles(ctx context.Context, dir string, known *digests) ([]workspace.File, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	set := &ArtifactSet{root}
	defer set.Close()
	list, err := set.List(nil)
	if err != nil {
		return nil, err
	}
	files := make([]workspace.File, 0, len(list))
	for _, a := range list {
		f := workspace.File{Path: a.Path, Mode: uint32(a.Mode.Perm()), Link: a.Link}
		switch {
		case a.Mode.IsRegular():
			f.Type, f.Size = "file", a.Size
			if f.SHA256, err = set.sha256(ctx, a.Path, known); err != nil {
				return nil, err
			}
		case a.Mode.IsDir():
			f.Type = "dir"
		case a.Mode&fs.ModeSymlink != 0:
			f.Type = "symlink"
		default:
			return nil, fmt.Errorf("%q is neither a file, a directory nor a link", a.Path)
		}
		files = append(files, f)
	}
	return files, nil
}

func (s *ArtifactSet) sha256(ctx context.Context, name string, known *digests) (string, error) {
	f, err := s.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	return known.of(inodeStamp(info), untilDone{ctx, f})
}

// digests are those of files that were read. A job that passes on what it got has
// links to the same files among its artifacts: in a chain of jobs most of them.
type digests struct {
	mu sync.Mutex
	// byStamp has a function a file that reads it once, for all who ask.
	byStamp map[string]func() (string, error)
}

// of returns the digest of a file, which is read unless one with this stamp was.
func (d *digests) of(stamp string, f io.Reader) (string, error) {
	read := func() (string, error) {
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return "", err
		}
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	if d == nil || stamp == "" {
		return read()
	}
	d.mu.Lock()
	once := d.byStamp[stamp]
	if once == nil {
		once = sync.OnceValues(read)
		if d.byStamp == nil {
			d.byStamp = make(map[string]func() (string, error))
		}
		d.byStamp[stamp] = once
	}
	d.mu.Unlock()
	return once()
}

// untilDone reads until its context ends, which is then the error.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.Reader.Read(p)
}

// writeDurably puts a file in place whole or not at all, whatever happens.
func writeDurably(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
