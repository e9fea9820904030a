package compile

import (
	"strings"
	"testing"
)

// TestIgnoreComments: a comment that has a line for itself is about the next line
// that is none, however many comments lie between, and the work grows with the
// file alone.
func TestIgnoreComments(t *testing.T) {
	for _, test := range []struct {
		text string
		line int // that the comment for CIC2303 is about
	}{
		{"a: b # cic:ignore CIC2303\nc: d\n", 1},
		{"# cic:ignore CIC2303\na: b\n", 2},
		{"# cic:ignore CIC2303\n# why\n  # cic:ignore CIC2151\na: b\n# more\n", 4},
		{"# cic:ignore CIC2303\n\na: b\n", 2},
		{"a: b\n# cic:ignore CIC2303", 2}, // nothing follows
		{"# cic:ignore CIC2303\n" + strings.Repeat("#\n", 100_000) + "a: b\n", 100_002},
		{strings.Repeat("# cic:ignore CIC2303\n", 80_000) + "a: b\n", 80_001},
	} {
		c := ignoreComments(map[string][]byte{"ci.yml": []byte(test.text)})
		if c.by[commentKey{"ci.yml", test.line, "CIC2303"}] == nil {
			t.Errorf("%.60q: no comment is about line %d", test.text, test.line)
		}
	}
}
