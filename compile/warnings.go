package compile

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/syntax"
)

// WarningRule says what becomes of warnings.
type WarningRule struct {
	// Code is that of the warnings concerned; empty: all without a rule of their own.
	Code string
	// Action is "error", "ignore" or "warn".
	Action string
}

// WarningForms are the forms of a [WarningRule] on the command line.
const WarningForms = "error, no-CODE, CODE=error, CODE=ignore or CODE=warn"

var warningCode = regexp.MustCompile(`^CIC[0-9]{4}$`)

// ParseWarningRule reads one of [WarningForms].
func ParseWarningRule(text string) (WarningRule, error) {
	if text == "error" {
		return WarningRule{Action: text}, nil
	}
	r := WarningRule{Action: "ignore"}
	code, ok := strings.CutPrefix(text, "no-")
	if !ok {
		code, r.Action, ok = strings.Cut(text, "=")
	}
	if !ok || !slices.Contains([]string{"error", "ignore", "warn"}, r.Action) || !warningCode.MatchString(code) {
		return WarningRule{}, fmt.Errorf("%q is none of %s", text, WarningForms)
	}
	r.Code = code
	return r, nil
}

// String is the rule as [ParseWarningRule] reads it.
func (r WarningRule) String() string {
	if r.Code == "" {
		return r.Action
	}
	return r.Code + "=" + r.Action
}

// actionFor is what the rules say of a code; a later rule beats an earlier, and one
// for the code beats one for all. One for all is not about [CodeNoJobs], which finds
// no fault with the file.
func actionFor(rules []WarningRule, code string) string {
	action := "warn"
	own := false
	for _, r := range rules {
		if r.Code == code || r.Code == "" && !own && code != CodeNoJobs {
			action, own = r.Action, r.Code != ""
		}
	}
	return action
}

// judge applies what comments and options say of warnings: they are ignored, or
// made errors. A comment beats an option, as it is meant for one place. Errors can
// be neither ignored nor excused.
func judge(found syntax.ErrorList, rules []WarningRule, sources map[string][]byte) syntax.ErrorList {
	comments := ignoreComments(sources)
	for _, e := range found {
		if e.Severity == syntax.SeverityWarning && comments.ignore(e) {
			e.Ignored = syntax.IgnoredByComment
		}
	}
	if !found.HasErrors() { // else warnings may be missing
		found = append(found, comments.idle()...)
	}
	for _, e := range found {
		if e.Severity != syntax.SeverityWarning || e.Ignored != "" {
			continue
		}
		switch actionFor(rules, e.Code) {
		case "error":
			e.Severity = syntax.SeverityError
		case "ignore":
			e.Ignored = syntax.IgnoredByOption
		}
	}
	return gather(found)
}

// gather leaves the first of warnings that are true of many jobs or images for one
// reason, and notes how many it stands for. A list of them is no news: bash is the
// shell of most pipelines, and their images are below one registry. Those that are
// ignored stay as they are, and where bash is an error each job is told of.
func gather(found syntax.ErrorList) syntax.ErrorList {
	type reason struct{ code, msg string }
	first := map[reason]*syntax.Error{}
	more := map[*syntax.Error]int{}
	found = slices.DeleteFunc(found, func(e *syntax.Error) bool {
		if e.Severity != syntax.SeverityWarning || e.Ignored != "" {
			return false
		}
		r := reason{code: e.Code}
		switch e.Code {
		case codeUndefinedImage, codeUnlockedImage:
			r.msg = e.Msg
		case codeNeedsBash:
		default:
			return false
		}
		f, again := first[r]
		if again {
			more[f]++
		} else {
			first[r] = e
		}
		return again
	})
	for _, e := range found {
		n := more[e]
		switch {
		case n == 0:
		case e.Code == codeNeedsBash:
			e.Notes = append(e.Notes, syntax.Note{Msg: fmt.Sprintf("so do scripts in %s", counted(n, "other place"))})
		case e.Code == codeUnlockedImage:
			e.Notes = append(e.Notes, syntax.Note{Msg: fmt.Sprintf("it is used in %s, too", counted(n, "other place"))})
		default:
			e.Notes = append(e.Notes, syntax.Note{Msg: fmt.Sprintf("it is in %s, too", counted(n, "other image"))})
		}
	}
	return found
}

