package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/script"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// program is one script to generate and, once generated, its outcome.
type program struct {
	job      int
	after    bool
	path     string
	commands []pipeline.Command
	result   *script.Result
	err      error
}

// generate makes the scripts, on all processors: this is most of the work of a
// compilation. The outcome does not depend on who made which.
func generate(l *lowered, env *environment) (*Result, syntax.ErrorList) {
	programs := l.programs()
	if errs := env.checkScripts(programs, l); errs.HasErrors() {
		return nil, errs
	}
	var next int
	var mutex sync.Mutex
	take := func() *program {
		mutex.Lock()
		defer mutex.Unlock()
		if next == len(programs) {
			return nil
		}
		next++
		return &programs[next-1]
	}
	var workers sync.WaitGroup
	for i := range env.generators {
		workers.Go(func() {
			for p := take(); p != nil; p = take() {
				p.result, p.err = env.generators[i].Generate(l.source(p), script.Options{POSIX: env.options.POSIX})
			}
		})
	}
	workers.Wait()
	return l.collect(programs, env)
}

func (l *lowered) programs() []program {
	programs := make([]program, 0, len(l.nodes))
	var last *pipeline.Job // of which commands are
	var commands []pipeline.Command
	for i, n := range l.nodes {
		j := n.job
		if j.Trigger != nil {
			continue
		}
		if last == nil || !sameCommands(last, j) {
			last, commands = j, slices.Concat(j.BeforeScript, j.Script, stepCommands(j.Steps))
		}
		programs = append(programs, program{job: i, path: plan.ScriptPath(j.Name), commands: commands})
		if len(j.AfterScript) > 0 {
			programs = append(programs, program{
				job: i, after: true, path: plan.AfterScriptPath(j.Name), commands: j.AfterScript,
			})
		}
	}
	return programs
}

// sameCommands reports whether two jobs are copies that share their commands.
func sameCommands(a, b *pipeline.Job) bool {
	same := func(a, b []pipeline.Command) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }
	return same(a.BeforeScript, b.BeforeScript) && same(a.Script, b.Script) && len(a.Steps)+len(b.Steps) == 0
}

const (
	maxScript = 512 << 10 // bytes of the commands of one script
	// maxScripts bounds the commands of all scripts of a pipeline, maxChildScripts those
	// of all its child pipelines: in bytes, and costOfLine more for each line. A long
	// script that parallel or trigger jobs multiply is larger than any file.
	maxScripts      = 64 << 20
	maxChildScripts = 32 << 20
	costOfLine      = 64
)

// checkScripts counts what scripts are to be made, before any is.
func (e *environment) checkScripts(programs []program, l *lowered) syntax.ErrorList {
	total, limit, whose := new(int), maxScripts, "all jobs"
	if e.nested() {
		total, limit, whose = &e.budget.scripts, maxChildScripts, "all child pipelines"
	}
	var diags diagnostics
	fault := func(p *program, format string, args ...any) {
		job := l.nodes[p.job].job
		diags.report(&syntax.Error{Code: codeScriptSize, Pos: job.Pos, Len: utf8.RuneCountInString(job.Base), Job: job.Name,
			Msg: fmt.Sprintf("job %q: ", job.Base) + fmt.Sprintf(format, args...)})
	}
	for i := range programs {
		p := &programs[i]
		size, lines := 0, len(p.commands)
		for _, c := range p.commands {
			size += len(c.Text)
			lines += strings.Count(c.Text, "\n")
		}
		if size > maxScript {
			fault(p, "its script is longer than %d KiB", maxScript>>10)
		}
		if *total += size + costOfLine*lines; *total > limit {
			fault(p, "with its script, those of %s together are longer than %d MiB", whose, limit>>20)
			break
		}
	}
	return diags.list
}

