package exec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/plan"
)

// GitLab's limits on the dotenv reports of a job (specification 18.5).
const (
	maxDotenvSize = 5 << 10 // bytes
	maxDotenvVars = 20
)

// maxDotenvText bounds what a job gets of reports, in bytes: Linux starts no
// program with a longer string in its environment (MAX_ARG_STRLEN).
const maxDotenvText = 120 << 10

// variable is a name and a value, as a dotenv report sets it.
type variable struct{ name, value string }

// parseDotenv reads a dotenv file: NAME=VALUE lines, spaces around both dropped.
// There are no quotes, comments, blank lines or values of several lines. What is
// not of this form, and a name that reserved reports, is an error that names the
// line. Source: specification 18.5.
func parseDotenv(data []byte, reserved func(name string) (why string)) ([]variable, error) {
	if len(data) > maxDotenvSize {
		return nil, fmt.Errorf("is larger than %d KiB", maxDotenvSize>>10)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return nil, fmt.Errorf("holds a NUL byte at offset %d", i)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("is not UTF-8")
	}
	var vars []variable
	for n, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case len(data) == 0:
			return nil, nil
		case !ok:
			return nil, fmt.Errorf("line %d is not of the form NAME=VALUE", n+1)
		case !plan.IsIdentifier(name):
			return nil, fmt.Errorf("line %d: %q cannot be a variable's name: only letters, digits and _ can be in it", n+1, name)
		}
		if why := reserved(name); why != "" {
			return nil, fmt.Errorf("line %d: %s is reserved: it %s", n+1, name, why)
		}
		vars = set(vars, variable{name, value})
	}
	if len(vars) > maxDotenvVars {
		return nil, fmt.Errorf("sets %d variables, and %d are allowed", len(vars), maxDotenvVars)
	}
	return vars, nil
}

// set adds a variable, or replaces one of its name.
func set(vars []variable, v variable) []variable {
	if i := slices.IndexFunc(vars, func(old variable) bool { return old.name == v.name }); i >= 0 {
		vars[i] = v
		return vars
	}
	return append(vars, v)
}

// shellNames are variables that a script cannot set in every shell, or that
// change how the shell or every program starts. A report must not set them, as
// it comes from another job than the one that it would change.
var shellNames = []string{
	"BASHOPTS", "BASHPID", "BASH_ALIASES", "BASH_ARGC", "BASH_ARGV", "BASH_CMDS", "BASH_COMMAND", "BASH_COMPAT",
	"BASH_ENV", "BASH_LINENO", "BASH_SOURCE", "BASH_SUBSHELL", "BASH_VERSINFO", "BASH_XTRACEFD", "CDPATH", "DIRSTACK",
	"ENV", "EPOCHREALTIME", "EPOCHSECONDS", "EUID", "FUNCNAME", "GLOBIGNORE", "GROUPS", "HISTCMD", "IFS", "LINENO",
	"OLDPWD", "OPTIND", "PATH", "PIPESTATUS", "POSIXLY_CORRECT", "PPID", "PS4", "PWD", "RANDOM", "SECONDS", "SHELLOPTS",
	"SRANDOM", "UID", "_",
}

func shellName(name string) bool {
	return slices.Contains(shellNames, name) || strings.HasPrefix(name, "LD_")
}

// reserved says why a report cannot set a variable; empty if it can.
func (w *worker) reserved(name string) string {
	switch {
	case shellName(name):
		return "changes how the shell, or every program, starts"
	case name == dotenvName, predefined(w.plan, w.job, name):
		return "is predefined"
	}
	return ""
}

// predefined reports whether a variable has a meaning of its own for every job.
func predefined(p *plan.Plan, j *plan.Job, name string) bool {
	_, ofPlan := p.Predefined(j).Get(name)
	_, ofJob := plan.JobVariables(j).Get(name)
	return ofPlan || ofJob || plan.RuntimeVariable(name) || name == "CI_NODE_INDEX"
}

// readDotenv reads the dotenv files that were collected from the job into dir.
// An error names the file and the line.
func (w *worker) readDotenv(dir string, files []string) ([]variable, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var all []variable
	for _, name := range files {
		data, err := readSmall(root, name, maxDotenvSize+1)
		if err != nil {
			return nil, err
		}
		vars, err := parseDotenv(data, w.reserved)
		if err != nil {
			return nil, fmt.Errorf("%q %w", name, err)
		}
		for _, v := range vars {
			all = set(all, v)
		}
	}
	if len(all) > maxDotenvVars {
		return nil, fmt.Errorf("%d files set %d variables, and %d are allowed", len(files), len(all), maxDotenvVars)
	}
	return all, nil
}

