package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cic-ci/cic/plan/credential"
)

func TestText(t *testing.T) {
	token := "glpat-" + strings.Repeat("x", 20)
	for _, tt := range []struct {
		name    string
		secrets []string
		in      string
		want    string
	}{
		{"nothing", nil, "plain text\n", "plain text\n"},
		{"alone", []string{"hunter2hunter2"}, "hunter2hunter2", "[MASKED]"},
		{"in a line", []string{"hunter2hunter2"}, "is hunter2hunter2!\n", "is [MASKED]!\n"},
		{"almost", []string{"hunter2hunter2"}, "hunter2hunter3", "hunter2hunter3"},
		{"begins in itself", []string{"aab"}, "aaab aaaab ab", "a[MASKED] aa[MASKED] ab"},
		{"begins late", []string{"hunter2hunter3"}, "hunter2hunter2hunter3", "hunter2[MASKED]"},
		{"nested", []string{"pass", "password"}, "password pass passwor", "[MASKED] [MASKED] [MASKED]wor"},
		{"nested, other order", []string{"password", "pass"}, "password pass passwor", "[MASKED] [MASKED] [MASKED]wor"},
		{"inside of another", []string{"abcdefgh", "cdef"}, "abcdefgh abcdefx", "[MASKED] ab[MASKED]x"},
		{"overlapping", []string{"abcdefgh", "efghijkl"}, "-abcdefghijkl-", "-[MASKED]-"},
		{"touching", []string{"hunter2hunter2"}, "hunter2hunter2hunter2hunter2", "[MASKED]"},
		{"part of the mark", []string{"MASKED", "]["}, "MASKED [MASKED] ][", "[MASKED] [[MASKED]] [MASKED]"},
		{"one letter", []string{"a"}, "banana aaa", "b[MASKED]n[MASKED]n[MASKED] [MASKED]"},
		{"white space around", []string{"  hunter2hunter2\n"}, "(hunter2hunter2)", "([MASKED])"},
		{"lines", []string{"first line\r\n  second\nxy\n"}, "2: second\n1: first line\nxy\n", "2: [MASKED]\n1: [MASKED]\nxy\n"},
		{"all lines", []string{"first line\nsecond\nxy"}, ">first line\nsecond\nxy<", ">[MASKED]<"},
		{"token", nil, "a " + token + " b", "a [MASKED] b"},
		{"token, too short", nil, "glpat-xxx glpat-" + strings.Repeat("x", 19), "glpat-xxx glpat-" + strings.Repeat("x", 19)},
		{"token, longer", nil, "TOKEN=" + token + "yz-_9.", "TOKEN=[MASKED]"},
		{"token in a token", nil, "AKIA1ghp_" + strings.Repeat("y", 36) + "!", "AKIA1[MASKED]!"},
		{"token in a run", nil, token + token, "[MASKED]"},
		{"two kinds", nil, "xoxb-AKIA" + strings.Repeat("7", 16) + strings.Repeat("z", 20), "[MASKED]"},
		{"token and secret", []string{"xxxx xxxx"}, token + " xxxx", "[MASKED]"},
		{"binary", []string{"\xff\xfe\x00\x01bytes"}, "\x00\xff\xfe\x00\x01bytes\xff", "\x00[MASKED]\xff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := New(tt.secrets).Text(tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			checkChunks(t, tt.secrets, []byte(tt.in))
		})
	}
}

// checkChunks compares what comes out, for one secret at every way of cutting in
// two and for all single bytes, with what the definition asks for.
func checkChunks(t *testing.T, secrets []string, in []byte) {
	t.Helper()
	m := New(secrets)
	want := string(defined(secrets, in))
	for cut := range len(in) + 1 {
		if got := masked(t, m, in[:cut], in[cut:]); got != want {
			t.Fatalf("cut at %d: %q, want %q", cut, got, want)
		}
	}
	if got := masked(t, m, slices.Collect(slices.Chunk(in, 1))...); got != want {
		t.Fatalf("byte by byte: %q, want %q", got, want)
	}
}