// counted returns "1 thing" or "2 things".
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// ignoreComment is a comment in a pipeline file that silences warnings of one
// code on one line:
//
//	script: '[[ -f x ]] && make' # cic:ignore CIC2303
//
// A comment that has a line for itself is about the next line that is none.
type ignoreComment struct {
	pos  syntax.Pos // of the code, or of the word where there is none
	code string     // empty: the comment names none
	used bool
}

// commentKey is the line that a comment is about.
type commentKey struct {
	file string
	line int
	code string
}

type comments struct {
	list []*ignoreComment
	by   map[commentKey]*ignoreComment
}

// ignorePattern is found in comments of YAML and of scripts alike: a # that
// begins the line or follows white space.
var ignorePattern = regexp.MustCompile(`(?:^|[ \t])#[ \t]*(cic:ignore)\b((?:[ \t,]+CIC[0-9]{4}\b)*)`)

var codeInComment = regexp.MustCompile(`CIC[0-9]{4}`)

func ignoreComments(sources map[string][]byte) *comments {
	c := &comments{by: map[commentKey]*ignoreComment{}}
	for _, file := range sortedNames(sources) {
		if bytes.Contains(sources[file], []byte("cic:ignore")) {
			c.read(file, string(sources[file]))
		}
	}
	return c
}

func (c *comments) read(file, text string) {
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	// The lines that a comment on each line is about, found from the end: a file
	// may be nothing but comments.
	targets := make([]int, len(lines))
	for i := len(lines) - 1; i >= 0; i-- {
		targets[i] = i
		if i+1 < len(lines) && isComment(lines[i]) {
			targets[i] = targets[i+1]
		}
	}
	for i, line := range lines {
		at := ignorePattern.FindStringSubmatchIndex(line)
		if at == nil {
			continue
		}
		counted, col := 0, 1
		position := func(offset int) syntax.Pos { // which grows
			col += utf8.RuneCountInString(line[counted:offset])
			counted = offset
			return syntax.Pos{File: file, Line: i + 1, Col: col}
		}
		codes := codeInComment.FindAllStringIndex(line[at[4]:at[5]], -1)
		if len(codes) == 0 {
			c.list = append(c.list, &ignoreComment{pos: position(at[2])})
		}
		for _, code := range codes {
			ignored := &ignoreComment{pos: position(at[4] + code[0]), code: line[at[4]+code[0] : at[4]+code[1]]}
			key := commentKey{file, targets[i] + 1, ignored.code}
			if _, twice := c.by[key]; !twice {
				c.by[key] = ignored
			}
			c.list = append(c.list, ignored)
		}
	}
}

// isComment reports whether a line holds a comment and nothing else.
func isComment(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "#") }

// ignore reports whether a comment silences a warning.
func (c *comments) ignore(e *syntax.Error) bool {
	comment := c.by[commentKey{e.Pos.File, e.Pos.Line, e.Code}]
	if comment == nil {
		return false
	}
	comment.used = true
	return true
}

// idle warns of the comments that silence nothing.
func (c *comments) idle() syntax.ErrorList {
	var list syntax.ErrorList
	for _, comment := range c.list {
		switch {
		case comment.used:
		case comment.code == "":
			w := list.Warn(CodeIdleIgnore, comment.pos, len("cic:ignore"), "the comment names no warning to ignore")
			w.Help = "name it by its code: # cic:ignore CIC2151"
		default:
			w := list.Warn(CodeIdleIgnore, comment.pos, len(comment.code), fmt.Sprintf("there is no warning %s to ignore here", comment.code))
			w.Help = "remove the comment, or put it on the line of the warning or the line before"
		}
	}
	return list
}
