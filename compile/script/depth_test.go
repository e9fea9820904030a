package script

import (
	"errors"
	"strings"
	"testing"
)

// TestDepth: text that would exhaust the stack of the process is refused.
func TestDepth(t *testing.T) {
	const n = 40_000
	for name, text := range map[string]string{
		"subshell":      strings.Repeat("(", n),
		"substitution":  strings.Repeat("$(", n),
		"quoted":        strings.Repeat(`"$(`, n),
		"arithmetic":    "x=$((" + strings.Repeat("(", n),
		"parameter":     strings.Repeat("${x:-", n),
		"if":            strings.Repeat("if ", n),
		"case":          strings.Repeat("case x in x) ", n),
		"function":      strings.Repeat("f() ", n),
		"pipe":          strings.Repeat("a|", n) + "a",
		"list":          strings.Repeat("a&&", n) + "a",
		"sum":           "x=$((" + strings.Repeat("1+", n) + "1))",
		"test":          "[[ " + strings.Repeat("a && ", n) + "a ]]",
		"test brackets": "[[ " + strings.Repeat("( ", n) + "a",
	} {
		_, err := Generate(Program{Commands: []string{"true", text}}, Options{})
		var e *Error
		if !errors.As(err, &e) || !strings.HasSuffix(e.Msg, "commands are nested too deep") || e.Command != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"subshell":   strings.Repeat("( ", 100) + "true" + strings.Repeat(")", 100),
		"arithmetic": "x=$((" + strings.Repeat("(", 100) + "1" + strings.Repeat(")", 100) + "))",
		"pipe":       strings.Repeat("cat | ", 3000) + "cat",
		"commands":   strings.Repeat("true\n", 20_000),
		"words":      "echo " + strings.Repeat("$x {", 20_000),
	} {
		if _, err := Generate(Program{Commands: []string{text}}, Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
