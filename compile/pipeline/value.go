package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/syntax"
)

// maxListDepth is how deep lists may nest where nested lists are flattened
// (specification 0).
const maxListDepth = 10

// What is wanted most often, as wrongType words it.
const (
	wantString   = "a string"
	wantStrings  = "a list of strings"
	wantList     = "a list"
	wantCommands = "a string or a list of strings"
)

// kindPhrases name the kind of a value that was found in place of another.
var kindPhrases = map[syntax.Kind]string{
	syntax.Null:      "empty",
	syntax.Bool:      "a boolean",
	syntax.Int:       "an integer",
	syntax.Float:     "a number",
	syntax.String:    "a string",
	syntax.Mapping:   "a mapping",
	syntax.Sequence:  "a list",
	syntax.Reference: "a !reference",
}

// span returns the number of characters to underline for n: its source text as
// far as it stands on one line, of a mapping the first key.
func span(n *syntax.Node) int {
	switch {
	case n.Kind == syntax.Mapping && len(n.Pairs) > 0:
		return span(n.Pairs[0].Key)
	case !n.IsScalar() || n.LinePos(0) != n.Pos:
		return 1
	}
	line, _, _ := strings.Cut(n.Raw, "\n")
	return max(1, utf8.RuneCountInString(line))
}

// specified reports whether a keyword has a value: null means that it has none
// (specification 2).
func specified(n *syntax.Node) bool { return n != nil && n.Kind != syntax.Null }

// fail reports an error at n.
func (d *decoder) fail(code string, n *syntax.Node, format string, args ...any) *syntax.Error {
	return d.report(syntax.SeverityError, code, n, fmt.Sprintf(format, args...))
}

// warn reports a warning at n.
func (d *decoder) warn(code string, n *syntax.Node, format string, args ...any) *syntax.Error {
	return d.report(syntax.SeverityWarning, code, n, fmt.Sprintf(format, args...))
}

// report records a diagnostic. What many jobs take from one place is reported
// once: the caller then gets a diagnostic that is not in the list.
func (d *decoder) report(s syntax.Severity, code string, n *syntax.Node, msg string) *syntax.Error {
	e := &syntax.Error{Severity: s, Code: code, Pos: n.Pos, Len: span(n), Msg: msg, Job: d.job}
	k := reported{pos: n.Pos, msg: msg}
	if !d.seen[k] {
		d.seen[k] = true
		d.errs = append(d.errs, e)
		if s == syntax.SeverityError {
			d.failed++
		}
	}
	return e
}

// maxFailed is the number of errors behind which a file is not looked at any
// further: it would take long, and nobody reads on.
const maxFailed = 1000

// givenUp reports whether there are so many errors.
func (d *decoder) givenUp() bool { return d.failed >= maxFailed }

// subject names a value in a message by its path: "image:name"; the path of a
// list followed by [] stands for its members.
func subject(what string) string {
	if list, ok := strings.CutSuffix(what, "[]"); ok {
		return "each entry of " + strconv.Quote(list)
	}
	return strconv.Quote(what)
}

// wrongType reports that what must be want and is n.
func (d *decoder) wrongType(n *syntax.Node, what, want string) *syntax.Error {
	e := d.fail(CodeType, n, "%s must be %s, not %s", subject(what), want, kindPhrases[n.Kind])
	switch {
	case n.Kind == syntax.Mapping && (want == wantString || want == wantCommands):
		e.Help = quoteLine(n)
	case n.Kind == syntax.Mapping && strings.HasPrefix(want, "a list") && want != wantStrings:
		e.Help = "write it as the one entry of a list"
	case n.Kind == syntax.String && (want == wantStrings || want == wantList) && !strings.Contains(n.Raw, "\n"):
		e.Help = fmt.Sprintf("write [%s]", n.Raw)
	case n.IsScalar() && n.Kind != syntax.Null && n.Kind != syntax.String && strings.HasPrefix(want, "a string"):
		e.Help = fmt.Sprintf("quote it: %q", n.Raw)
	case n.Kind == syntax.String && strings.HasPrefix(want, "true") && (n.Value == "true" || n.Value == "false"):
		e.Help = fmt.Sprintf("write %s without quotes", n.Value)
	}
	return e
}

