package syntax

import (
	"fmt"
	"strings"
	"unicode"
)

// The layout of an excerpt, in terminal columns.
const (
	tabWidth     = 4
	excerptWidth = 120
	// excerptReach is how many characters on either side of a place are looked at. More
	// than fit, as some take no column.
	excerptReach = 4 * excerptWidth
)

// cell is a character of an excerpt as it is printed.
type cell struct {
	text  string
	width int
}

// excerptLine returns line as it is printed, cut to about excerptWidth columns
// around column col, and where the carets under length characters from there on
// begin and how many they are, at least one.
func excerptLine(line string, col, length int) (text string, indent, carets int) {
	line, col, before, behind := reach(line, col)
	cells := make([]cell, 0, len(line))
	at := 0
	for _, r := range line {
		c := cell{Visible(string(r)), runeWidth(r)}
		if r == '\t' {
			c.width = tabWidth - at%tabWidth
			c.text = strings.Repeat(" ", c.width)
		} else if c.text != string(r) {
			c.width = len(c.text)
		}
		at += c.width
		cells = append(cells, c)
	}
	start := min(max(col-1, 0), len(cells))
	from, to := window(cells, start)
	var out strings.Builder
	if from > 0 || before {
		out.WriteString("...")
		indent = 3
	}
	for i := from; i < to; i++ {
		out.WriteString(cells[i].text)
		if i < start {
			indent += cells[i].width
		} else if i-start < length {
			carets += cells[i].width
		}
	}
	if to < len(cells) || behind {
		out.WriteString("...")
	}
	return out.String(), indent, max(carets, 1)
}

// reach returns the part of line that an excerpt around column col can show, the
// column in it, and whether there is more of the line before and behind.
func reach(line string, col int) (part string, at int, before, behind bool) {
	start, end, n := 0, len(line), 0
	for i := range line {
		n++
		if n == col-excerptReach {
			start, at = i, n-1
		} else if n == col+excerptReach {
			end = i
			break
		}
	}
	return line[start:end], col - at, start > 0, end < len(line)
}

// window returns the range of cells to print: all of them if they fit, else
// about a third of the width before cell start and the rest behind it.
func window(cells []cell, start int) (from, to int) {
	width := 0
	for _, c := range cells {
		width += c.width
	}
	if width <= excerptWidth {
		return 0, len(cells)
	}
	from = start
	for width = 0; from > 0 && width+cells[from-1].width <= excerptWidth/3; from-- {
		width += cells[from-1].width
	}
	to = start
	for ; to < len(cells) && width+cells[to].width <= excerptWidth; to++ {
		width += cells[to].width
	}
	for ; from > 0 && width+cells[from-1].width <= excerptWidth; from-- {
		width += cells[from-1].width
	}
	return from, to
}

// Visible returns text with every character escaped that would not be printed, or
// could rearrange what is printed: controls, format characters such as those of
// bidirectional text, line separators.
func Visible(text string) string {
	if !strings.ContainsFunc(text, isInvisible) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		switch {
		case !isInvisible(r):
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case r < 0x100:
			fmt.Fprintf(&out, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			fmt.Fprintf(&out, `\U%08x`, r)
		}
	}
	return out.String()
}

func isInvisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) || r == unicode.ReplacementChar
}

// wide holds the characters that take two columns of a terminal: the large
// blocks of East Asian Width W and F (Unicode Standard Annex 11) and emoji.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff01, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1}, {Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1},
		{Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

// runeWidth returns the number of terminal columns of a visible character.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}
