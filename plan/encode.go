package plan

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// Limits of what is read and written; a hostile plan must not exhaust memory.
const (
	// MaxPlanSize bounds plan.json and plan.map.json, in bytes.
	MaxPlanSize = 64 << 20
	// MaxScriptSize bounds one script, in bytes.
	MaxScriptSize = 16 << 20
)

// Encode returns the canonical JSON of a valid plan: fields in the order of
// their declaration, maps by key, two-space indent, LF, a newline at the end,
// no HTML escapes. What holds only scalars, such as a row of batches or a need,
// stands on one line where it fits; an object as a field does not, so that a
// variable has a line of its own. The error is a [ValidationError], or says that
// the result is larger than [MaxPlanSize].
func Encode(p *Plan) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	out := *p
	out.FormatVersion = FormatVersion
	out.Stages = list(out.Stages)
	out.Batches = list(out.Batches)
	out.Jobs = list(out.Jobs)
	return encode(&out)
}

// EncodeMap is [Encode] for a source map.
func EncodeMap(m *SourceMap) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	out := *m
	out.FormatVersion = FormatVersion
	out.Files = list(out.Files)
	out.Scripts = maps.Clone(out.Scripts)
	if out.Scripts == nil {
		out.Scripts = map[string][]MapLine{}
	}
	return encode(&out)
}

// list makes an absent list an empty one: required fields are never null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return slices.Clip(s)
}

func encode(v any) ([]byte, error) {
	compact, err := marshal(v)
	if err != nil {
		return nil, err
	}
	l := layout{src: compact}
	l.out.Grow(2 * len(compact))
	l.value(0, false)
	l.out.WriteByte('\n')
	if size := l.out.Len(); size > MaxPlanSize {
		return nil, fmt.Errorf("the plan would take %d MiB, more than the %d MiB that can be read again", size>>20, MaxPlanSize>>20)
	}
	return l.out.Bytes(), nil
}

// lineWidth is the column up to which a container of scalars stays on one line.
const lineWidth = 100

// layout turns compact JSON into the canonical form. It trusts its input.
type layout struct {
	src []byte
	pos int
	out bytes.Buffer
	// column is the number of bytes since the last newline in out.
	column int
}

// value writes the value at pos; element says that it is an element of an array.
func (l *layout) value(depth int, element bool) {
	open := l.src[l.pos]
	if open != '{' && open != '[' {
		l.write(l.src[l.pos:scalarEnd(l.src, l.pos)])
		l.pos = scalarEnd(l.src, l.pos)
		return
	}
	template := bytes.HasPrefix(l.src[l.pos:], []byte(`{"template":`))
	if end, ok := l.fits(open == '[' || element || template); ok {
		l.line(end)
		return
	}
	l.write(l.src[l.pos : l.pos+1])
	l.pos++
	for l.src[l.pos] != open+2 { // ']' and '}' are two after their opening
		if l.src[l.pos] == ',' {
			l.write(l.src[l.pos : l.pos+1])
			l.pos++
		}
		l.newline(depth + 1)
		if open == '{' {
			end := scalarEnd(l.src, l.pos)
			l.write(l.src[l.pos:end])
			l.write([]byte(": "))
			l.pos = end + 1
		}
		l.value(depth+1, open == '[')
	}
	l.newline(depth)
	l.write(l.src[l.pos : l.pos+1])
	l.pos++
}

// fits reports whether the container at pos is to stand on one line, and where
// it ends. An empty one always does.
func (l *layout) fits(mayFit bool) (end int, ok bool) {
	if l.src[l.pos+1] == l.src[l.pos]+2 {
		return l.pos + 2, true
	}
	if !mayFit {
		return 0, false
	}
	width := l.column + 2
	for i := l.pos + 1; width <= lineWidth; {
		switch c := l.src[i]; c {
		case '{', '[':
			return 0, false
		case '}', ']':
			return i + 1, true
		case ',', ':':
			width += 2
			i++
		default:
			end := scalarEnd(l.src, i)
			width += end - i
			i = end
		}
	}
	return 0, false
}

// line writes the container of scalars that ends at end, spaced for reading.
func (l *layout) line(end int) {
	for l.pos < end {
		next := scalarEnd(l.src, l.pos)
		l.write(l.src[l.pos:next])
		if c := l.src[l.pos]; c == ',' || c == ':' {
			l.write([]byte{' '})
		}
		l.pos = next
	}
}

func (l *layout) write(b []byte) {
	l.out.Write(b)
	l.column += len(b)
}

func (l *layout) newline(depth int) {
	l.out.WriteByte('\n')
	for range depth {
		l.out.WriteString("  ")
	}
	l.column = 2 * depth
}

// scalarEnd returns the end of the string, number, literal or punctuation at pos.
func scalarEnd(src []byte, pos int) int {
	switch c := src[pos]; {
	case c == '"':
		return stringEnd(src, pos)
	case bytes.IndexByte([]byte("{}[],: \t\r\n"), c) >= 0:
		return pos + 1
	}
	end := pos + 1
	for end < len(src) && bytes.IndexByte([]byte("{}[],: \t\r\n"), src[end]) < 0 {
		end++
	}
	return end
}

// stringEnd returns the end of the string that begins at pos.
func stringEnd(src []byte, pos int) int {
	for i := pos + 1; ; i++ {
		switch src[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}