// quoteLine returns help for the classic trap that a command or name with a
// colon and a space in it is a mapping to YAML.
func quoteLine(n *syntax.Node) string {
	if len(n.Pairs) != 1 || !n.Pairs[0].Value.IsScalar() {
		return ""
	}
	p := n.Pairs[0]
	line := strings.TrimRight(p.Key.Raw+": "+p.Value.Raw, " ")
	if strings.ContainsAny(line, "'\n") {
		return `": " makes a mapping of it: quote the whole line`
	}
	return fmt.Sprintf(`": " makes a mapping of it: quote the whole line: '%s'`, line)
}

// fields calls visit for each keyword of a mapping that has a value. Unknown
// and refused keywords are reported; what is the path of the mapping ("" for
// the top level, default and jobs). It reports whether n is a mapping.
func (d *decoder) fields(n *syntax.Node, s scope, what string, visit func(key, value *syntax.Node)) bool {
	if n.Kind != syntax.Mapping {
		return false
	}
	for _, p := range n.Pairs {
		if d.givenUp() {
			break
		}
		if d.keyword(p, s, what) {
			visit(p.Key, p.Value)
		}
	}
	return true
}

// keyword reports whether an entry of a mapping has a value that is to be
// decoded.
func (d *decoder) keyword(p syntax.Pair, s scope, what string) bool {
	k := vocabularies[s].known[p.Key.Value]
	if k == nil {
		d.unknownKeyword(p.Key, s, what)
		return false
	}
	if !specified(p.Value) || k.resolved&s != 0 {
		return false
	}
	if k.refused&s == 0 {
		return true
	}
	e := d.fail(CodeUnsupported, p.Key, "keyword %q is not supported here", path(what, k.name))
	e.Label, e.Help = "not supported", k.instead
	return false
}

// path joins the path of a mapping and a key: "retry:max".
func path(what, key string) string {
	if what == "" {
		return key
	}
	return what + ":" + key
}

// require reports that a mapping has no value for a keyword that it needs. One
// with an unknown key is passed over: that key may well be the one, misspelt.
func (d *decoder) require(n *syntax.Node, s scope, what, name string) {
	if specified(n.Get(name)) || hasUnknown(n, s) {
		return
	}
	d.fail(CodeMissing, n, "%s must have %q", subject(what), name)
}

// hasUnknown reports whether a mapping has a key that its place does not know.
func hasUnknown(n *syntax.Node, s scope) bool {
	return slices.ContainsFunc(n.Pairs, func(p syntax.Pair) bool { return vocabularies[s].known[p.Key.Value] == nil })
}

// mostListed is how many keywords the help for an unknown one lists at most: those
// of a job would hide the message.
const mostListed = 16

func (d *decoder) unknownKeyword(key *syntax.Node, s scope, what string) {
	names := vocabularies[s].names
	place := "a job"
	switch {
	case s == inDefault:
		place = `"default"`
	case s == inTriggerJob:
		place = "a trigger job"
	case what != "":
		place = strconv.Quote(what)
	}
	if (s == inDefault || s == inTriggerJob) && vocabularies[inJob].known[key.Value] != nil {
		d.fail(CodeUnknownKeyword, key, "keyword %q is not allowed in %s", key.Value, place).Help =
			"allowed: " + strings.Join(names, ", ")
		return
	}
	e := d.fail(CodeUnknownKeyword, key, "unknown keyword %q in %s", key.Value, place)
	if now, ok := renamed[key.Value]; ok && slices.Contains(names, now) {
		e.Help = fmt.Sprintf("it was renamed: write %q", now)
	} else if near := syntax.Suggest(key.Value, names); near != "" {
		e.Help = fmt.Sprintf("did you mean %q?", near)
	} else if len(names) <= mostListed {
		e.Help = "allowed: " + strings.Join(names, ", ")
	}
}

// text decodes a string.
func (d *decoder) text(n *syntax.Node, what string) (Text, bool) {
	if n.Kind != syntax.String {
		d.wrongType(n, what, wantString)
		return Text{}, false
	}
	return d.scalar(n, what)
}

// filledText decodes a string that is not blank.
func (d *decoder) filledText(n *syntax.Node, what string) (Text, bool) {
	t, ok := d.text(n, what)
	if ok && strings.TrimSpace(t.Value) == "" {
		d.fail(CodeMissing, n, "%s must not be empty", subject(what))
		return Text{}, false
	}
	return t, ok
}

// scalar takes the text of a scalar of any type. No value may hold a NUL: no
// variable, argument or path can.
func (d *decoder) scalar(n *syntax.Node, what string) (Text, bool) {
	if strings.ContainsRune(n.Value, 0) {
		d.fail(CodeValue, n, "%s must not contain a NUL character", subject(what))
		return Text{}, false
	}
	return Text{Value: n.Value, Pos: n.Pos}, true
}

