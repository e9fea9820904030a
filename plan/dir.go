package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The files of a plan's directory, beside jobs/.
const (
	planFile = "plan.json"
	mapFile  = "plan.map.json"
	// A signature is beside its plan, with a suffix.
	signatureSuffix = ".sig"
)

// Dir is a plan read from its directory, or from files in memory.
type Dir struct {
	Plan *Plan
	// Map is nil where there is none, or where it cannot be read (see Warnings):
	// it only serves messages.
	Map      *SourceMap
	Warnings []string

	path string
	// file is the name of plan.json, and text what was read of it.
	file string
	text []byte
	// files are those of a plan that is in memory, by path; nil for a directory.
	files map[string][]byte
}

// IntegrityError says that a script is not the one that the plan was made with.
type IntegrityError struct {
	// File is the script's path.
	File string
	// Want and Got are SHA-256 digests in hexadecimal; Got is empty where the file
	// could not be read at all.
	Want, Got string
	// Reason says what is wrong; Help, which may be empty, what to do.
	Reason, Help string
}

// Error names the file and both digests.
func (e *IntegrityError) Error() string {
	text := fmt.Sprintf("%s: %s: the plan has sha256 %s", quote(e.File), e.Reason, e.Want)
	if e.Got != "" {
		text += ", the file has " + e.Got
	}
	if e.Help != "" {
		text += "; " + e.Help
	}
	return text
}

// ReadDir reads a plan: path is a plan.json or the directory that holds it. A
// fault of the plan is an error as of [Decode], with its file.
func ReadDir(path string) (*Dir, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	file := path
	if info.IsDir() {
		file = filepath.Join(path, planFile)
	}
	data, err := readLimited(file, MaxPlanSize)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: filepath.Dir(file), file: filepath.Base(file), text: data}
	if d.Plan, d.Warnings, err = Decode(data); err != nil {
		return nil, inFile(file, err)
	}
	if err := d.readMap(); err != nil {
		d.Warnings = append(d.Warnings, err.Error())
	}
	return d, nil
}

// ReadFiles reads a plan whose files are in memory, by path; name is for errors.
func ReadFiles(name string, files map[string][]byte) (*Dir, error) {
	data, ok := files[planFile]
	if !ok {
		return nil, fmt.Errorf("%s: it holds no %s", name, planFile)
	}
	d := &Dir{path: name, file: planFile, text: data, files: files}
	var err error
	if d.Plan, d.Warnings, err = Decode(data); err != nil {
		return nil, inFile(name, err)
	}
	if data, ok := files[mapFile]; ok {
		if err := d.decodeMap(name, data); err != nil {
			d.Warnings = append(d.Warnings, err.Error())
		}
	}
	return d, nil
}

func (d *Dir) readMap() error {
	file := filepath.Join(d.path, mapFile)
	data, err := readLimited(file, MaxPlanSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.decodeMap(file, data)
}

func (d *Dir) decodeMap(file string, data []byte) error {
	m, warnings, err := DecodeMap(data)
	if err != nil {
		return inFile(file, err)
	}
	d.Map, d.Warnings = m, append(d.Warnings, warnings...)
	return nil
}

// inFile adds the file's name to an error of [Decode].
func inFile(file string, err error) error {
	var at *DecodeError
	if errors.As(err, &at) {
		at.File = file
		return err
	}
	return fmt.Errorf("%s: %w", file, err)
}

// readLimited reads a regular file of at most limit bytes; it opens nothing
// else, for a FIFO would block.
func readLimited(file string, limit int) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s: larger than %d MiB", file, limit>>20)
	}
	return data, err
}

// Script returns the bytes of a script of the plan. They are read once and the
// digest is that of the bytes returned, so what is run is what was checked. A
// script that is missing, changed, reached through a symbolic link, or of lines that
// no shell reads is an
// [*IntegrityError].
func (d *Dir) Script(s Script) ([]byte, error) {
	name, ok := strings.CutPrefix(s.Path, jobsDir+"/")
	if !ok || !scriptName(name) {
		return nil, fmt.Errorf("script path %s: want %s/NAME.sh", quote(s.Path), jobsDir)
	}
	bad := &IntegrityError{File: s.Path, Want: s.SHA256}
	data, err := d.readScript(name)
	if err != nil {
		bad.Reason = err.Error()
		return nil, bad
	}
	bad.Got = digest(data)
	converted := hasCRLF(data)
	if bad.Got == s.SHA256 && !converted {
		return data, nil
	}
	bad.Reason = "changed since the plan was made"
	bad.Help = "compile the pipeline again"
	if converted {
		bad.Reason = "has CRLF line endings"
		bad.Help = `keep LF in git: add "* -text" to .gitattributes in the plan's directory, or compile the pipeline again`
	}
	return nil, bad
}

// hasCRLF reports whether the lines of a script end in CR LF, which no shell reads: its
// first line does. Further down a variable's value or a command may hold these two
// characters, as the pipeline has them.
func hasCRLF(script []byte) bool {
	first, _, found := bytes.Cut(script, []byte("\n"))
	return found && bytes.HasSuffix(first, []byte("\r"))
}

// ScriptAt is [Dir.Script] for the script that the plan has at path.
func (d *Dir) ScriptAt(path string) ([]byte, error) {
	for i := range d.Plan.Jobs {
		for _, s := range d.Plan.Jobs[i].Scripts() {
			if s.Path == path {
				return d.Script(s)
			}
		}
	}
	return nil, fmt.Errorf("the plan has no script %s", quote(path))
}

// readScript reads jobs/name. No component below the plan's directory may be a
// symbolic link: each is looked at, opened, and compared with what was opened.
func (d *Dir) readScript(name string) ([]byte, error) {
	if d.files != nil {
		data, ok := d.files[jobsDir+"/"+name]
		switch {
		case !ok:
			return nil, errors.New("the file is missing")
		case len(data) > MaxScriptSize:
			return nil, fmt.Errorf("larger than %d MiB", MaxScriptSize>>20)
		}
		return data, nil
	}
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	before, err := root.Lstat(jobsDir)
	if err != nil {
		return nil, reason(err)
	}
	if !before.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", jobsDir)
	}
	jobs, err := root.OpenRoot(jobsDir)
	if err != nil {
		return nil, reason(err)
	}
	defer jobs.Close()
	if after, err := jobs.Stat("."); err != nil || !os.SameFile(before, after) {
		return nil, fmt.Errorf("%s was replaced while it was read", jobsDir)
	}
	if before, err = jobs.Lstat(name); err != nil {
		return nil, reason(err)
	}
	if !before.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := jobs.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	if after, err := f.Stat(); err != nil || !os.SameFile(before, after) {
		return nil, errors.New("was replaced while it was read")
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxScriptSize+1))
	if err == nil && len(data) > MaxScriptSize {
		err = fmt.Errorf("larger than %d MiB", MaxScriptSize>>20)
	}
	return data, err
}

// reason drops the path of an error, which the caller names.
func reason(err error) error {
	var at *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("the file is missing")
	case errors.As(err, &at):
		return at.Err
	}
	return err
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// scriptName reports whether name can be a script's: [a-z0-9._-]+.sh, as [ScriptPath] makes.
func scriptName(name string) bool {
	return strings.HasSuffix(name, ".sh") && len(name) <= 100 && !unsafeRun.MatchString(name) &&
		name[0] != '.' && name[0] != '-' && !reservedName.MatchString(name)
}
