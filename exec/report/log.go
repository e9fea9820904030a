package report

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/cic-ci/cic/exec"
)

// How much of a log is shown, in bytes, and of all logs together: a browser
// must be able to open the page.
const (
	maxLog     = 128 << 10
	maxFailed  = 512 << 10
	maxAllLogs = 24 << 20
)

// logHTML is the end of a log, of at most limit bytes, as HTML: its colours as
// spans, its sections as parts that can be folded. cut is how much is left out.
func logHTML(log io.ReadSeeker, limit int64) (html template.HTML, cut int64, err error) {
	size, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return "", 0, err
	}
	cut = max(0, size-limit)
	if _, err := log.Seek(cut, io.SeekStart); err != nil {
		return "", 0, err
	}
	text, err := io.ReadAll(io.LimitReader(log, limit))
	if err != nil {
		return "", 0, err
	}
	if cut > 0 { // at a line's beginning, if there is one
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			cut, text = cut+int64(i)+1, text[i+1:]
		}
	}
	return renderLog(string(text)), cut, nil
}

// renderLog makes HTML of a text.
func renderLog(text string) template.HTML {
	var p page
	for line := range strings.Lines(text) {
		p.line(strings.TrimRight(line, "\r\n"))
	}
	for range p.open {
		p.b.WriteString("</details>")
	}
	return template.HTML(p.b.String()) // all text in it went through escape
}

// page is the HTML of a log as it grows.
type page struct {
	b strings.Builder
	// open are the sections that have begun and not ended.
	open []string
}

// maxSections bounds how deep sections nest; what goes deeper is flat.
const maxSections = 20

func (p *page) line(line string) {
	marks, text := exec.ParseMarks(line)
	shown := exec.SanitizeTerminal(text, true)
	header := false
	for _, m := range marks {
		if m.Start && len(p.open) < maxSections {
			p.begin(m, shown, m == marks[len(marks)-1])
			header = m == marks[len(marks)-1]
		} else if !m.Start {
			p.end(m.Name)
		}
	}
	if header || len(marks) > 0 && strings.TrimSpace(shown) == "" {
		return
	}
	styled(&p.b, shown)
	p.b.WriteByte('\n')
}

func (p *page) begin(m exec.Mark, shown string, last bool) {
	p.open = append(p.open, m.Name)
	if m.Collapsed {
		p.b.WriteString("<details><summary>")
	} else {
		p.b.WriteString("<details open><summary>")
	}
	if last && strings.TrimSpace(shown) != "" {
		styled(&p.b, shown)
	} else {
		escape(&p.b, m.Name)
	}
	p.b.WriteString("</summary>")
}

// end closes a section, and those in it that have no end of their own.
func (p *page) end(name string) {
	for i := len(p.open) - 1; i >= 0; i-- {
		if p.open[i] == name {
			p.b.WriteString(strings.Repeat("</details>", len(p.open)-i))
			p.open = p.open[:i]
			return
		}
	}
}

func escape(b *strings.Builder, text string) { template.HTMLEscape(b, []byte(text)) }

// styled writes a line in which there is no escape sequence but SGR.
func styled(b *strings.Builder, line string) {
	var s style
	for {
		text, rest, found := strings.Cut(line, "\x1b[")
		s.write(b, text)
		if !found {
			return
		}
		parameters, after, _ := strings.Cut(rest, "m")
		s.apply(parameters)
		line = after
	}
}

// style is what SGR (ECMA-48, 8.3.117) sets of a text, as far as it is shown.
type style struct {
	bold, dim, italic, underline bool
	front, back                  int // 1 + a colour of 16; 0 for none
}

func (s *style) write(b *strings.Builder, text string) {
	if text == "" {
		return
	}
	if *s == (style{}) {
		escape(b, text)
		return
	}
	var classes []string
	for _, c := range []struct {
		on   bool
		name string
	}{{s.bold, "b"}, {s.dim, "d"}, {s.italic, "i"}, {s.underline, "u"}} {
		if c.on {
			classes = append(classes, c.name)
		}
	}
	if s.front > 0 {
		classes = append(classes, fmt.Sprintf("f%d", s.front-1))
	}
	if s.back > 0 {
		classes = append(classes, fmt.Sprintf("k%d", s.back-1))
	}
	b.WriteString(`<span class="` + strings.Join(classes, " ") + `">`)
	escape(b, text)
	b.WriteString("</span>")
}

// apply takes in the parameters of one sequence. Colours beyond the 16 are left
// out with their parameters.
func (s *style) apply(parameters string) {
	list := strings.FieldsFunc(parameters, func(r rune) bool { return r == ';' || r == ':' })
	if len(list) == 0 {
		*s = style{}
	}
	for i := 0; i < len(list); i++ {
		n := number(list[i])
		switch {
		case n == 0:
			*s = style{}
		case n == 1:
			s.bold = true
		case n == 2:
			s.dim = true
		case n == 3:
			s.italic = true
		case n == 4:
			s.underline = true
		case n == 22:
			s.bold, s.dim = false, false
		case n == 23:
			s.italic = false
		case n == 24:
			s.underline = false
		case 30 <= n && n <= 37:
			s.front = n - 29
		case n == 39:
			s.front = 0
		case 40 <= n && n <= 47:
			s.back = n - 39
		case n == 49:
			s.back = 0
		case 90 <= n && n <= 97:
			s.front = n - 81
		case 100 <= n && n <= 107:
			s.back = n - 91
		case n == 38 || n == 48:
			i += s.extended(n, list[i+1:])
		}
	}
}

// extended takes in a colour of 256 or more, and returns how many parameters
// it has.
func (s *style) extended(n int, list []string) int {
	switch {
	case len(list) > 1 && list[0] == "5":
		if c := number(list[1]); c < 16 && n == 38 {
			s.front = c + 1
		} else if c < 16 {
			s.back = c + 1
		}
		return 2
	case len(list) > 0 && list[0] == "2":
		return min(4, len(list))
	}
	return len(list)
}

// number is the value of digits, 1000 for one that is larger.
func number(digits string) int {
	n := 0
	for _, c := range digits {
		n = min(1000, n*10+int(c-'0'))
	}
	return n
}
