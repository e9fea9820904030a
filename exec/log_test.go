package exec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// split cuts data, written in pieces of the given sizes, into lines; one that
// is continued ends in a backslash.
func split(limit int, data []byte, sizes []byte) (lines []string) {
	s := splitter{max: limit, emit: func(b []byte, continued bool) {
		line := string(b)
		if continued {
			line += "\\"
		}
		lines = append(lines, line)
	}}
	for _, n := range sizes {
		k := min(int(n), len(data))
		s.write(data[:k])
		data = data[k:]
	}
	s.write(data)
	s.flush()
	return lines
}

func TestSplitter(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"a", []string{"a"}},
		{"a\n", []string{"a"}},
		{"a\nb", []string{"a", "b"}},
		{"\n\n", []string{"", ""}},
		{"a\r\nb\r", []string{"a", "b"}},
		{"10%\r20%\n", []string{"10%\r20%"}},
		{"12345678\n", []string{"12345678"}},
		{"123456789\n", []string{"12345678\\", "9"}},
		{"1234567812345678\n", []string{"12345678\\", "12345678"}},
		{"1234567é89\n", []string{"1234567\\", "é89"}},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\n", []string{"\xff\xff\xff\xff\xff\xff\xff\xff\\", "\xff"}},
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\n", []string{"\x80\x80\x80\x80\x80\x80\x80\x80\\", "\x80"}},
	} {
		if got := split(8, []byte(tt.in), nil); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add([]byte("one\ntwo\r\nthree is longer than the limit\xff\xfe\né"), []byte{1, 2, 3, 200})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		whole := split(8, data, nil)
		if got := split(8, data, sizes); !slices.Equal(got, whole) {
			t.Errorf("in pieces of %v: %q, whole: %q", sizes, got, whole)
		}
		for _, line := range whole {
			if len(strings.TrimSuffix(line, "\\")) > 8 && len(line) > 9 || strings.Contains(line, "\n") {
				t.Errorf("line %q", line)
			}
		}
	})
}

// logged collects what a jobLog tells.
type logged struct{ lines, notes []string }

func (l *logged) log(w io.Writer, limit int64) *jobLog {
	return newJobLog(w, nil, limit,
		func(text string, continued bool) { l.lines = append(l.lines, text) },
		func(text string, warning bool) { l.notes = append(l.notes, text) })
}

func TestJobLogLimit(t *testing.T) {
	for _, size := range []int{1, 3, 1000} { // of the writes
		var file bytes.Buffer
		var l logged
		log := l.log(&file, 10)
		for data := []byte("0123\n56789ABC\n"); len(data) > 0; {
			n := min(size, len(data))
			if m, err := log.Write(data[:n]); m != n || err != nil {
				t.Fatalf("Write = %d, %v", m, err)
			}
			data = data[n:]
		}
		tail, err := log.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(tail, []string{"0123", "56789", "ABC"}) {
			t.Errorf("tail %q", tail)
		}
		if !slices.Equal(l.lines, []string{"0123", "56789"}) || len(l.notes) != 1 {
			t.Errorf("lines %q, notes %q", l.lines, l.notes)
		}
		if want := "0123\n56789\ncic: warning: log_truncated: the output is longer than 10 B; the rest is dropped, the job goes on\n"; file.String() != want {
			t.Errorf("file %q", file.String())
		}
	}
}

// TestJobLogEndTail: the tail is that of the program that failed, not of what came after
// it, whether the log has room for these or not.
func TestJobLogEndTail(t *testing.T) {
	for _, limit := range []int64{1000, 12, 8, 4} {
		var l logged
		log := l.log(io.Discard, limit)
		io.WriteString(log, "one\ntwo\nthr")
		log.EndTail()
		log.Note(false, "after_script")
		for range 2 * tailLines {
			io.WriteString(log, "later\n")
		}
		log.Settle()
		tail, err := log.Close()
		if err != nil || !slices.Equal(tail, []string{"one", "two", "thr"}) {
			t.Errorf("limit %d: tail %q, %v", limit, tail, err)
		}
		if wantOutput := limit == 1000; slices.Contains(l.lines, "later") != wantOutput {
			t.Errorf("limit %d: lines %q", limit, l.lines)
		}
	}
}

func TestJobLogTailOfFullLog(t *testing.T) {
	var l logged
	log := l.log(io.Discard, 10)
	for i := range 100_000 {
		fmt.Fprintf(log, "line %d\n", i)
	}
	if held := cap(log.late.data) + cap(log.end); held > 8*maxLate {
		t.Errorf("a full log holds %d bytes", held)
	}
	tail, err := log.Close()
	if err != nil || len(tail) != tailLines || tail[0] != "line 99980" || tail[tailLines-1] != "line 99999" {
		t.Errorf("tail %q, %v", tail, err)
	}
}