func masked(t *testing.T, m *Masker, chunks ...[]byte) string {
	t.Helper()
	var out bytes.Buffer
	w := m.Writer(&out)
	for _, c := range chunks {
		if n, err := w.Write(slices.Clone(c)); n != len(c) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// defined is what masking means, without any cleverness.
func defined(secrets []string, in []byte) []byte {
	hidden := make([]bool, len(in))
	hide := func(at, n int) {
		for i := range n {
			hidden[at+i] = true
		}
	}
	for _, s := range secrets {
		for _, f := range forms(s) {
			for at := range in {
				if bytes.HasPrefix(in[at:], []byte(f)) {
					hide(at, len(f))
				}
			}
		}
	}
	for _, s := range credential.Shapes {
		for at := range in {
			if !bytes.HasPrefix(in[at:], []byte(s.Prefix)) {
				continue
			}
			end := at + len(s.Prefix)
			for end < len(in) && s.Follows[in[end]] {
				end++
			}
			if n := end - at; n-len(s.Prefix) >= s.Min {
				hide(at, n)
			}
		}
	}
	var out []byte
	for i, c := range in {
		switch {
		case !hidden[i]:
			out = append(out, c)
		case i == 0 || !hidden[i-1]:
			out = append(out, Mark...)
		}
	}
	return out
}

func FuzzWriter(f *testing.F) {
	f.Add([]byte("hunter2hunter2hunter3 aaab abab"), []byte("hunter2hunter3\x00aab\x00ab"), []byte{1, 2, 3, 200, 5})
	f.Add([]byte("password pass passwor glpat-aaaaaaaaaaaaaaaaaaaaaa AKIAXXXXXXXXXXXXXXXX"), []byte("pass\x00password"), []byte{7})
	f.Add([]byte("line one\nline two\nxyz"), []byte("line one\nline two"), []byte{4})
	f.Add([]byte("aHVudGVyMg== 68756e746572"), []byte("hunter2"), []byte{3})
	f.Fuzz(func(t *testing.T, in, list, sizes []byte) {
		var secrets []string
		for s := range strings.SplitSeq(string(list), "\x00") {
			if strings.TrimSpace(s) != "" {
				secrets = append(secrets, s)
			}
		}
		var chunks [][]byte
		rest := in
		for _, n := range sizes {
			k := min(int(n), len(rest))
			chunks, rest = append(chunks, rest[:k]), rest[k:]
		}
		m := New(secrets)
		want := string(defined(secrets, in))
		if got := masked(t, m, append(chunks, rest)...); got != want {
			t.Errorf("secrets %q, in pieces of %v: %q, want %q", secrets, sizes, got, want)
		}
	})
}

// TestRandom tries what a fuzzer takes long to find: few letters, so that almost
// everything overlaps, and pieces of every size.
func TestRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "ab\n"[rnd.IntN(20)/9]
		}
		return string(b)
	}
	for range 3000 {
		var secrets []string
		for range rnd.IntN(4) {
			if s := text(1 + rnd.IntN(9)); strings.TrimSpace(s) != "" {
				secrets = append(secrets, s)
			}
		}
		in := []byte(text(rnd.IntN(60)))
		var chunks [][]byte
		for rest := in; len(rest) > 0; {
			n := 1 + rnd.IntN(len(rest))
			chunks, rest = append(chunks, rest[:n]), rest[n:]
		}
		want := string(defined(secrets, in))
		if got := masked(t, New(secrets), chunks...); got != want {
			t.Fatalf("secrets %q, %q in %d pieces: %q, want %q", secrets, in, len(chunks), got, want)
		}
	}
}

// Whatever cannot be part of a secret any more is passed on at once, and nothing
// that can: waiting would hide that a job waits for an answer.
func TestHoldsBackOnlyWhatMayBeSecret(t *testing.T) {
	m := New([]string{"hunter2hunter3", "-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----"})
	for _, tt := range []struct{ in, out string }{
		{"Continue? ", "Continue? "},
		{"the line\n", "the line\n"},
		{"hunter2", ""},
		{"x hunter2hunter2", "x hunter2"},
		{"hunter2hunter3", Mark},
		{"hunter2hunter3\n", Mark + "\n"},
		{"-----BEGIN KEY-----\n", Mark},
		{"-----BEGIN KEY-----\nabc", Mark},
		{"-----BEGIN KEY-----\nab!", Mark + "\nab!"},
		{"-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----", Mark},
		{"a glpat-12", "a "},
		{"a glpat-12 ", "a glpat-12 "},
		{"a glpat-12345678901234567890", "a " + Mark},
	} {
		var out bytes.Buffer
		w := m.Writer(&out)
		_, _ = w.Write([]byte(tt.in))
		if out.String() != tt.out {
			t.Errorf("%q: at once %q, want %q", tt.in, out.String(), tt.out)
		}
		if err := w.Flush(); err != nil || out.String() != m.Text(tt.in) {
			t.Errorf("%q: at last %q, want %q", tt.in, out.String(), m.Text(tt.in))
		}
	}
}

const keyFile = `{
  "type": "service_account",
  "private_key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg/kqhkiG9w0+BAQEFAASC\n-----END PRIVATE KEY-----\n"
}
`

