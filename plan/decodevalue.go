package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
)

var (
	textType      = reflect.TypeFor[Text]()
	variablesType = reflect.TypeFor[Variables]()
)

// value reads the next value into v.
func (d *decoder) value(v reflect.Value, path string) error {
	d.space()
	start := d.pos
	if d.data[start] == 'n' {
		return d.errorAt(start, path, "null is not allowed; leave the field out")
	}
	switch v.Type() {
	case textType:
		return d.text(v.Addr().Interface().(*Text), path)
	case variablesType:
		return d.variables(v.Addr().Interface().(*Variables), path)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(v.Elem(), path)
	case reflect.Struct:
		return d.object(path, d.structField(v, path))
	case reflect.Map:
		return d.mapping(v, path)
	case reflect.Slice:
		return d.slice(v, path)
	}
	return d.scalar(v, path)
}

func (d *decoder) scalar(v reflect.Value, path string) error {
	start := d.pos
	token := string(d.data[start:scalarEnd(d.data, start)])
	switch v.Kind() {
	case reflect.String:
		if token[0] != '"' {
			return d.mismatch(path, "a string")
		}
		s, err := d.string(path)
		v.SetString(s)
		return err
	case reflect.Bool:
		if token != "true" && token != "false" {
			return d.mismatch(path, "true or false")
		}
		v.SetBool(token == "true")
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(token, 10, v.Type().Bits())
		if err != nil || token != strconv.FormatInt(n, 10) {
			return d.mismatch(path, "an integer that fits 64 bits, in plain decimal")
		}
		v.SetInt(n)
	case reflect.Float64:
		f, err := strconv.ParseFloat(token, 64)
		if err != nil || math.Signbit(f) || !strings.Contains("0123456789", token[:1]) {
			return d.mismatch(path, "a finite number, not negative")
		}
		v.SetFloat(f)
	default:
		panic("plan: no decoding for " + v.Type().String())
	}
	d.pos = start + len(token)
	return nil
}

// mismatch reports that the value at pos is not what was wanted.
func (d *decoder) mismatch(path, want string) error {
	found := map[byte]string{'{': "an object", '[': "an array"}[d.data[d.pos]]
	if found == "" {
		found = string(d.data[d.pos:scalarEnd(d.data, d.pos)])
		if len(found) > 40 {
			found = strings.ToValidUTF8(found[:40], "") + "…"
		}
	}
	return d.errorAt(d.pos, path, "want %s, found %s", want, found)
}

func (d *decoder) string(path string) (string, error) {
	end := stringEnd(d.data, d.pos)
	token := d.data[d.pos:end]
	d.pos = end
	if bytes.IndexByte(token, '\\') < 0 {
		return string(token[1 : len(token)-1]), nil
	}
	var s string
	if err := json.Unmarshal(token, &s); err != nil {
		return "", d.errorAt(end-len(token), path, "%v", err)
	}
	return s, nil
}

func (d *decoder) text(t *Text, path string) error {
	var template struct {
		Template *string `json:"template"`
	}
	if d.data[d.pos] != '{' {
		return d.scalar(reflect.ValueOf(&t.Value).Elem(), path)
	}
	start := d.pos
	if err := d.value(reflect.ValueOf(&template).Elem(), path); err != nil {
		return err
	}
	if template.Template == nil {
		return d.errorAt(start, path, `want a string or {"template": "..."}`)
	}
	*t = Text{Value: *template.Template, Template: true}
	return nil
}

func (d *decoder) variables(vs *Variables, path string) error {
	err := d.object(path, func(name string, _ int) error {
		*vs = append(*vs, Variable{Name: name})
		return d.value(reflect.ValueOf(&(*vs)[len(*vs)-1].Value).Elem(), keyPath(path, name))
	})
	sort.Slice(*vs, func(i, k int) bool { return (*vs)[i].Name < (*vs)[k].Name })
	return err
}

func (d *decoder) mapping(v reflect.Value, path string) error {
	elem := v.Type().Elem()
	m := reflect.MakeMap(v.Type())
	err := d.object(path, func(key string, _ int) error {
		e := reflect.New(elem).Elem()
		// Null means something in one place only: a variable that a rule read and
		// that was not defined (Context.Read).
		if d.space(); elem.Kind() == reflect.Pointer && d.data[d.pos] == 'n' {
			d.pos += len("null")
		} else if err := d.value(e, keyPath(path, key)); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(key), e)
		return nil
	})
	if m.Len() > 0 {
		v.Set(m)
	}
	return err
}

// slice leaves v nil for an empty array: the two mean the same everywhere.
func (d *decoder) slice(v reflect.Value, path string) error {
	if d.data[d.pos] != '[' {
		return d.mismatch(path, "an array")
	}
	d.pos++
	for i := 0; ; i++ {
		d.space()
		switch d.data[d.pos] {
		case ']':
			d.pos++
			return nil
		case ',':
			d.pos++
		}
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		if err := d.value(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
}

// object reads an object, calling field for each key with the key's offset;
// field must read the value.
func (d *decoder) object(path string, field func(key string, offset int) error) error {
	if d.data[d.pos] != '{' {
		return d.mismatch(path, "an object")
	}
	d.pos++
	seen := make(map[string]bool)
	for {
		d.space()
		switch d.data[d.pos] {
		case '}':
			d.pos++
			return nil
		case ',':
			d.pos++
			d.space()
		}
		offset := d.pos
		key, err := d.string(path)
		if err != nil {
			return err
		}
		if seen[key] {
			return d.errorAt(offset, path, "key %s is there twice", quote(key))
		}
		seen[key] = true
		d.space()
		d.pos++ // the colon
		if err := field(key, offset); err != nil {
			return err
		}
	}
}

// structField returns the function that reads a field of v by its JSON name.
func (d *decoder) structField(v reflect.Value, path string) func(string, int) error {
	return func(key string, offset int) error {
		inner := keyPath(path, key)
		i, ok := fieldIndex(v.Type(), key)
		switch {
		case ok:
			return d.value(v.FieldByIndex(i), inner)
		case d.newer:
			d.warnings = append(d.warnings, fmt.Sprintf("%s: unknown field of a newer format, ignored", inner))
			return d.skip()
		}
		return d.errorAt(offset, path, "unknown field %s", quote(key))
	}
}

// keyPath names the value of a key within path; an odd key is quoted.
func keyPath(path, key string) string {
	switch {
	case !IsIdentifier(key):
		return path + "[" + quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// skip passes over the next value, whose keys must still be unique.
func (d *decoder) skip() error {
	d.space()
	switch d.data[d.pos] {
	case '{':
		return d.object("", func(string, int) error { return d.skip() })
	case '[':
		d.pos++
		for {
			d.space()
			switch d.data[d.pos] {
			case ']':
				d.pos++
				return nil
			case ',':
				d.pos++
			}
			if err := d.skip(); err != nil {
				return err
			}
		}
	}
	d.pos = scalarEnd(d.data, d.pos)
	return nil
}

func (d *decoder) space() {
	for d.pos < len(d.data) && strings.IndexByte(" \t\r\n", d.data[d.pos]) >= 0 {
		d.pos++
	}
}

// fieldIndex finds the field of struct type t with the JSON name, embedded
// structs included.
func fieldIndex(t reflect.Type, name string) ([]int, bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			if inner, ok := fieldIndex(f.Type, name); ok {
				return slices.Concat([]int{i}, inner), true
			}
			continue
		}
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return []int{i}, true
		}
	}
	return nil, false
}
