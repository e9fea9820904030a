package lint

import "testing"

// TestColumns: the same stretch in characters, in bytes of UTF-8 and in units of UTF-16.
func TestColumns(t *testing.T) {
	c := &columns{lines: map[string][]string{}, sources: map[string][]byte{"a.yml": []byte("\ufeffab\r\nü𝄞x\rend\n\xff\xffz")}}
	for _, test := range []struct{ line, column, end, byteColumn, byteEnd, unitColumn, unitEnd int }{
		{1, 1, 3, 1, 3, 1, 3},
		{2, 1, 2, 1, 3, 1, 2},
		{2, 2, 3, 3, 7, 2, 4},
		{2, 3, 4, 7, 8, 4, 5},
		{2, 5, 7, 9, 11, 6, 8}, // behind the end
		{3, 1, 4, 1, 4, 1, 4},
		{4, 3, 4, 3, 4, 3, 4}, // bytes that are no text
		{9, 2, 3, 2, 3, 2, 3}, // no such line
	} {
		p := Place{Line: test.line, Column: test.column, EndColumn: test.end}
		c.fill(&p, "a.yml")
		if p.ByteColumn != test.byteColumn || p.ByteEndColumn != test.byteEnd || p.UTF16Column != test.unitColumn || p.UTF16EndColumn != test.unitEnd {
			t.Errorf("%+v: got %+v", test, p)
		}
	}
}