// list calls visit for each member of a list and reports whether n is one.
func (d *decoder) list(n *syntax.Node, what, want string, visit func(*syntax.Node)) bool {
	if n.Kind != syntax.Sequence {
		d.wrongType(n, what, want)
		return false
	}
	for _, item := range n.Items {
		visit(item)
	}
	return true
}

// nested is list for lists whose member lists are flattened. It reports whether
// every level is within the limit.
func (d *decoder) nested(n *syntax.Node, what string, depth int, visit func(*syntax.Node)) bool {
	if depth > maxListDepth {
		d.fail(CodeLimit, n, "%q nests lists more than %d levels deep", what, maxListDepth)
		return false
	}
	ok := true
	for _, item := range n.Items {
		if item.Kind == syntax.Sequence {
			ok = d.nested(item, what, depth+1, visit) && ok
		} else {
			visit(item)
		}
	}
	return ok
}

// texts decodes a list of strings by member: text or filledText.
func (d *decoder) texts(n *syntax.Node, what string, decode func(*syntax.Node, string) (Text, bool)) []Text {
	texts := make([]Text, 0, len(n.Items))
	member := what + "[]"
	d.list(n, what, wantStrings, func(item *syntax.Node) {
		if t, ok := decode(item, member); ok {
			texts = append(texts, t)
		}
	})
	return texts
}

// values is texts without positions, nil for an empty list.
func (d *decoder) values(n *syntax.Node, what string) []string {
	var values []string
	for _, t := range d.texts(n, what, d.text) {
		values = append(values, t.Value)
	}
	return values
}

// boolean decodes true or false.
func (d *decoder) boolean(n *syntax.Node, what string) bool {
	if n.Kind != syntax.Bool {
		d.wrongType(n, what, "true or false")
		return false
	}
	return n.Value == "true"
}

// integer decodes a whole number from low to high.
func (d *decoder) integer(n *syntax.Node, what string, low, high int64) (int64, bool) {
	if n.Kind != syntax.Int {
		d.wrongInteger(n, what, "an integer")
		return 0, false
	}
	i, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil || i < low || i > high { // err: beyond 64 bits, so out of range
		d.fail(CodeLimit, n, "%s must be from %d to %d, not %s", subject(what), low, high, n.Value)
		return 0, false
	}
	return i, true
}

// wrongInteger is wrongType with help for a number in quotes.
func (d *decoder) wrongInteger(n *syntax.Node, what, want string) {
	e := d.wrongType(n, what, want)
	if _, err := strconv.ParseInt(n.Value, 10, 64); err == nil && n.Kind == syntax.String {
		e.Help = "write the number without quotes"
	}
}

// integers decodes an integer or a list of them.
func (d *decoder) integers(n *syntax.Node, what string, low, high int64) []int {
	if n.Kind != syntax.Sequence && n.Kind != syntax.Int {
		d.wrongInteger(n, what, "an integer or a list of integers")
		return nil
	}
	items := []*syntax.Node{n}
	if n.Kind == syntax.Sequence {
		items, what = n.Items, what+"[]"
	}
	var all []int
	for _, item := range items {
		if i, ok := d.integer(item, what, low, high); ok {
			all = append(all, int(i))
		}
	}
	return all
}

// word decodes a string that must be one of words.
func (d *decoder) word(n *syntax.Node, what string, words []string) (Text, bool) {
	t, ok := d.text(n, what)
	if !ok || slices.Contains(words, t.Value) {
		return t, ok
	}
	e := d.fail(CodeValue, n, "unknown value %q for %q", t.Value, strings.TrimSuffix(what, "[]"))
	e.Notes = append(e.Notes, syntax.Note{Msg: "allowed: " + strings.Join(words, ", ")})
	if near := syntax.Suggest(t.Value, words); near != "" {
		e.Help = fmt.Sprintf("did you mean %q?", near)
	}
	return Text{}, false
}

// words decodes one of words or a list of them.
func (d *decoder) words(n *syntax.Node, what string, words []string) []string {
	items := []*syntax.Node{n}
	switch n.Kind {
	case syntax.Sequence:
		items, what = n.Items, what+"[]"
	case syntax.String:
	default:
		d.wrongType(n, what, wantCommands)
		return nil
	}
	var all []string
	for _, item := range items {
		if t, ok := d.word(item, what, words); ok {
			all = append(all, t.Value)
		}
	}
	return all
}