// source is what a program is generated from.
func (l *lowered) source(p *program) script.Program {
	job := &l.plan.Jobs[p.job]
	out := script.Program{
		Header: []string{"job: " + job.Name, "stage: " + job.Stage, "image: " + job.Image.Name.Value},
	}
	if p.after {
		out.Header[0] += " (after_script)"
	}
	if l.pipeline != "" {
		out.Header = append(out.Header, "pipeline: "+l.pipeline)
	}
	for _, c := range p.commands {
		out.Commands = append(out.Commands, c.Text)
	}
	known := func(name string) (plan.Text, bool) {
		if t, ok := l.predefined[p.job].Get(name); ok {
			return t, true
		}
		return l.plan.Variables.Get(name)
	}
	exports := merge(mentioned(out.Commands, known), job.Variables)
	if out.Dotenv = len(job.DotenvFrom) > 0; out.Dotenv {
		exports = byMention(exports)
	}
	for _, v := range exports {
		out.Exports = append(out.Exports, script.Export{Name: v.Name, Parts: parts(v.Value)})
	}
	return out
}

// mentioned returns the predefined variables that the commands mention by name,
// so that a script run by hand has them too.
func mentioned(commands []string, known func(name string) (plan.Text, bool)) plan.Variables {
	var vs plan.Variables
	seen := map[string]bool{}
	for _, text := range commands {
		for text != "" {
			name := identifierPrefix(text)
			if name == "" {
				text = text[1:]
				continue
			}
			text = text[len(name):]
			// Predefined names all begin so; the rest needs no look-up.
			if !strings.HasPrefix(name, "CI") && !strings.HasPrefix(name, "GITLAB_") || seen[name] {
				continue
			}
			seen[name] = true
			if t, ok := known(name); ok {
				vs = append(vs, plan.Variable{Name: name, Value: t})
			}
		}
	}
	sortVariables(vs)
	return vs
}

func sortVariables(vs plan.Variables) {
	sort.Slice(vs, func(i, k int) bool { return vs[i].Name < vs[k].Name })
}

// parts splits a value for an export. Values are made by textBuilder, whose
// templates are well-formed.
func parts(t plan.Text) []script.Part {
	segments, err := t.Segments()
	if err != nil {
		panic("compile: " + err.Error())
	}
	out := make([]script.Part, len(segments))
	for i, s := range segments {
		out[i] = script.Part{Text: s.Text, Var: s.Var}
	}
	return out
}

// collect puts the generated programs into the plan, in its order.
func (l *lowered) collect(programs []program, env *environment) (*Result, syntax.ErrorList) {
	var diags diagnostics
	res := &Result{
		Plan:    l.plan,
		Scripts: make(map[string][]byte, len(programs)),
		Map:     &plan.SourceMap{FormatVersion: plan.FormatVersion, Scripts: make(map[string][]plan.MapLine, len(programs))},
	}
	files := map[string]int{}
	for i := range programs {
		p := &programs[i]
		job := &l.plan.Jobs[p.job]
		if p.err != nil {
			diag := scriptError(p, job, p.err, env)
			if env.options.POSIX && diag.Code == codeScript && l.runsInBash(p) {
				diag.Code, diag.Help = codeNotPOSIX, "compile without --posix to run it in bash"
			}
			diags.report(diag)
			continue
		}
		if p.result.Construct != nil {
			diags.report(bashWarning(p, job, env))
		}
		for _, doubt := range p.result.Doubts {
			diag := scriptError(p, job, doubt, env)
			diag.Severity, diag.Code, diag.Help = syntax.SeverityWarning, codeDoubtfulShell, doubt.Help
			diags.report(diag)
		}
		sum := sha256.Sum256(p.result.Text)
		s := plan.Script{Path: p.path, SHA256: hex.EncodeToString(sum[:]), Shell: p.result.Shell}
		if p.after {
			job.AfterScript = &s
		} else {
			job.Script = s
		}
		job.Reads = mergeReads(job, p.result.Reads)
		res.Scripts[p.path] = p.result.Text
		res.Map.Scripts[p.path] = mapLines(p, res.Map, files)
	}
	return res, diags.list
}

