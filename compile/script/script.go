// Package script turns the commands of a job into one shell program, tells
// which shell it needs, and quotes text for shells. It is the only package that
// imports mvdan.cc/sh.
//
// A generated program is readable in review, behaves the same in every POSIX
// shell, and can be run by hand in a checkout.
package script

// Program is what to generate.
type Program struct {
	// Header lines become comments at the top: "job: build", "stage: test".
	Header []string
	// Exports are set and exported before the first command, in order.
	Exports []Export
	// Commands are the items of before_script and script, verbatim.
	Commands []string
}

// Export is a variable and its value, a concatenation of parts.
type Export struct {
	Name  string
	Parts []Part
}

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
	// Reads are the variables that the commands read and neither they nor
	// Exports set; sorted, each once.
	Reads []string
}

// Line says that line Script (1-based) of the text comes from line Line
// (0-based) of Commands[Command].
type Line struct {
	Script, Command, Line int
}

// Error is a problem at a place in a command. Line and Col are 0-based within
// Commands[Command]; Col counts characters.
type Error struct {
	Command, Line, Col int
	Msg                string
}

// Error returns Msg.
func (e *Error) Error() string { return e.Msg }

// Generate makes the program. An error is an *[Error].
func Generate(p Program, o Options) (*Result, error) { panic("unimplemented") }

// Quote returns s as a single-quoted POSIX shell word. It fails for text that
// no shell word can hold: one with a NUL byte.
func Quote(s string) (string, error) { panic("unimplemented") }
