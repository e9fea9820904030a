package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

const (
	// minSecret is the fewest characters of a secret, as for GitLab's masked
	// variables: to mask a short one ruins the logs, and hides little.
	minSecret = 8
	// maxSecret is the most bytes of one: what is masked is held in memory.
	maxSecret = 64 << 10
	// maxSecrets is the most bytes of all together.
	maxSecrets = 256 << 10
)

func secretFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "secret", Usage: "give jobs a secret: `NAME` or NAME=env:VAR from the environment, NAME=file:PATH, NAME=- from standard input"},
		&cli.StringSliceFlag{Name: "secret-file", Usage: "give jobs the secrets of `FILE`, one NAME=value a line"},
		&cli.BoolFlag{Name: "allow-short-secrets", Usage: fmt.Sprintf("accept secrets of less than %d characters, which are masked wherever they appear", minSecret)},
	}
}

// secretReader collects the secrets of a command line.
type secretReader struct {
	stdin      io.Reader
	warn       func(string)
	short      bool
	values     map[string]exec.Sensitive
	size       int
	stdinTaken string // the secret that was read from standard input
	// listed are those of --secret, which must be of use; a file may serve several pipelines.
	listed map[string]bool
	// variables are the environment variables that values came from.
	variables []string
}

// readSecrets reads the values that the flags name. It removes those that come
// from the environment from there, so that no program which cic starts inherits
// them. Errors name the secret, never its value.
func readSecrets(c *cli.Context) (*secretReader, error) {
	r := &secretReader{stdin: c.App.Reader, warn: warner(c.App.ErrWriter), short: c.Bool("allow-short-secrets"),
		values: map[string]exec.Sensitive{}, listed: map[string]bool{}}
	for _, path := range c.StringSlice("secret-file") {
		if err := r.file(path); err != nil {
			return nil, err
		}
	}
	for _, arg := range c.StringSlice("secret") {
		if err := r.argument(arg); err != nil {
			return nil, err
		}
	}
	for _, name := range r.variables {
		if err := os.Unsetenv(name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// argument reads the secret of one --secret.
func (r *secretReader) argument(arg string) error {
	name, source, found := strings.Cut(arg, "=")
	if !found {
		source = "env:" + name
	}
	if err := checkSecretName(name); err != nil {
		return err
	}
	r.listed[name] = true
	kind, at, _ := strings.Cut(source, ":")
	switch {
	case source == "-":
		if r.stdinTaken != "" {
			return usage("--secret %s=-: standard input is read once, and %s has it already", name, r.stdinTaken)
		}
		r.stdinTaken = name
		data, err := readSecret(r.stdin)
		if err != nil {
			return usage("secret %s from standard input: %v", name, err)
		}
		return r.add(name, withoutNewline(data))
	case kind == "env" && at != "":
		value, set := os.LookupEnv(at)
		if !set {
			return &exitError{code: exitUsage, err: fmt.Errorf("secret %s: the environment has no variable %s", name, at),
				help: "set it, or give the secret as NAME=file:PATH, or NAME=- for standard input"}
		}
		r.variables = append(r.variables, at)
		return r.add(name, value)
	case kind == "file" && at != "":
		data, err := r.read("secret "+name, at)
		if err != nil {
			return err
		}
		value := withoutNewline(data)
		if strings.Contains(value, "\r\n") {
			r.warn(fmt.Sprintf("secret %s: %s has Windows line ends, which are kept", name, at))
		}
		return r.add(name, value)
	}
	// Whatever stands there may be the secret: it is not repeated.
	return &exitError{code: exitUsage, err: fmt.Errorf("--secret %s=...: a value on the command line can be seen by every user of the machine, and stays in the shell's history", name),
		help: fmt.Sprintf("write %s=env:VARIABLE, %s=file:PATH, or %s=- for standard input; or %s alone for the variable of that name", name, name, name, name)}
}

// file reads a --secret-file: NAME=value a line, the value as it stands; empty
// lines and those that begin with # do not count, nor does a carriage return at
// the end of a line.
func (r *secretReader) file(path string) error {
	data, err := r.read("--secret-file", path)
	if err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found {
			return usage("%s:%d: not NAME=value", path, number)
		}
		if checkSecretName(name) != nil {
			return usage("%s:%d: what stands before the = is no name of a variable", path, number)
		}
		if err := r.add(name, value); err != nil {
			return usage("%s:%d: %v", path, number, err)
		}
	}
	return nil
}

// read reads a file that holds secrets. A link is followed: that is how such files
// are often provided.
func (r *secretReader) read(what, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close() // only read
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && info.IsDir() {
			err = &fs.PathError{Op: "read", Path: path, Err: errors.New("is a directory")}
		}
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			r.warn(fmt.Sprintf("%s: others can read %s (mode %04o): chmod 600 it", what, path, info.Mode().Perm()))
		}
	}
	var data []byte
	if err == nil {
		data, err = readSecret(f)
	}
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = fmt.Errorf("%s: %w", path, pathErr.Err)
		}
		return nil, usage("%s: %v", what, err)
	}
	return data, nil
}

