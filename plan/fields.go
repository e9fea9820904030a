package plan

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// leaf is a field of a plan value that holds no other field: its path of JSON
// names (image.user, variables.APP, caches[0].key) and its value, or the
// elements of a list. What JSON leaves out has no leaf.
type leaf struct {
	path   string
	values []Text
	list   bool
}

// leavesOf lists the leaves of a struct in the order of declaration. It goes by
// the types, so a field that is added to the language is shown and compared at once.
func leavesOf(v any) []leaf {
	var f flattener
	f.fields(reflect.ValueOf(v), "")
	return f.leaves
}

type flattener struct{ leaves []leaf }

func (f *flattener) add(path, value string) {
	f.leaves = append(f.leaves, leaf{path: path, values: []Text{Literal(value)}})
}

func (f *flattener) fields(v reflect.Value, path string) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			f.fields(v.Field(i), path)
			continue
		}
		name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
		if option == "" || !v.Field(i).IsZero() {
			f.value(v.Field(i), keyPath(path, name))
		}
	}
}

func (f *flattener) value(v reflect.Value, path string) {
	switch x := v.Interface().(type) {
	case Text:
		f.leaves = append(f.leaves, leaf{path: path, values: []Text{x}})
		return
	case Variables:
		for _, variable := range x {
			f.leaves = append(f.leaves, leaf{path: keyPath(path, variable.Name), values: []Text{variable.Value}})
		}
		return
	case map[string]*string:
		for _, name := range sortedKeys(x) {
			if x[name] == nil {
				f.add(keyPath(path, name)+".defined", "false")
			} else {
				f.add(keyPath(path, name), *x[name])
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		f.value(v.Elem(), path)
	case reflect.Struct:
		before := len(f.leaves)
		if f.fields(v, path); len(f.leaves) == before {
			f.add(path, "{}")
		}
	case reflect.Map:
		keys := make(map[string]reflect.Value, v.Len())
		for _, key := range v.MapKeys() {
			keys[key.String()] = v.MapIndex(key)
		}
		for _, key := range sortedKeys(keys) {
			f.value(keys[key], keyPath(path, key))
		}
	case reflect.Slice:
		f.slice(v, path)
	default:
		f.add(path, fmt.Sprint(v.Interface()))
	}
}

// slice makes a list leaf of what fits a line an element, and otherwise numbers
// the elements.
func (f *flattener) slice(v reflect.Value, path string) {
	list := leaf{path: path, list: true}
	for i := range v.Len() {
		switch x := v.Index(i).Interface().(type) {
		case Text:
			list.values = append(list.values, x)
		case string, int, Need, TriedRule, Excluded, Warning:
			list.values = append(list.values, Literal(fmt.Sprint(x)))
		default:
			f.value(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	}
	if len(list.values) > 0 {
		f.leaves = append(f.leaves, list)
	}
}

// String returns the job's name and how the need differs from a plain one.
func (n Need) String() string {
	s := n.Job
	if !n.Artifacts {
		s += " (artifacts: false)"
	}
	if n.Optional {
		s += " (optional: true)"
	}
	return s
}

// String returns the job, its stage and why it is left out.
func (e Excluded) String() string {
	return fmt.Sprintf("%s (stage %s): %s", e.Name, e.Stage, e.Reason)
}

// String returns the code, the job if there is one, and the message.
func (w Warning) String() string {
	text := w.Code + ": "
	if w.Job != "" {
		text += fmt.Sprintf("job %q: ", w.Job)
	}
	text += w.Message
	if w.Ignored != "" {
		text += " (ignored by " + w.Ignored + ")"
	}
	return text
}

// Display returns untrusted text for a terminal: whatever does not print as
// itself, such as control and direction characters, becomes an escape. Tabs stay.
func Display(s string) string {
	if !strings.ContainsFunc(s, hidden) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case hidden(r):
			quoted := fmt.Sprintf("%+q", r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
		s = s[n:]
	}
	return b.String()
}

func hidden(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }

// displayValue returns a value for a line of its own: quoted unless it is plain.
func displayValue(t Text) string {
	s := t.Value
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsFunc(s, hidden) || strings.ContainsAny(s, "\"\t") {
		s = fmt.Sprintf("%q", s)
	}
	if t.Template {
		s = "template " + s
	}
	return s
}
