package exec

import (
	"fmt"
	"log/slog"
)

// Secret is a value that a job needs and nobody else may see.
type Secret struct {
	// Name is the variable that holds the value or, with File, the path of a file
	// with it.
	Name  string
	File  bool
	Value Sensitive
}

// Sensitive is a text that does not show itself: not when it is printed, logged
// or encoded, alone or within another value (CVE-2025-62157).
type Sensitive struct {
	// A pointer, since package fmt calls no method of what an unexported field
	// holds, but does not follow pointers there either.
	value *string
}

// NewSensitive wraps a text.
func NewSensitive(value string) Sensitive { return Sensitive{&value} }

// Reveal is the text.
func (s Sensitive) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

const redacted = "[REDACTED]"

// Format implements [fmt.Formatter] for every verb.
func (Sensitive) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements [encoding.TextMarshaler].
func (Sensitive) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements [slog.LogValuer].
func (Sensitive) LogValue() slog.Value { return slog.StringValue(redacted) }
