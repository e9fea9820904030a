package exec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Reuse lets jobs be that would do again what was done: see [Executor.Reuse].
type Reuse struct {
	// StateDir has the runs and the keys.
	StateDir string
	// Project is the directory of the project.
	Project string
	// Options are settings of the run by which jobs may come out differently.
	Options []KeyPart
	// Source returns the parts that stand for the project's files. It is called by
	// many goroutines.
	Source func() ([]KeyPart, error)

	store *KeyStore
}

// sourcesName is the directory below the state directory for [SourceCache].
const sourcesName = "sources"

// SourceCache is where the state directory keeps [SourceScan.Cache] of a project,
// by the absolute path of its directory.
func SourceCache(stateDir, project string) string {
	sum := sha256.Sum256([]byte(project))
	return filepath.Join(stateDir, sourcesName, hex.EncodeToString(sum[:8])+".json")
}

// KeyDecision is what a run with [Reuse] records of a job, as <run>/keys/<job>.json.
type KeyDecision struct {
	Job     string    `json:"job"`
	Project string    `json:"project"`
	Time    time.Time `json:"time"`
	// Key and Parts are empty where Why says that the job has none.
	Key   string    `json:"key,omitempty"`
	Parts []KeyPart `json:"parts,omitempty"`
	// Reused is the run whose result was taken; empty if the job was run.
	Reused string `json:"reused,omitempty"`
	// Why says why the job was run.
	Why string `json:"why,omitempty"`
}

// ReadKeyDecision reads what a run recorded of a job; fs.ErrNotExist: nothing.
func ReadKeyDecision(r *Record, job string) (*KeyDecision, error) {
	root, err := os.OpenRoot(r.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	data, err := readSmall(root, keysName+"/"+JobID(job)+".json", maxKeyFile)
	if err != nil {
		return nil, err
	}
	d := &KeyDecision{}
	return d, json.Unmarshal(data, d)
}

// reuse takes over the result of an earlier run in place of running the job, if
// there is one. That it cannot be told is no failure: the job is run then.
func (w *worker) reuse(l launch, res *JobResult) bool {
	if w.r.Reuse == nil || w.r.RunDir == nil {
		return false
	}
	d := &KeyDecision{Job: w.job.Name, Project: w.r.Reuse.Project, Time: l.at}
	if d.Why = unskippable(w.plan, w.job); d.Why == "" {
		rec, err := w.findReusable(l, d)
		switch {
		case err != nil:
			d.Why = err.Error()
			w.log.Note(!errors.Is(err, errNoDigest), "the job is run: %v", err)
		case rec != nil:
			d.Reused = rec.Since
			*res = rec.Result
			res.Log = w.r.RunDir.LogPath(w.id)
			res.Reused, res.Reason = rec.Since, "unchanged since run "+rec.Since
			w.log.Note(false, "unchanged since run %s", rec.Since)
		default:
			d.Why = "no run has succeeded with this key"
		}
	}
	if err := w.saveDecision(d); err != nil {
		w.log.Note(true, "record the key: %v", err)
	}
	return d.Reused != ""
}

// findReusable makes the job's key, and takes over what a run left that has
// succeeded with it. Without one, and without a reason, it returns nil.
func (w *worker) findReusable(l launch, d *KeyDecision) (*KeyRecord, error) {
	parts, err := w.keyParts(l)
	if err != nil {
		return nil, err
	}
	key, err := keyDigest(append([]KeyPart{{"project", d.Project}, {"job", d.Job}}, parts...))
	if err != nil {
		return nil, err
	}
	d.Key, d.Parts, w.decision = key, parts, d
	rec, err := w.r.Reuse.store.find(key)
	if rec == nil || err != nil {
		return nil, err
	}
	if !validRunID(rec.Run) || rec.Job != w.job.Name || rec.Result.Status != StatusSuccess {
		return nil, errors.New("the record of its key is damaged")
	}
	from := &RunDir{Dir: filepath.Join(w.r.Reuse.StateDir, "runs", rec.Run)}
	done := &finishedJob{result: &rec.Result}
	if w.job.Artifacts != nil {
		if done.outputs, err = VerifyOutputs(w.r.ctx, from.Dir, w.job.Name); err != nil {
			return nil, fmt.Errorf("what run %s left cannot be used: %w", rec.Run, err)
		}
		if done.outputs.SHA256 != rec.Outputs {
			return nil, fmt.Errorf("what run %s left is not what it left then", rec.Run)
		}
	}
	if w.left, err = w.adoptFiles(from, done); err != nil {
		return nil, fmt.Errorf("take over what run %s left: %w", rec.Run, err)
	}
	// From now on this run has it too, and the other may be removed.
	rec.Run = w.r.RunDir.ID
	if err := w.r.Reuse.store.put(rec); err != nil {
		w.log.Note(true, "record the key: %v", err)
	}
	return rec, nil
}

func (w *worker) saveDecision(d *KeyDecision) error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	dir := filepath.Join(w.r.RunDir.Dir, keysName)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.WriteFile(filepath.Join(dir, w.id+".json"), data, 0o600)
}

// recordKey lets later runs find a job that has succeeded.
func (w *worker) recordKey(res *JobResult, outputs *Outputs) error {
	d := w.decision
	if d == nil || d.Reused != "" || res.Status != StatusSuccess {
		return nil
	}
	rec := &KeyRecord{Key: d.Key, Project: d.Project, Job: d.Job, Since: w.r.RunDir.ID, Run: w.r.RunDir.ID, Time: d.Time, Parts: d.Parts, Result: *res}
	if outputs != nil {
		rec.Outputs = outputs.SHA256
	}
	return w.r.Reuse.store.put(rec)
}
