package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// staging is the prefix of the directory in which a plan is prepared. One that
// is found later was left by a run that was killed.
const staging = ".cic-new-"

// WriteDir writes a plan, its scripts by path, and the source map, which may be
// nil, to directory dir, which it creates. All of it is written
// aside first and then put in place by renames, plan.json last: a reader sees
// the old plan, none, or the new one. A failure leaves the directory as it was.
//
// A directory that is neither empty nor a plan's is refused, and so is one with
// anything foreign in it, which the error names. Scripts of an earlier plan go, and
// so does its signature.
// An error about the plan itself, such as a script that does not match its
// digest, is a fault of the caller.
func WriteDir(dir string, p *Plan, scripts map[string][]byte, m *SourceMap) (err error) {
	files, err := contents(p, scripts, m)
	if err != nil {
		return err
	}
	missing := missingDirs(dir)
	defer func() {
		if err != nil {
			for _, d := range missing {
				_ = os.Remove(d) // only if empty; err is the one to report
			}
		}
	}()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	old, err := ownEntries(dir)
	if err != nil {
		return err
	}
	stage, err := os.MkdirTemp(dir, staging)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	if err := writeFiles(stage, files); err != nil {
		return err
	}
	if err := swap(dir, stage); err != nil {
		return err
	}
	for _, name := range old {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// contents returns the files of a plan's directory by slash-separated path.
func contents(p *Plan, scripts map[string][]byte, m *SourceMap) (map[string][]byte, error) {
	data, err := Encode(p)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{planFile: data}
	for i := range p.Jobs {
		for _, s := range p.Jobs[i].Scripts() {
			body, ok := scripts[s.Path]
			switch got := digest(body); {
			case !ok:
				return nil, fmt.Errorf("script %s of the plan was not given", quote(s.Path))
			case got != s.SHA256:
				return nil, fmt.Errorf("script %s has sha256 %s, the plan says %s", quote(s.Path), got, s.SHA256)
			case len(body) > MaxScriptSize:
				return nil, fmt.Errorf("script %s is larger than %d MiB", quote(s.Path), MaxScriptSize>>20)
			case hasCRLF(body):
				return nil, fmt.Errorf("script %s has CRLF line endings", quote(s.Path))
			}
			files[s.Path] = body
		}
	}
	for _, path := range slices.Sorted(maps.Keys(scripts)) {
		if _, ok := files[path]; !ok {
			return nil, fmt.Errorf("script %s is not of the plan", quote(path))
		}
	}
	if m != nil {
		if files[mapFile], err = EncodeMap(m); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// missingDirs returns dir and those of its parents that do not exist, deepest first.
func missingDirs(dir string) []string {
	var missing []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) {
			return missing
		}
		missing = append(missing, d)
	}
}

// ownEntries refuses a directory that does not belong to cic, and returns what
// killed runs left in it.
func ownEntries(dir string) (leftovers []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	ours := len(entries) == 0
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasPrefix(name, staging) && e.IsDir():
			leftovers = append(leftovers, name)
			ours = true
		case name == planFile && e.Type().IsRegular():
			ours = ours || writtenByCic(filepath.Join(dir, name))
		case (name == mapFile || name == planFile+signatureSuffix) && e.Type().IsRegular():
		case name == jobsDir && e.IsDir():
			if err := ownScripts(filepath.Join(dir, name)); err != nil {
				return nil, err
			}
		default:
			return nil, foreign(dir, name)
		}
	}
	if !ours {
		return nil, foreign(dir, entries[0].Name())
	}
	return leftovers, nil
}

func ownScripts(jobs string) error {
	entries, err := os.ReadDir(jobs)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !scriptName(e.Name()) {
			return foreign(jobs, e.Name())
		}
	}
	return nil
}

func foreign(dir, name string) error {
	return fmt.Errorf("refusing to write a plan to %s: %s is not of a plan; choose an empty directory or one that holds a plan",
		dir, quote(filepath.Join(dir, name)))
}

// writtenByCic reports whether the file begins as every plan does.
func writtenByCic(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	const begin = "{\n  \"format_version\": \""
	head := make([]byte, len(begin))
	n, _ := f.Read(head)
	return string(head[:n]) == begin
}

// writeFiles writes files below dir, which exists. Scripts are not synced one by
// one, which would take longer than to compile them: should a power cut lose
// one, its digest in plan.json, which is synced, tells.
func writeFiles(dir string, files map[string][]byte) error {
	if err := os.Mkdir(filepath.Join(dir, jobsDir), 0o777); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(path)), files[path], path == planFile); err != nil {
			return err
		}
	}
	return errors.Join(syncDir(filepath.Join(dir, jobsDir)), syncDir(dir))
}

func writeFile(path string, data []byte, sync bool) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil || !sync {
		return err
	}
	return f.Sync()
}

// syncDir makes renames in dir durable. Windows has no such thing.
func syncDir(dir string) (err error) {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}

// swap moves the old plan of dir into stage/old and the new one from stage into
// dir. plan.json goes first and comes last. On an error all moves are undone.
func swap(dir, stage string) (err error) {
	old := filepath.Join(stage, "old")
	if err := os.Mkdir(old, 0o777); err != nil {
		return err
	}
	type move struct {
		from, to string
		optional bool
	}
	var moves []move
	for _, name := range []string{planFile, planFile + signatureSuffix, mapFile, jobsDir} {
		moves = append(moves, move{filepath.Join(dir, name), filepath.Join(old, name), true})
	}
	for _, name := range []string{jobsDir, mapFile, planFile} {
		moves = append(moves, move{filepath.Join(stage, name), filepath.Join(dir, name), name == mapFile})
	}
	var done []move
	for _, m := range moves {
		err := os.Rename(m.from, m.to)
		if m.optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			for _, m := range slices.Backward(done) {
				err = errors.Join(err, os.Rename(m.to, m.from))
			}
			return err
		}
		done = append(done, m)
	}
	return nil
}
