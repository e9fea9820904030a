package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Text is a string that is either literal or a template. In JSON a literal is
// a plain string and a template is {"template": "..."}.
//
// A template mentions variables that are known only at run time, as ${NAME};
// a dollar sign that stands for itself is written $$. There are no other forms.
type Text struct {
	Value    string
	Template bool
}

// Literal returns a Text that stands for s itself.
func Literal(s string) Text { return Text{Value: s} }

// Segment is a part of a template: literal text, or the name of a variable.
type Segment struct {
	Text string
	Var  bool
}

// Segments splits t. A literal is one segment (none when it is empty). The
// error names the byte offset of a malformed reference.
func (t Text) Segments() ([]Segment, error) {
	if !t.Template {
		if t.Value == "" {
			return nil, nil
		}
		return []Segment{{Text: t.Value}}, nil
	}
	var segs []Segment
	var lit strings.Builder
	for i := 0; i < len(t.Value); {
		c := t.Value[i]
		if c != '$' {
			lit.WriteByte(c)
			i++
			continue
		}
		rest := t.Value[i+1:]
		switch {
		case strings.HasPrefix(rest, "$"):
			lit.WriteByte('$')
			i += 2
		case strings.HasPrefix(rest, "{"):
			name, _, ok := strings.Cut(rest[1:], "}")
			if !ok || !IsIdentifier(name) {
				return nil, fmt.Errorf("template %q: malformed reference at byte %d", t.Value, i)
			}
			if lit.Len() > 0 {
				segs = append(segs, Segment{Text: lit.String()})
				lit.Reset()
			}
			segs = append(segs, Segment{Text: name, Var: true})
			i += len(name) + 3
		default:
			return nil, fmt.Errorf("template %q: single $ at byte %d", t.Value, i)
		}
	}
	if lit.Len() > 0 {
		segs = append(segs, Segment{Text: lit.String()})
	}
	return segs, nil
}

// Expand returns the text with every reference replaced by lookup's answer;
// a name that lookup does not know becomes empty, as on GitLab's runner.
func (t Text) Expand(lookup func(name string) (string, bool)) (string, error) {
	segs, err := t.Segments()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, s := range segs {
		if !s.Var {
			b.WriteString(s.Text)
		} else if v, ok := lookup(s.Text); ok {
			b.WriteString(v)
		}
	}
	return b.String(), nil
}

// String returns the source form: the literal, or the template's text.
func (t Text) String() string { return t.Value }

type textJSON struct {
	Template *string `json:"template"`
}

// MarshalJSON implements [json.Marshaler].
func (t Text) MarshalJSON() ([]byte, error) {
	if t.Template {
		return marshal(textJSON{&t.Value})
	}
	return marshal(t.Value)
}

// UnmarshalJSON implements [json.Unmarshaler]; it is as strict as [Decode].
func (t *Text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		t.Template = false
		return json.Unmarshal(data, &t.Value)
	}
	var v textJSON
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return err
	}
	if v.Template == nil {
		return errors.New(`want a string or {"template": "..."}`)
	}
	t.Value, t.Template = *v.Template, true
	return nil
}

// Variable is a name and its value.
type Variable struct {
	Name  string
	Value Text
}

// Variables are sorted by name and hold each name once; in JSON an object.
type Variables []Variable

// Get returns the value of the named variable.
func (vs Variables) Get(name string) (Text, bool) {
	i := sort.Search(len(vs), func(i int) bool { return vs[i].Name >= name })
	if i < len(vs) && vs[i].Name == name {
		return vs[i].Value, true
	}
	return Text{}, false
}

// MarshalJSON implements [json.Marshaler].
func (vs Variables) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, v := range vs {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := marshal(v.Name)
		if err != nil {
			return nil, err
		}
		value, err := v.Value.MarshalJSON()
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON implements [json.Unmarshaler]. Duplicate names are found by
// [Decode], which checks the whole document for them.
func (vs *Variables) UnmarshalJSON(data []byte) error {
	var m map[string]Text
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	*vs = make(Variables, 0, len(m))
	for name, value := range m {
		*vs = append(*vs, Variable{name, value})
	}
	sort.Slice(*vs, func(i, j int) bool { return (*vs)[i].Name < (*vs)[j].Name })
	return nil
}

// IsIdentifier reports whether s can name a shell variable: [A-Za-z_][A-Za-z0-9_]*.
func IsIdentifier(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// marshal is json.Marshal without HTML escapes, which would make scripts'
// text in a plan unreadable.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
