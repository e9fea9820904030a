package exec

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/cic-ci/cic/exec/mask"
)

const (
	maxLine   = 1 << 20 // bytes of one job_output event
	tailLines = 20
	tailWidth = 400              // bytes kept of a line of the tail
	maxLate   = tailLines * 4096 // bytes kept of what a full log drops

	// DefaultLogLimit is how many bytes of a job's output are kept.
	DefaultLogLimit = 100 << 20
)

// splitter cuts a stream into lines. How the stream is cut into writes makes no
// difference. Lines end at a newline, which is dropped with one carriage return
// before it; a longer line than max comes in pieces, cut between runes.
type splitter struct {
	max  int
	emit func(line []byte, continued bool)
	buf  []byte
}

func (s *splitter) write(p []byte) {
	for len(p) > 0 {
		if n := bytes.IndexByte(p, '\n'); n >= 0 && len(s.buf) == 0 && n <= s.max {
			s.line(p[:n]) // the common case, without a copy
			p = p[n+1:]
			continue
		}
		// One byte more than max tells whether the line really is too long.
		part := p[:min(len(p), s.max+1-len(s.buf))]
		if n := bytes.IndexByte(part, '\n'); n >= 0 {
			s.line(append(s.buf, part[:n]...))
			s.buf = s.buf[:0]
			p = p[n+1:]
			continue
		}
		s.buf = append(s.buf, part...)
		p = p[len(part):]
		if len(s.buf) > s.max {
			cut := runeCut(s.buf, s.max)
			s.emit(s.buf[:cut], true)
			s.buf = append(s.buf[:0], s.buf[cut:]...)
		}
	}
}

// flush ends a last line that has no newline.
func (s *splitter) flush() {
	if len(s.buf) > 0 {
		s.line(s.buf)
		s.buf = s.buf[:0]
	}
}

func (s *splitter) line(b []byte) { s.emit(bytes.TrimSuffix(b, []byte("\r")), false) }

// runeCut is the largest cut of b at or before n that does not split a rune.
func runeCut(b []byte, n int) int {
	for cut := n; cut > 0 && cut > n-utf8.UTFMax; cut-- {
		if utf8.RuneStart(b[cut]) {
			return cut
		}
	}
	return n
}

// jobLog takes the output of one job. Secrets are masked before anything else
// sees it; then the bytes go to the log file as they are, whole lines to the
// observer. Memory is bounded by the longest line. A write never fails for the
// job's sake: the first error is kept for the end of the job. Writes after close
// are dropped, as a program's last output may come late.
type jobLog struct {
	// note and output reach the observer; output may wait for a slow one.
	note   func(text string, warning bool)
	output func(text string, continued bool)

	masker *mask.Masker
	mu     sync.Mutex
	in     *mask.Writer // before take
	file   io.Writer    // nil for none
	left   int64        // bytes until the log is full
	limit  int64
	lines  splitter
	tail   []string // a ring, next is its oldest
	next   int
	midway bool // the last byte was not a newline
	full   bool
	late   lateOutput
	end    []byte // of what came after the log was full, masked
	tailed bool   // the tail is complete
	closed bool
	err    error
}

func newJobLog(file io.Writer, m *mask.Masker, limit int64, output func(string, bool), note func(string, bool)) *jobLog {
	l := &jobLog{note: note, output: output, masker: m, file: file, left: limit, limit: limit}
	l.in = m.Writer(writerFunc(l.take))
	l.late.secret = m.Longest()
	l.lines = splitter{max: maxLine, emit: l.line}
	return l
}

// writerFunc is a function as an [io.Writer] that takes everything.
type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// Write implements [io.Writer].
func (l *jobLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed, l.full && l.tailed:
		return len(p), nil
	case l.full:
		l.late.keep(p)
		return len(p), nil
	}
	return l.in.Write(p)
}

// Settle tells that the program whose output this was has ended: what might have
// become a secret will not.
func (l *jobLog) Settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle()
}

func (l *jobLog) settle() {
	gap, unsure, late := l.late.take()
	if gap {
		// What the filter and this hold is of output before the gap.
		l.flush()
		_, _ = l.in.Write(unsure)
		l.end = l.end[:0]
	}
	_, _ = l.in.Write(late)
	l.flush()
	if gap {
		l.end = afterBlank(l.end)
	}
}

func (l *jobLog) flush() {
	if err := l.in.Flush(); err != nil && l.err == nil {
		l.err = err
	}
}

// take takes output without secrets.
func (l *jobLog) take(p []byte) {
	if l.full {
		l.keepEnd(p)
		return
	}
	all := p
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	l.left -= int64(len(p))
	l.raw(p)
	l.lines.write(p)
	if cut := all[len(p):]; len(cut) > 0 {
		l.lines.flush()
		l.full = true
		l.keepEnd(cut)
		l.say(fmt.Sprintf("log_truncated: the output is longer than %s; the rest is dropped, the job goes on", ByteSize(l.limit)), true)
	}
}

// keepEnd keeps the end of what the log has no room for, so that the last lines
// of a failed job are its last.
func (l *jobLog) keepEnd(p []byte) { l.end = keepLast(l.end, p, maxLate) }

// Note adds a line of the executor's own, marked as such.
func (l *jobLog) Note(warning bool, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.lines.flush()
	l.say(l.masker.Text(fmt.Sprintf(format, args...)), warning)
}

func (l *jobLog) say(text string, warning bool) {
	start := ""
	if l.midway {
		start = "\n"
	}
	kind := ""
	if warning {
		kind = "warning: "
	}
	l.raw(fmt.Appendf(nil, "%scic: %s%s\n", start, kind, text))
	l.note(text, warning)
}

func (l *jobLog) raw(p []byte) {
	if len(p) == 0 {
		return
	}
	l.midway = p[len(p)-1] != '\n'
	if l.file == nil || l.err != nil {
		return
	}
	if _, err := l.file.Write(p); err != nil {
		l.err = err
	}
}

func (l *jobLog) line(b []byte, continued bool) {
	if !l.tailed {
		l.keepTail(b)
	}
	if !l.full {
		l.output(string(b), continued)
	}
}

func (l *jobLog) keepTail(line []byte) {
	kept := string(line[:min(len(line), tailWidth)])
	if len(line) > tailWidth {
		kept = kept[:runeCut(line, tailWidth)] + " ..."
	}
	if len(l.tail) < tailLines {
		l.tail = append(l.tail, kept)
		return
	}
	l.tail[l.next] = kept
	l.next = (l.next + 1) % tailLines
}

// EndTail makes the lines so far the last that Close returns. It is told that the
// program whose failure they are to explain has ended.
func (l *jobLog) EndTail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle()
	l.endTail()
}

func (l *jobLog) endTail() {
	if !l.tailed {
		l.lines.write(l.end)
	}
	l.lines.flush()
	l.tailed = true
}

// Close ends the last line. It returns the last lines of output, up to EndTail, as
// valid UTF-8, and the first error of the log file.
func (l *jobLog) Close() (tail []string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.settle()
		l.endTail()
		l.closed = true
	}
	tail = slices.Concat(l.tail[l.next:], l.tail[:l.next])
	for i := range tail {
		tail[i] = strings.ToValidUTF8(tail[i], "\uFFFD")
	}
	return tail, l.err
}

// ByteSize prints a size for people: 512 B, 1.5 KiB, 100 MiB.
func ByteSize(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < 3 {
		f /= 1024
		unit++
	}
	s := strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0")
	return s + " " + [...]string{"KiB", "MiB", "GiB", "TiB"}[unit]
}