// mergeReads adds the names that a program of the job reads, run-time ones and
// secrets aside; sorted.
func mergeReads(job *plan.Job, more []string) []string {
	reads := job.Reads
	for _, name := range more {
		secret := slices.ContainsFunc(job.Secrets, func(s plan.Secret) bool { return s.Name == name })
		if !secret && !plan.RuntimeVariable(name) {
			reads = append(reads, name)
		}
	}
	slices.Sort(reads)
	return slices.Compact(reads)
}

// mapLines maps a program's lines to the pipeline's; files numbers m.Files.
func mapLines(p *program, m *plan.SourceMap, files map[string]int) []plan.MapLine {
	lines := make([]plan.MapLine, 0, len(p.result.Lines))
	for _, line := range p.result.Lines {
		pos := p.commands[line.Command].Node.LinePos(line.Line)
		file, ok := files[pos.File]
		if !ok {
			file = len(m.Files)
			files[pos.File] = file
			m.Files = append(m.Files, pos.File)
		}
		lines = append(lines, plan.MapLine{Script: line.Script, File: file, Line: pos.Line})
	}
	return lines
}

// commandPos returns the place of a fault in a program's commands.
func commandPos(p *program, at *script.Error, env *environment) syntax.Pos {
	c := p.commands[at.Command]
	lines := strings.Split(c.Text, "\n")
	pos := c.Node.LinePos(at.Line)
	if at.Line >= len(lines) {
		return pos
	}
	return env.sources.within(pos, lines[at.Line], at.Col)
}

func scriptError(p *program, job *plan.Job, err error, env *environment) *syntax.Error {
	diag := &syntax.Error{Code: codeScript, Job: job.Name, Len: 1, Msg: fmt.Sprintf("job %q: %v", job.Name, err)}
	if len(p.commands) > 0 {
		diag.Pos = p.commands[0].Node.Pos
	}
	var at *script.Error
	if errors.As(err, &at) {
		diag.Pos = commandPos(p, at, env)
		if at.Foreign != "" {
			diag.Code, diag.Help = codeForeignShell, at.Help
		}
	}
	return diag
}

// runsInBash reports whether a program that is not POSIX is one at all.
func (l *lowered) runsInBash(p *program) bool {
	_, err := script.Generate(l.source(p), script.Options{})
	return err == nil
}

func bashWarning(p *program, job *plan.Job, env *environment) *syntax.Error {
	return &syntax.Error{
		Severity: syntax.SeverityWarning, Code: codeNeedsBash, Job: job.Name,
		Pos: commandPos(p, p.result.Construct, env), Len: 1,
		Msg: fmt.Sprintf("job %q needs bash: %s", job.Name, p.result.Construct.Msg),
	}
}

// recordForChildren records the options that change nothing but how the dynamic child
// pipelines of a plan are compiled, if it has any.
func recordForChildren(p *plan.Plan, o Options) {
	options := map[string]string{}
	if o.StubIncludes {
		options["stub-includes"] = "true"
	}
	if len(o.Warnings) > 0 {
		var rules []string
		for _, r := range o.Warnings { // in their order, of which the last counts
			rules = append(rules, r.String())
		}
		options["warnings"] = strings.Join(rules, " ")
	}
	dynamic := func(j plan.Job) bool { return j.Trigger != nil && j.Trigger.Kind == plan.TriggerDynamic }
	if len(options) == 0 || !slices.ContainsFunc(p.Jobs, dynamic) {
		return
	}
	maps.Copy(options, p.Context.Options)
	p.Context.Options = options
}

// finish checks the plan as the executor will, and records the warnings in it.
func finish(r *Result, found syntax.ErrorList, o Options) (*Result, syntax.ErrorList) {
	recordForChildren(r.Plan, o)
	for _, d := range found {
		r.Plan.Warnings = append(r.Plan.Warnings, plan.Warning{Code: d.Code, Job: d.Job, Message: d.Msg, Ignored: string(d.Ignored)})
	}
	if err := r.Plan.Validate(); err != nil {
		return nil, syntax.ErrorList{{Code: codePlan, Msg: "the plan would not be valid: " + err.Error()}}
	}
	return r, nil
}
