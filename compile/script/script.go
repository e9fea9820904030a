// Package script turns the commands of a job into one shell program, tells
// which shell it needs, and quotes text for shells. It is the only package that
// imports mvdan.cc/sh.
//
// A generated program is readable in review, behaves the same in every POSIX
// shell, and can be run by hand in a checkout: sh jobs/build.sh. It must be run
// as a file: it takes its standard input from /dev/null.
//
// All commands form one program: cd, export and functions carry over from one
// to the next, and a loop may span several. Before each stands a trace line that
// prints it; where several commands make up one construct, their trace lines
// stand before the first. As in GitLab, $? of one command is not seen by the
// next, because the trace comes between.
//
// Read script.go for the shape of a program, source.go for positions, group.go
// for constructs that span commands, dialect.go and construct.go for sh against
// bash, reads.go for the variables that a program reads.
package script

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"mvdan.cc/sh/v3/syntax"

	"github.com/cic-ci/cic/compile/shellvar"
)

// Program is what to generate.
type Program struct {
	// Header lines become comments at the top: "job: build", "stage: test".
	Header []string
	// Exports are set and exported before the first command, in order, except
	// those that no portable program can set (see [shellvar.Unsettable]).
	Exports []Export
	// Dotenv: what the executor puts into [DotenvVariable] overrules the exports.
	Dotenv bool
	// Commands are the items of before_script and script, verbatim.
	Commands []string
}

// Export is a variable and its value, a concatenation of parts.
type Export struct {
	Name  string
	Parts []Part
}

// DotenvVariable is the environment variable whose value, a list of shell
// commands that only set variables, is run after the exports of a program that
// gets dotenv reports. It is not there when the program is run by hand.
const DotenvVariable = "CIC_DOTENV"

// Part is literal text, or the name of an environment variable to insert.
type Part struct {
	Text string
	Var  bool
}

// Options of [Generate].
type Options struct {
	// POSIX makes a program that is not POSIX an error.
	POSIX bool
}

// Result is a generated program.
type Result struct {
	Text []byte
	// Shell is "sh" or "bash".
	Shell string
	// Lines maps lines of Text to lines of Commands, ascending.
	Lines []Line
	// Construct is what made the program need bash; nil for sh.
	Construct *Error
	// Doubts are places that a shell reads and then fails on, or takes otherwise than
	// they are meant.
	Doubts []*Error
	// Reads are the variables that the commands read and neither they nor
	// Exports set; sorted, each once. Variables that a shell sets by itself
	// (HOME, PATH, PWD, RANDOM, ...) are left out.
	Reads []string
}

// Line says that line Script (1-based) of the text comes from line Line
// (0-based) of Commands[Command].
type Line struct {
	Script, Command, Line int
}

// Error is a problem at a place in a command. Line and Col are 0-based within
// Commands[Command]; Col counts characters. Command is -1 for a problem of the
// header or the exports.
type Error struct {
	Command, Line, Col int
	Msg                string
	// Help says how to mend it; may be empty.
	Help string
	// Foreign names the shell that the program is for, where that is none of Unix.
	Foreign string
}

// Error returns Msg.
func (e *Error) Error() string { return e.Msg }

// Generate makes the program. An error is an *[Error]. It may be called
// concurrently.
func Generate(p Program, o Options) (*Result, error) { return new(Generator).Generate(p, o) }

// Generator makes programs one after another. What it finds out about commands counts
// for the next program too if that has the same, as the copies of a job do.
type Generator struct{ last *analysis }

// Generate is the function of that name, but not to be called concurrently.
func (g *Generator) Generate(p Program, o Options) (*Result, error) {
	set := make(map[string]bool, len(p.Exports))
	for _, e := range p.Exports {
		set[e.Name] = true
	}
	if g.last == nil || !slices.Equal(g.last.commands, p.Commands) || !maps.Equal(g.last.set, set) {
		g.last = analyse(p.Commands, set)
	}
	src, prog := g.last.src, g.last.program
	if g.last.err != nil {
		return nil, g.last.err
	}
	if o.POSIX && prog.construct != nil {
		return nil, prog.construct
	}
	w := writer{line: 1}
	w.prologue(p.Header, prog.shell)
	if err := w.exports(p.Exports); err != nil {
		return nil, err
	}
	if p.Dotenv {
		w.write("# Variables of dotenv reports beat those above.")
		w.write(`eval "${` + DotenvVariable + `-}"; unset ` + DotenvVariable)
	}
	w.commands(src, g.last.groups, prog.redirects)
	return &Result{
		Text:      w.buf.Bytes(),
		Shell:     prog.shell,
		Lines:     w.lines,
		Construct: prog.construct,
		Doubts:    prog.doubts,
		Reads:     g.last.reads,
	}, nil
}

