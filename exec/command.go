package exec

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cic-ci/cic/plan"
)

// Command is the command of a script that ran when the script ended badly: the
// last one that its trace announced.
type Command struct {
	// File is the pipeline's file as named in diagnostics, empty where nobody knows it.
	File string `json:"file,omitempty"`
	// Line is the first line of the command in File, and LastLine the last if it has
	// several; 1-based.
	Line     int `json:"line,omitempty"`
	LastLine int `json:"last_line,omitempty"`
	// Text is the command's first line as the log shows it, without the "$ ".
	Text string `json:"text"`
	// OrLater: the script redirects its output, so that a later command may have run.
	OrLater bool `json:"or_later,omitempty"`
}

// maxCommandText bounds, in runes, what a message shows of a command.
const maxCommandText = 120

// String is the command as the end of a message: " at ci.yml:14: make all".
func (c *Command) String() string {
	text := c.Text
	if runes := []rune(text); len(runes) > maxCommandText {
		text = string(runes[:maxCommandText]) + "..."
	}
	at := " at "
	if c.OrLater {
		at = " at or after "
	}
	switch {
	case c.File == "":
		return at + text
	case c.LastLine > c.Line:
		return fmt.Sprintf("%s%s:%d-%d: %s", at, DisplayName(c.File), c.Line, c.LastLine, text)
	}
	return fmt.Sprintf("%s%s:%d: %s", at, DisplayName(c.File), c.Line, text)
}

// A generated program prints each command before it runs it, by a trace line
//
//	printf '%s\n' '$ make all'
//
// that stands between statements, so that traces come in order, each once. Where
// the program redirects its own output, " || :" follows.
const (
	tracePrefix   = `printf '%s\n' '$ `
	traceTolerant = " || :"
)

// traceText is what a line of a program prints if it is a trace line, less the "$ ".
func traceText(line string) (text string, tolerant, ok bool) {
	rest, ok := strings.CutPrefix(line, tracePrefix)
	if !ok {
		return "", false, false
	}
	rest, tolerant = strings.CutSuffix(rest, traceTolerant)
	rest, ok = strings.CutSuffix(rest, "'")
	return strings.ReplaceAll(rest, `'\''`, "'"), tolerant, ok
}

// progress finds out how far a program has come, by its trace in what it prints.
// The program can print such lines itself, so that this is a hint for people, on
// which nothing else may depend. It is an [io.Writer] that takes everything.
type progress struct {
	traces []trace

	mu   sync.Mutex // the last output may come late
	next int
	tail []byte // of what was printed, shorter than the next trace
}

// trace is one line to be printed, and the command that it announces.
type trace struct {
	printed []byte
	command *Command
}

// newProgress reads a program, whose lines come from where lines of files says;
// without these the commands have no place.
func newProgress(program []byte, lines []plan.MapLine, files []string) *progress {
	f := &progress{}
	var command *Command // the one that the lines belong to
	announced := false
	for n, line := range strings.Split(string(program), "\n") {
		var from *plan.MapLine
		if i, ok := slices.BinarySearchFunc(lines, n+1, func(l plan.MapLine, n int) int { return l.Script - n }); ok {
			from = &lines[i]
		}
		text, tolerant, ok := traceText(line)
		switch {
		case ok && from == nil:
			// The traces of what is one construct stand together, before it.
			if !announced {
				command = &Command{Text: text, OrLater: tolerant}
			}
			announced = true
			f.traces = append(f.traces, trace{[]byte("$ " + text + "\n"), command})
		case command != nil && from != nil:
			announced = false
			if t := strings.TrimSpace(line); t != "" && t[0] != '#' {
				command.extend(files[from.File], from.Line)
			}
		default:
			announced = false
		}
	}
	return f
}

// extend adds a line of a file to the command's place.
func (c *Command) extend(file string, line int) {
	switch {
	case c.File == "":
		c.File, c.Line = file, line
	case c.File == file && line > max(c.Line, c.LastLine):
		c.LastLine = line
	}
}

// Write takes output of the program, however it is cut into pieces.
func (f *progress) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	size := len(p)
	for f.next < len(f.traces) {
		printed := f.traces[f.next].printed
		end := -1
		if n := len(f.tail); n > 0 {
			seam := append(f.tail, p[:min(len(p), len(printed)-1)]...)
			if at := bytes.Index(seam, printed); at >= 0 {
				end = at + len(printed) - n
			}
		}
		if end < 0 {
			if at := bytes.Index(p, printed); at >= 0 {
				end = at + len(printed)
			}
		}
		if end < 0 {
			f.keep(p, len(printed)-1)
			break
		}
		p, f.tail = p[end:], f.tail[:0]
		f.next++
	}
	return size, nil
}

// keep makes the tail the last n bytes of what was printed.
func (f *progress) keep(p []byte, n int) {
	if len(p) >= n {
		f.tail = append(f.tail[:0], p[len(p)-n:]...)
		return
	}
	f.tail = append(f.tail, p...)
	if over := len(f.tail) - n; over > 0 {
		f.tail = append(f.tail[:0], f.tail[over:]...)
	}
}

// command is the one announced last, nil before the first.
func (f *progress) command() *Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == 0 {
		return nil
	}
	return f.traces[f.next-1].command
}

// follow follows a script of the plan.
func (w *worker) follow(s plan.Script) *progress {
	if m := w.sourceMap; m != nil {
		return newProgress(w.scripts[s.Path], m.Scripts[s.Path], m.Files)
	}
	return newProgress(w.scripts[s.Path], nil, nil)
}

// blame says in the result of a script at which command it ended, if that is what
// made the job fail.
func (res *JobResult) blame(c *Command) {
	if c != nil && (res.scriptFailed() || res.Class == ClassTimeout) {
		res.Command = c
		res.Error += c.String()
	}
}