// takeDotenv reads the variables for the jobs after this one. A report that cannot
// be read fails the job: those would run without its variables.
func (w *worker) takeDotenv(res *JobResult, dir string, files []string) {
	vars, err := w.readDotenv(dir, files)
	if err == nil {
		w.left.dotenv = vars
		return
	}
	if res.Status != StatusSuccess {
		w.log.Note(true, "artifacts:reports:dotenv: %v", err)
		return
	}
	res.Status, res.Class = StatusFailed, ClassScript
	res.Error = fmt.Sprintf("artifacts:reports:dotenv: %v", err)
}

// readSmall reads the first bytes of a regular file.
func readSmall(root *os.Root, name string, limit int64) ([]byte, error) {
	if info, err := root.Lstat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// dotenvName is the variable with what overrules the exports of a job's script;
// package script knows it by that name.
const dotenvName = "CIC_DOTENV"

// inherit gives the job the variables of earlier jobs' dotenv reports: a later one
// wins. They beat those of the pipeline's file, also where these mention each
// other, but not those given on the command line (specification 18.2). It is
// called before anything is made of the job.
func (w *worker) inherit(reports [][]variable) {
	if len(w.job.DotenvFrom) == 0 && !reportsDotenv(w.job) {
		return
	}
	w.reports = reports
	r := w.resolver(reports)
	names := make([]string, 0, len(r.dotenv)+len(w.job.Variables))
	for name := range r.dotenv {
		names = append(names, name)
	}
	for _, v := range w.job.Variables {
		names = append(names, v.Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var text strings.Builder
	resolved := make(map[string]string, len(names))
	for _, name := range names {
		if shellName(name) {
			continue // as the script sees it, if at all
		}
		value, _ := r.value(name)
		resolved[name] = value
		own, _ := w.job.Variables.Get(name)
		if _, set := r.dotenv[name]; set || own.Template {
			text.WriteString("export " + name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'\n")
		}
	}
	if text.Len() > maxDotenvText {
		r.err = fmt.Errorf("the variables of dotenv reports, and what mentions them, take more than %d KiB", maxDotenvText>>10)
	}
	if r.err != nil {
		w.inheritErr = &Error{Class: ClassConfig, Err: r.err}
		return
	}
	for name, value := range resolved {
		if _, taken := w.vars[name]; !taken {
			w.vars[name] = value
		}
	}
	if len(w.job.DotenvFrom) > 0 { // else the script does not look at it
		w.exports = text.String()
	}
}

// reportsDotenv reports whether the job leaves variables for others.
func reportsDotenv(j *plan.Job) bool {
	return j.Artifacts != nil && len(j.Artifacts.Reports["dotenv"]) > 0
}

// maxResolved bounds the work of a resolver, in bytes: without a bound, values that
// mention each other often would take all memory.
const maxResolved = 16 << 20

// resolver finds the values of a job's variables, each once.
type resolver struct {
	plan, job, predefined plan.Variables
	dotenv, runtime       map[string]string

	done    map[string]string
	pending map[string]bool
	size    int
	err     error
}

func (w *worker) resolver(reports [][]variable) *resolver {
	r := &resolver{
		plan: w.plan.Predefined(w.job), job: w.job.Variables, predefined: plan.JobVariables(w.job),
		dotenv: map[string]string{}, runtime: w.vars,
		done: map[string]string{}, pending: map[string]bool{},
	}
	given := w.plan.Given(w.job)
	for _, vars := range reports {
		for _, v := range vars {
			if !slices.Contains(given, v.name) {
				r.dotenv[v.name] = v.value
			}
		}
	}
	return r
}

// value is a variable's. One that mentions itself, alone or in a circle, is empty
// there.
func (r *resolver) value(name string) (string, bool) {
	if v, ok := r.done[name]; ok {
		return v, true
	}
	if r.pending[name] || r.err != nil {
		return "", false
	}
	r.pending[name] = true
	defer delete(r.pending, name)
	if v, ok := r.dotenv[name]; ok {
		// As GitLab's runner: $NAME and ${NAME} are references, $$ is a dollar sign.
		return r.keep(name, os.Expand(v, func(ref string) string {
			if ref == "$" {
				return "$"
			}
			value, _ := r.mention(ref)
			return value
		}))
	}
	for _, vars := range []plan.Variables{r.job, r.predefined, r.plan} {
		if t, ok := vars.Get(name); ok {
			v, err := t.Expand(r.mention)
			if err != nil {
				r.err = fmt.Errorf("variable %s: %w", name, err)
			}
			return r.keep(name, v)
		}
	}
	v, ok := r.runtime[name]
	return v, ok
}

// mention is value for a reference within another value.
func (r *resolver) mention(name string) (string, bool) {
	v, ok := r.value(name)
	if r.size += len(v); r.size > maxResolved {
		r.err = fmt.Errorf("variable %s is mentioned too often", name)
		return "", false
	}
	return v, ok
}

func (r *resolver) keep(name, value string) (string, bool) {
	if len(value) > maxDotenvText {
		r.err = fmt.Errorf("variable %s takes more than %d KiB", name, maxDotenvText>>10)
		return "", false
	}
	r.done[name] = value
	return value, true
}
