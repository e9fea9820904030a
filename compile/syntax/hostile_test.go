package syntax

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Inputs that are meant to take time, space or the stack. They must end with a
// diagnostic; how fast is for BenchmarkHostile to tell, but a quadratic step
// would take minutes.
func hostile() map[string]string {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'i'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9), ", "))
	}
	var keys, merge strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
	}
	merge.WriteString("a: &a\n")
	for i := range 2000 {
		fmt.Fprintf(&merge, "  k%d: 1\n", i)
	}
	for i := range 2000 {
		fmt.Fprintf(&merge, "m%d: {<<: *a}\n", i)
	}
	return map[string]string{
		"alias bomb":            bomb,
		"merge bomb":            merge.String(),
		"brackets":              "a: " + strings.Repeat("[", 100_000),
		"closed brackets":       "a: " + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		"braces":                "a: " + strings.Repeat("{a: ", 100_000),
		"dashes":                "a:\n" + strings.Repeat("- ", 100_000),
		"deep mapping":          deepMapping(1500),
		"keys":                  keys.String(),
		"too large":             strings.Repeat("a", MaxFileSize+1),
		"angle brackets":        "a: " + strings.Repeat("<", 1_000_000) + "\nb: *c",
		"tabs in quotes":        "a: \"" + strings.Repeat("x\t", 500_000) + "\"" + "\nb: *c",
		"empty lines":           "a: |\n" + strings.Repeat("  x\n", 100_000) + strings.Repeat("\n", 500_000) + "\nb: *c",
		"text over many lines":  "a: x\n" + strings.Repeat("  x\n\n", 300_000) + "b: *c",
		"quote over many lines": "a: 'x\n" + strings.Repeat("\n  x\n", 300_000) + "'\nb: *c",
		"colons":                "a: " + strings.Repeat("a: ", 300_000),
		"empty items":           "a:\n" + strings.Repeat("-\n", 900_000) + "b: *c",
		"keys in a mapping":     "a:\n" + strings.ReplaceAll(keys.String()[:1_000_000], "k", " k") + "\nb: *c",
	}
}

func deepMapping(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestHostile(t *testing.T) {
	want := map[string]string{
		"alias bomb": CodeTooManyNodes, "merge bomb": CodeTooManyNodes, "brackets": CodeTooDeep, "closed brackets": CodeTooDeep,
		"braces": CodeTooDeep, "dashes": CodeTooDeep, "deep mapping": CodeTooDeep, "keys": CodeTooLarge, "too large": CodeTooLarge,
		"angle brackets": CodeUnknownAnchor, "tabs in quotes": CodeUnknownAnchor, "empty lines": CodeUnknownAnchor,
		"text over many lines": CodeUnknownAnchor, "quote over many lines": CodeUnknownAnchor, "colons": CodeSyntax,
		"empty items": CodeTooManyNodes, "keys in a mapping": CodeTooManyNodes,
	}
	for name, in := range hostile() {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, errs := parseRoot("f", []byte(in))
			t.Logf("%v", time.Since(start))
			if !errs.HasErrors() || errs[len(errs)-1].Code != want[name] {
				t.Errorf("got %.3q, want code %s", messages(errs), want[name])
			}
		})
	}
}

func BenchmarkHostile(b *testing.B) {
	for name, in := range hostile() {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			for b.Loop() {
				parseRoot("f", []byte(in))
			}
		})
	}
}