// analysis is what is known of commands whose program exports a set of variables.
type analysis struct {
	commands []string
	set      map[string]bool
	src      *source
	// program has no tree any more: that takes many times the memory of its text.
	program *program
	groups  []group
	reads   []string
	err     error
}

func analyse(commands []string, set map[string]bool) *analysis {
	a := &analysis{commands: commands, set: set}
	if a.src, a.err = newSource(commands); a.err != nil {
		return a
	}
	if a.program, a.err = a.src.parse(set); a.err != nil {
		return a
	}
	a.groups, a.reads = a.src.groups(a.program.file), reads(a.program.file, set)
	a.program.file = nil
	return a
}

// writer builds the text and counts its lines.
type writer struct {
	buf   bytes.Buffer
	line  int // of what is written next, 1-based
	lines []Line
}

func (w *writer) write(text string) {
	w.buf.WriteString(text)
	w.buf.WriteByte('\n')
	w.line++
	for i := range len(text) {
		if text[i] == '\n' {
			w.line++
		}
	}
}

// prologue sets what GitLab's runner sets (specification section 20.2): errexit,
// pipefail, no standard input. Not every shell has pipefail, and in dash an
// unknown option ends the shell, hence the attempt in a subshell.
func (w *writer) prologue(header []string, shell string) {
	if shell == "bash" {
		w.write("#!/usr/bin/env bash")
	} else {
		w.write("#!/bin/sh")
	}
	for _, h := range header {
		w.write("# " + printable(h))
	}
	w.write("set -e")
	w.write("if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi")
	w.write("exec </dev/null")
}

func (w *writer) exports(exports []Export) error {
	if len(exports) > 0 {
		w.write("")
	}
	for _, e := range exports {
		if !syntax.ValidName(e.Name) {
			return &Error{Command: -1, Msg: fmt.Sprintf("%q is no name of a shell variable", e.Name)}
		}
		if why, ok := shellvar.Unsettable(e.Name); ok {
			w.write("# " + e.Name + " is not set: it " + why)
			continue
		}
		value, err := e.value()
		if err != nil {
			return err
		}
		w.write("export " + e.Name + "=" + value)
	}
	return nil
}

// value returns the shell word for the value of e.
func (e Export) value() (string, error) {
	if len(e.Parts) == 0 {
		return "''", nil
	}
	var word string
	for _, p := range e.Parts {
		if p.Var {
			if !syntax.ValidName(p.Text) {
				return "", &Error{Command: -1, Msg: fmt.Sprintf("variable %q mentions %q, which is no name of a variable", e.Name, p.Text)}
			}
			word += `"${` + p.Text + `-}"`
			continue
		}
		quoted, err := Quote(p.Text)
		if err != nil {
			return "", &Error{Command: -1, Msg: fmt.Sprintf("variable %q: %v", e.Name, err)}
		}
		word += quoted
	}
	return word, nil
}

// commands writes the commands verbatim, with a trace line before the first line
// of each statement that begins a command.
func (w *writer) commands(src *source, groups []group, redirects bool) {
	w.write("")
	next := 0 // group
	for i := range src.commands {
		for n, text := range src.lines(i) {
			if next < len(groups) && groups[next].command == i && groups[next].line == n {
				w.traces(src, groups[next], redirects)
				next++
			}
			w.lines = append(w.lines, Line{Script: w.line, Command: i, Line: n})
			w.write(text)
		}
	}
}

// traces writes the trace lines of a group. A program that redirects its own
// output may have closed it, which must not end the job.
func (w *writer) traces(src *source, g group, redirects bool) {
	suffix := ""
	if redirects {
		suffix = " || :"
	}
	for _, t := range g.traced {
		w.write(`printf '%s\n' ` + singleQuoted("$ "+src.excerpt(t)) + suffix)
	}
}