// readSecret reads all of a source, within the limit of all secrets.
func readSecret(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxSecrets+1))
	if err == nil && len(data) > maxSecrets {
		err = fmt.Errorf("longer than %d KiB", maxSecrets>>10)
	}
	return data, err
}

// withoutNewline drops one newline at the end, as programs and editors add it.
func withoutNewline(data []byte) string {
	text, found := strings.CutSuffix(string(data), "\n")
	if found {
		text = strings.TrimSuffix(text, "\r")
	}
	return text
}

// add checks a value and keeps it.
func (r *secretReader) add(name, value string) error {
	if _, twice := r.values[name]; twice {
		return usage("secret %s is given twice", name)
	}
	if err := checkSecret(value, r.short); err != nil {
		return &exitError{code: exitUsage, err: fmt.Errorf("secret %s %w", name, err), help: shortHelp(err)}
	}
	if r.size += len(value); r.size > maxSecrets {
		return usage("the secrets are longer than %d KiB together", maxSecrets>>10)
	}
	r.values[name] = exec.NewSensitive(value)
	return nil
}

var errShortSecret = fmt.Errorf("has less than %d characters, and masking it would spoil the logs", minSecret)

func checkSecret(value string, short bool) error {
	switch {
	case strings.TrimSpace(value) == "":
		return errors.New("is empty")
	case strings.ContainsRune(value, 0):
		return errors.New("holds a NUL byte, which no variable can")
	case len(value) > maxSecret:
		return fmt.Errorf("is longer than %d KiB", maxSecret>>10)
	case utf8.RuneCountInString(strings.TrimSpace(value)) < minSecret && !short:
		return errShortSecret
	}
	return nil
}

func shortHelp(err error) string {
	if errors.Is(err, errShortSecret) {
		return "give a longer one; --allow-short-secrets accepts it all the same"
	}
	return ""
}

// checkSecretName refuses what cannot be a variable. It does not repeat it, since
// it may be a value that came to the wrong place.
func checkSecretName(name string) error {
	for i, c := range []byte(name) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return usage("--secret: what stands before the = is no name of a variable")
		}
	}
	if name == "" {
		return usage("--secret: a name is missing")
	}
	return nil
}

// secrets are what was given for a run of jobs of the plan, all of it.
func secrets(c *cli.Context, p *plan.Plan, scripts func(plan.Script) ([]byte, error)) (*exec.Secrets, error) {
	r, err := readSecrets(c)
	if err != nil {
		return nil, err
	}
	s := exec.NewSecrets(r.values)
	for _, name := range s.Unasked(p) {
		if r.listed[name] {
			return nil, &exitError{code: exitUsage, err: fmt.Errorf("no job asks for the secret %s", name),
				help: unaskedHelp(p, name)}
		}
		r.warn(fmt.Sprintf("no job asks for the secret %s", name))
	}
	written, err := s.Written(p, scripts)
	if err != nil {
		return nil, execError(err)
	}
	for _, name := range written {
		r.warn(fmt.Sprintf("the value of the secret %s stands in the plan too, where it is no secret", name))
	}
	return s, nil
}

// unaskedHelp says how a job asks for a secret.
func unaskedHelp(p *plan.Plan, name string) string {
	for i := range p.Jobs {
		if _, defined := p.Jobs[i].Variables.Get(name); defined {
			return fmt.Sprintf("job %q has a variable of this name: remove it from the pipeline", p.Jobs[i].Name)
		}
	}
	return fmt.Sprintf(`a job asks for it by "secrets" in the pipeline, or by reading $%s in its script; cic show PLAN lists who asks for what`, name)
}
