package mask

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

const (
	// minLine is the shortest line of a secret that is masked by itself.
	minLine = 4
	// minEncoded is the shortest encoded form that is masked.
	minEncoded = 6
)

// forms are the texts in which a secret shows: itself; each line of a longer one,
// as programs indent and number lines; and encoded in the usual ways, as a whole.
// White space around it is left out, as it is no secret and often lost.
func forms(value string) []string {
	value = strings.TrimSpace(value)
	all := []string{value}
	if strings.Contains(value, "\n") {
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); len(line) >= minLine {
				all = append(all, line)
			}
		}
	}
	var encoded []string
	encoded = append(encoded, base64Forms(value)...)
	encoded = append(encoded, hexForms(value)...)
	encoded = append(encoded, urlForms(value)...)
	encoded = append(encoded, jsonForms(value)...)
	encoded = append(encoded, shellForms(value)...)
	encoded = append(encoded, markupForms(value)...)
	for _, f := range encoded {
		if len(f) >= minEncoded {
			all = append(all, f)
		}
	}
	return all
}

// base64Forms are those of RFC 4648, both alphabets, at each of the three offsets
// at which a value can stand in what is encoded: the characters that its bits
// alone decide. Alone or before a newline, a value also decides the rest; then
// its lines are known too, where a program wraps them.
func base64Forms(value string) (all []string) {
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for offset := range 3 {
			text := enc.EncodeToString(append(make([]byte, offset), value...))
			first, last := (8*offset+5)/6, 8*(offset+len(value))/6
			all = append(all, text[first:last])
		}
		for _, whole := range []string{value, value + "\n"} {
			text := enc.EncodeToString([]byte(whole))
			all = append(all, text, strings.TrimRight(text, "="))
			for _, width := range []int{64, 76} { // of PEM and of MIME
				all = append(all, wrapped(text, width)...)
			}
		}
	}
	return all
}

func hexForms(value string) []string {
	text := hex.EncodeToString([]byte(value))
	all := []string{text, strings.ToUpper(text)}
	return append(all, wrapped(text, 60)...) // of xxd -p
}

// wrapped are the lines of a text that is longer than one.
func wrapped(text string, width int) (lines []string) {
	if len(text) <= width {
		return nil
	}
	for len(text) > width {
		lines = append(lines, text[:width])
		text = text[width:]
	}
	return append(lines, text)
}

// urlForms are the percent-encodings (RFC 3986): of all but unreserved
// characters; with slashes kept; as JavaScript's encodeURIComponent does; and that
// of forms, with plus signs for spaces. Hexadecimal digits in upper and lower case.
func urlForms(value string) (all []string) {
	const unreserved = "-._~"
	for _, kept := range []string{unreserved, unreserved + "/", unreserved + "!'()*", "-._* "} {
		for _, format := range []string{"%%%02X", "%%%02x"} {
			var b strings.Builder
			for i := range len(value) {
				switch c := value[i]; {
				case c == ' ' && strings.Contains(kept, " "):
					b.WriteByte('+')
				case isAlphanumeric(c) || strings.IndexByte(kept, c) >= 0:
					b.WriteByte(c)
				default:
					fmt.Fprintf(&b, format, c)
				}
			}
			all = append(all, b.String())
		}
	}
	return all
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// jsonForms are the inside of a JSON string (RFC 8259): minimal, with <, > and &
// escaped, and with all but ASCII escaped; each also with escaped slashes.
func jsonForms(value string) (all []string) {
	var minimal strings.Builder
	enc := json.NewEncoder(&minimal)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil // no string fails
	}
	safe, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	for _, text := range []string{strings.TrimSuffix(minimal.String(), "\n"), string(safe)} {
		text = text[1 : len(text)-1]
		for _, form := range []string{text, asciiOnly(text)} {
			all = append(all, form, strings.ReplaceAll(form, "/", `\/`))
		}
	}
	return all
}

// asciiOnly escapes all other characters as JSON does.
func asciiOnly(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// shellForms are the inside of a word in single quotes, as set -x prints it in
// dash and in other shells, and a word whose special characters are escaped one by one.
func shellForms(value string) []string {
	var escaped strings.Builder
	for i := range len(value) {
		if c := value[i]; c < 0x80 && !isAlphanumeric(c) && strings.IndexByte("%+,-./:=@_\n", c) < 0 {
			escaped.WriteByte('\\')
		}
		escaped.WriteByte(value[i])
	}
	return []string{
		strings.ReplaceAll(value, "'", `'\''`),
		strings.ReplaceAll(value, "'", `'"'"'`),
		escaped.String(),
	}
}

// markupForms are the text of HTML and XML, as libraries differ in what they
// escape and how.
func markupForms(value string) (all []string) {
	for _, quotes := range [][]string{
		nil,
		{`"`, "&quot;"},
		{`"`, "&quot;", "'", "&apos;"},
		{`"`, "&quot;", "'", "&#39;"},
		{`"`, "&quot;", "'", "&#x27;"},
		{`"`, "&#34;", "'", "&#39;"},
	} {
		pairs := append([]string{"&", "&amp;", "<", "&lt;", ">", "&gt;"}, quotes...)
		all = append(all, strings.NewReplacer(pairs...).Replace(value))
	}
	return all
}
