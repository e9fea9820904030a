// Package explain tells what the compiler's diagnostics mean: for each code what
// is wrong, an example of it, and the example mended.
//
// The texts are Markdown, one file for each part of the compiler, embedded in the
// program. A test compiles every example, and holds the texts against the codes.
package explain

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Entry explains a code.
type Entry struct {
	Code, Title string
	// Warning: it does not stop the compilation.
	Warning bool
	// See names the part of GitLab's documentation that the rule is from; empty
	// where it is of cic alone.
	See string
	// Text is Markdown, a paragraph a line.
	Text string
	// Wrong yields the code, Right does not. Both are empty where an example would
	// not fit on a page.
	Wrong, Right Example
	// Markdown is the entry as it is written, without its heading.
	Markdown string
}

// Example is a pipeline.
type Example struct {
	// Arguments are those of cic compile that it needs.
	Arguments []string
	// Files are the pipeline file and what it includes.
	Files []File
}

// File is a file of an example.
type File struct{ Name, Text string }

// PipelineFile is the name of an example's pipeline.
const PipelineFile = ".gitlab-ci.yml"

//go:embed *.md
var texts embed.FS

// Entries returns all entries by code. The caller must not change them.
var Entries = sync.OnceValue(func() []Entry {
	entries, err := load()
	if err != nil {
		panic("explain: " + err.Error()) // of a text in the program, which the tests read
	}
	return entries
})

// Lookup returns the entry of a code.
func Lookup(code string) (Entry, bool) {
	entries := Entries()
	i, found := slices.BinarySearchFunc(entries, code, func(e Entry, code string) int { return strings.Compare(e.Code, code) })
	if !found {
		return Entry{}, false
	}
	return entries[i], true
}

func load() ([]Entry, error) {
	files, err := texts.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, f := range files {
		text, err := texts.ReadFile(f.Name())
		if err != nil {
			return nil, err
		}
		for _, section := range strings.Split("\n"+string(text), "\n## ")[1:] {
			e, err := parse(section)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name(), err)
			}
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Code, b.Code) })
	return entries, nil
}

var (
	headForm    = regexp.MustCompile(`^(CIC[0-9]{4}): (.+)\n\n\*(Error|Warning)\.\* GitLab: (.+)\.\n\n`)
	exampleForm = regexp.MustCompile("^### (Wrong|Right)(?:, with `(.+)`)?\n\n")
	fileForm    = regexp.MustCompile("^```yaml ?(.*)\n(?s:(.*?\n))```\n\n?")
)

// parse reads an entry: heading, severity and source, text, and perhaps examples.
func parse(section string) (Entry, error) {
	head := headForm.FindStringSubmatch(section)
	if head == nil {
		title, _, _ := strings.Cut(section, "\n")
		return Entry{}, fmt.Errorf("%q has no code, title, severity or source", title)
	}
	e := Entry{Code: head[1], Title: head[2], Warning: head[3] == "Warning", See: head[4]}
	if e.See == "none" {
		e.See = ""
	}
	_, e.Markdown, _ = strings.Cut(section, "\n\n")
	rest := section[len(head[0]):]
	text, _, _ := strings.Cut(rest, "\n### ")
	e.Text = strings.TrimSpace(text)
	rest = strings.TrimPrefix(rest[len(text):], "\n")
	for rest != "" {
		m := exampleForm.FindStringSubmatch(rest)
		if m == nil {
			return Entry{}, fmt.Errorf("%s: what follows the text is no example: %.40q", e.Code, rest)
		}
		var example Example
		example.Arguments = strings.Fields(m[2])
		if example.Files, rest = files(rest[len(m[0]):]); len(example.Files) == 0 {
			return Entry{}, fmt.Errorf("%s: an example is empty", e.Code)
		}
		if m[1] == "Wrong" {
			e.Wrong = example
		} else {
			e.Right = example
		}
	}
	return e, nil
}

// files reads the files at the beginning of text, and returns what is behind them.
func files(text string) (list []File, rest string) {
	for {
		m := fileForm.FindStringSubmatch(text)
		if m == nil {
			return list, text
		}
		name := m[1]
		if name == "" {
			name = PipelineFile
		}
		list = append(list, File{name, m[2]})
		text = text[len(m[0]):]
	}
}