// TestForms holds what other programs make of a secret against the masker.
func TestForms(t *testing.T) {
	for _, secret := range []string{"hunter2hunter3", `it's a "p&ss<w>ord"/+?$1 %é€😀`, "exactly-9", "exactly-10", keyFile} {
		m := New([]string{secret})
		value := strings.TrimSpace(secret)
		quoted, err := json.Marshal(map[string]string{"k": value})
		if err != nil {
			t.Fatal(err)
		}
		shown := map[string]string{
			"raw":          value,
			"html":         html.EscapeString(value),
			"xml":          xmlText(t, value),
			"json":         strings.TrimSuffix(strings.TrimPrefix(string(quoted), `{"k":"`), `"}`),
			"query":        url.QueryEscape(value),
			"path":         strings.ReplaceAll(url.QueryEscape(value), "+", "%20"),
			"hex":          hex.EncodeToString([]byte(value)),
			"HEX":          fmt.Sprintf("%X", value),
			"dash":         strings.ReplaceAll(value, "'", `'"'"'`),
			"bash":         strings.ReplaceAll(value, "'", `'\''`),
			"base64":       base64.StdEncoding.EncodeToString([]byte(value)),
			"base64 line":  base64.StdEncoding.EncodeToString([]byte(value + "\n")),
			"base64 url":   base64.RawURLEncoding.EncodeToString([]byte(value)),
			"base64 lines": strings.Join(wrapped(base64.StdEncoding.EncodeToString([]byte(value)), 76), "\n"),
		}
		for name, text := range shown {
			for line := range strings.Lines(m.Text(text)) {
				if strings.TrimSpace(line) != Mark {
					if len(strings.TrimSpace(line)) >= minLine { // such as a brace
						t.Errorf("%q as %s: %q", secret, name, line)
					}
				}
			}
		}
		// Within something longer, at each offset, at most a character at each end shows.
		for offset := range 3 {
			text := base64.StdEncoding.EncodeToString([]byte("ABC"[:offset] + value + "XYZ"))
			got := m.Text(text)
			if !strings.Contains(got, Mark) || len(strings.ReplaceAll(got, Mark, "")) > 4*2+2 {
				t.Errorf("%q at offset %d: %q", secret, offset, got)
			}
		}
	}
}

func xmlText(t *testing.T, value string) string {
	t.Helper()
	var b strings.Builder
	// It escapes newlines as well, which are masked line by line.
	for i, line := range strings.Split(value, "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		if err := xml.EscapeText(&b, []byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestReader(t *testing.T) {
	m := New([]string{"hunter2hunter3"})
	for _, in := range []string{"", "x", "a hunter2hunter3 b", strings.Repeat("hunter2hunter3, ", 10_000), "ends in hunter2"} {
		got, err := io.ReadAll(m.Reader(iotest.OneByteReader(strings.NewReader(in))))
		if err != nil || string(got) != m.Text(in) {
			t.Errorf("%.40q: %.40q, %v", in, got, err)
		}
	}
	got, err := io.ReadAll(m.Reader(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("ab")))))
	if !errors.Is(err, iotest.ErrTimeout) || string(got) != "a" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTokens(t *testing.T) {
	m := New(nil)
	for _, s := range credential.Shapes {
		body := strings.Repeat("7", s.Min)
		if got := m.Text("<" + s.Prefix + body + ">"); got != "<"+Mark+">" {
			t.Errorf("%s: %q", s.Prefix, got)
		}
		short := s.Prefix + body[1:]
		if got := m.Text(short); got != short {
			t.Errorf("%s: too short a token is masked: %q", s.Prefix, got)
		}
	}
}

type broken struct{ writes int }

func (b *broken) Write(p []byte) (int, error) {
	b.writes++
	return 0, errors.New("no space left on device")
}

func TestError(t *testing.T) {
	b := &broken{}
	w := New(nil).Writer(b)
	for range 3 {
		if n, err := w.Write([]byte("line\n")); n != 0 || err == nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	if w.Flush() == nil || b.writes != 1 {
		t.Errorf("%d writes", b.writes)
	}
}

// TestMemory pours a flood through: nothing may pile up, also where everything
// looks like the beginning of a secret or is one.
func TestMemory(t *testing.T) {
	for _, secret := range []string{strings.Repeat("x", 1000) + "y", strings.Repeat("x", 1000), "x"} {
		m := New([]string{secret})
		w := m.Writer(io.Discard)
		chunk := bytes.Repeat([]byte{'x'}, 32<<10)
		for range 200 {
			_, _ = w.Write(chunk)
		}
		if held := cap(w.held) + cap(w.out) + 24*cap(w.spans); held > 1<<20 {
			t.Errorf("%q: %d bytes are held", secret[len(secret)-1:], held)
		}
		if n := testing.AllocsPerRun(10, func() { _, _ = w.Write(chunk) }); n > 0 {
			t.Errorf("%q: %v allocations a write", secret[len(secret)-1:], n)
		}
	}
	large := New([]string{strings.Repeat("0123456789abcdef", 4096)})
	if size := 24 * cap(large.find.nodes); size > 64<<20 {
		t.Errorf("a secret of 64 KiB takes %d MiB", size>>20)
	}
}