// TestJobLogFullMasks: what is shown of the output of a full log is masked, however
// little of a secret the part that is held begins with.
func TestJobLogFullMasks(t *testing.T) {
	secret := "first-part/" + hunter
	for shift := range 2 * len(secret) {
		log := newJobLog(io.Discard, secretsOf("TOKEN", secret).Masker(), 10, func(string, bool) {}, func(string, bool) {})
		io.WriteString(log, strings.Repeat("-", shift))
		for range 5 * maxLate / len(secret) {
			io.WriteString(log, secret)
		}
		io.WriteString(log, "\nnext "+secret[:4])
		log.Settle()
		io.WriteString(log, secret[4:]+" glpat-"+strings.Repeat("x", 3*maxLate)+"\nend "+secret+"\n")
		tail, err := log.Close()
		if err != nil || len(tail) == 0 || tail[len(tail)-1] != "end [MASKED]" {
			t.Fatalf("tail %q, %v", tail, err)
		}
		for _, line := range tail {
			if strings.Contains(line, "xxxx") || strings.Contains(line, hunter[2:]) {
				t.Fatalf("shift %d: tail %q", shift, tail)
			}
		}
	}
}

// TestJobLogFullMasksBlanks: so is a secret that holds blanks, wherever in it the part
// that is held begins.
func TestJobLogFullMasksBlanks(t *testing.T) {
	const secret = "correct horse battery staple"
	const first = "first line\n"
	for shift := range len(secret) + 1 {
		log := newJobLog(io.Discard, secretsOf("PHRASE", secret).Masker(), int64(len(first)), func(string, bool) {}, func(string, bool) {})
		io.WriteString(log, first)
		io.WriteString(log, "\n"+strings.Repeat("-", shift)) // it is full now
		io.WriteString(log, strings.Repeat(secret+" ", 5*maxLate/len(secret))+"\nend\n")
		tail, err := log.Close()
		if err != nil || len(tail) != 3 || tail[2] != "end" {
			t.Fatalf("tail %q, %v", tail, err)
		}
		if rest := strings.ReplaceAll(strings.TrimSuffix(tail[1], "..."), "[MASKED]", ""); len(tail[1]) < tailWidth || len(strings.TrimSpace(rest)) >= len("[MASKED]") {
			t.Fatalf("shift %d: tail %q", shift, tail)
		}
	}
}

func TestJobLogNote(t *testing.T) {
	var file bytes.Buffer
	var l logged
	log := l.log(&file, 1000)
	log.Note(false, "first")
	io.WriteString(log, "half a line")
	log.Note(true, "no %s", "match")
	io.WriteString(log, "end\n")
	log.Note(false, "last")
	if _, err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "cic: first\nhalf a line\ncic: warning: no match\nend\ncic: last\n"; file.String() != want {
		t.Errorf("file %q", file.String())
	}
	if !slices.Equal(l.lines, []string{"half a line", "end"}) || !slices.Equal(l.notes, []string{"first", "no match", "last"}) {
		t.Errorf("%q %q", l.lines, l.notes)
	}
	// What comes late is dropped.
	io.WriteString(log, "late\n")
	log.Note(false, "late")
	if strings.Contains(file.String(), "late") || len(l.lines) != 2 {
		t.Errorf("file %q", file.String())
	}
}

func TestJobLogKeepsRawBytes(t *testing.T) {
	raw := "\x00\xff\x1b[2J\x1b]0;title\x07 10%\r20%\r\nbell\x07"
	var file bytes.Buffer
	var l logged
	log := l.log(&file, 1000)
	io.WriteString(log, raw)
	tail, err := log.Close()
	if file.String() != raw || err != nil {
		t.Errorf("file %q, %v", file.String(), err)
	}
	if len(tail) != 2 || !utf8.ValidString(tail[0]) {
		t.Errorf("tail %q", tail)
	}
}

type brokenDisk struct{ writes int }

func (d *brokenDisk) Write([]byte) (int, error) {
	d.writes++
	return 0, errors.New("no space left on device")
}

func TestJobLogBrokenDisk(t *testing.T) {
	var l logged
	disk := &brokenDisk{}
	log := l.log(disk, 1000)
	for range 3 {
		if n, err := io.WriteString(log, "line\n"); n != 5 || err != nil {
			t.Errorf("the job sees the disk's error: %d, %v", n, err)
		}
	}
	if _, err := log.Close(); err == nil || disk.writes != 1 || len(l.lines) != 3 {
		t.Errorf("%v after %d writes, %d lines", err, disk.writes, len(l.lines))
	}
}

// TestJobLogMemory pours a flood through: neither many lines nor one endless
// line may pile up.
func TestJobLogMemory(t *testing.T) {
	longest := 0
	count := 0
	log := newJobLog(io.Discard, nil, 1<<40, func(text string, continued bool) {
		longest = max(longest, len(text))
		count++
	}, func(string, bool) {})
	chunk := bytes.Repeat([]byte{'x'}, 1<<16)
	for range 1 << 11 { // 128 MiB without a newline
		log.Write(chunk)
	}
	if longest > maxLine || count < 127 {
		t.Errorf("%d pieces, the longest %d bytes", count, longest)
	}
	if c := cap(log.lines.buf); c > 2*maxLine+1<<16 {
		t.Errorf("the buffer grew to %d bytes", c)
	}
	full := newJobLog(io.Discard, nil, 1, func(string, bool) {}, func(string, bool) {})
	full.Write([]byte("xx"))
	if n := testing.AllocsPerRun(100, func() { full.Write(chunk) }); n > 0 {
		t.Errorf("a full log allocates %v times a write", n)
	}
}

func TestByteSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 100 << 20: "100 MiB", 3 << 40: "3 TiB", 5000 << 40: "5000 TiB"} {
		if got := ByteSize(n); got != want {
			t.Errorf("ByteSize(%d) = %s, want %s", n, got, want)
		}
	}
}
