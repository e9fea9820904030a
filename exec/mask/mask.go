// Package mask replaces secrets in output by [MASKED]: the given values, in the
// forms in which they usually appear (see forms.go), and well-known access tokens
// that nobody has declared (package credential).
//
// Every byte that is part of an occurrence is masked; occurrences that overlap or
// touch become one mark. How output is cut into writes makes no difference. What
// cannot be part of an occurrence any more is passed on at once, so that nothing
// is ever delayed but the possible beginning of a secret.
//
// Not recognised: a secret with control characters in between, as a terminal
// would wrap or colour it; any other transformation, such as compression,
// reversal, or one character a line.
//
// mask.go is the way in, automaton.go finds, forms.go says what.
package mask

import (
	"bytes"
	"io"
	"slices"
	"sync"

	"github.com/cic-ci/cic/plan/credential"
)

// Mark stands for what was masked.
const Mark = "[MASKED]"

// Masker knows the secrets of a run. It does not change and may be used
// concurrently. Its memory is some 500 bytes for each byte of secrets. A nil one
// masks well-known tokens alone.
type Masker struct{ find *automaton }

// noSecrets is what a nil Masker does.
var noSecrets = sync.OnceValue(func() *Masker { return New(nil) })

// New makes a masker of the values, which must not be blank, and of well-known
// tokens.
func New(values []string) *Masker {
	var patterns []string
	seen := map[string]bool{}
	for _, v := range values {
		for _, p := range forms(v) {
			if !seen[p] {
				seen[p] = true
				patterns = append(patterns, p)
			}
		}
	}
	return &Masker{find: newAutomaton(patterns)}
}

// Longest is the length in bytes of the longest form of a value.
func (m *Masker) Longest() int {
	if m == nil {
		return 0
	}
	return m.find.longest
}

// Text masks a whole text.
func (m *Masker) Text(s string) string {
	if s == "" {
		return ""
	}
	var out bytes.Buffer
	w := m.Writer(&out)
	_, _ = w.Write([]byte(s)) // a buffer takes everything
	_ = w.Flush()
	return out.String()
}

// Writer returns a filter before w. It is not safe for concurrent use.
func (m *Masker) Writer(w io.Writer) *Writer {
	if m == nil {
		m = noSecrets()
	}
	return &Writer{a: m.find, w: w}
}

// Reader returns what r holds, masked.
func (m *Masker) Reader(r io.Reader) io.Reader {
	masked := &reader{from: r}
	masked.filter = m.Writer(&masked.ready)
	return masked
}

type reader struct {
	from   io.Reader
	filter *Writer
	ready  bytes.Buffer
	err    error // of from
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	buf := make([]byte, stepBytes)
	for r.ready.Len() == 0 && r.err == nil {
		var n int
		n, r.err = r.from.Read(buf)
		_, _ = r.filter.Write(buf[:n]) // a buffer takes everything
		if r.err != nil {
			_ = r.filter.Flush()
		}
	}
	if r.ready.Len() == 0 && r.err != nil {
		return 0, r.err
	}
	return r.ready.Read(p)
}

// stepBytes bounds what is masked at a time, and so the memory of a writer: a
// step, and what it makes of one.
const stepBytes = 64 << 10

// Writer masks a stream. An error of the writer behind it stays.
type Writer struct {
	a   *automaton
	w   io.Writer
	err error
	// held may begin a secret. Positions count from its start.
	held  []byte
	state int32
	runs  []run
	// spans are the parts to mask, ascending, apart from each other.
	spans []span
	out   []byte
}

// span is a part of the stream that is masked. It may have begun before what is
// held: then it was shown.
type span struct {
	start, end int
	shown      bool
}

// run is a token whose prefix was seen.
type run struct {
	start, count int
	shape        *credential.Shape
}

// Write masks p. It takes the whole of it unless the writer behind fails.
func (w *Writer) Write(p []byte) (int, error) {
	for n := 0; n < len(p) && w.err == nil; {
		part := p[n:min(len(p), n+stepBytes)]
		w.search(part)
		w.emit(part, w.decided(len(w.held)+len(part)))
		n += len(part)
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Flush passes on what is held: the output has ended, or begins anew.
func (w *Writer) Flush() error {
	w.state, w.runs = 0, w.runs[:0]
	w.emit(nil, len(w.held))
	w.spans = w.spans[:0]
	return w.err
}

// search runs the automaton over p, which follows what is held.
func (w *Writer) search(p []byte) {
	base, resume := len(w.held), 0
	for i := 0; i < len(p); i++ {
		// Where no pattern is known to have begun, look for the next that may: from
		// the earliest place that is still open, and never from the same one again.
		if depth := int(w.a.nodes[w.state].depth); w.a.quick && depth < window && i >= max(depth, resume) && len(w.runs) == 0 {
			i = w.a.seek(p, i-depth)
			w.state, resume = 0, i+window
		}
		c, end := p[i], base+i+1
		if len(w.runs) > 0 {
			w.follow(c, end)
		}
		w.state = w.a.next(w.state, c)
		n := &w.a.nodes[w.state]
		if n.match > 0 {
			w.mask(end-int(n.match), end)
		}
		if n.shaped {
			w.begin(end)
		}
	}
}

// begin notes the tokens whose prefix ends here. A second one of the same shape
// within the first would end where that does.
func (w *Writer) begin(end int) {
	for at := w.state; w.a.nodes[at].shaped; at = w.a.nodes[at].fail {
		n := &w.a.nodes[at]
		if n.shape == 0 {
			continue
		}
		shape := &credential.Shapes[n.shape-1]
		if !slices.ContainsFunc(w.runs, func(r run) bool { return r.shape == shape }) {
			w.runs = append(w.runs, run{start: end - int(n.depth), shape: shape})
		}
	}
}

// follow carries the tokens that have begun over one more byte.
func (w *Writer) follow(c byte, end int) {
	w.runs = slices.DeleteFunc(w.runs, func(r run) bool { return !r.shape.Follows[c] })
	for i := range w.runs {
		r := &w.runs[i]
		if r.count++; r.count >= r.shape.Min {
			w.mask(r.start, end)
		}
	}
}

// mask adds a span, which ends at or after all others, and joins those it touches.
func (w *Writer) mask(start, end int) {
	s := span{start: start, end: end}
	for n := len(w.spans); n > 0 && w.spans[n-1].end >= s.start; n-- {
		last := w.spans[n-1]
		s.start, s.shown = min(s.start, last.start), s.shown || last.shown
		w.spans = w.spans[:n-1]
	}
	w.spans = append(w.spans, s)
}

// decided is up to where nothing that comes can change what is to be printed:
// before the longest suffix that may begin a secret. What of it is masked in any
// case need not wait.
func (w *Writer) decided(end int) int {
	limit := end - int(w.a.nodes[w.state].depth)
	for _, r := range w.runs {
		if r.count < r.shape.Min {
			limit = min(limit, r.start)
		}
	}
	for _, s := range w.spans {
		if s.start <= limit {
			limit = max(limit, s.end)
		}
	}
	return max(limit, 0)
}

// emit prints what is held and p up to limit and holds the rest.
func (w *Writer) emit(p []byte, limit int) {
	for i := range w.runs {
		w.runs[i].start -= limit
	}
	if len(w.held) == 0 && len(w.spans) == 0 { // the common case, without a copy
		w.print(p[:limit])
		w.held = append(w.held, p[limit:]...)
		return
	}
	w.out = w.out[:0]
	done, kept := 0, w.spans[:0]
	for _, s := range w.spans {
		if s.start >= limit && !s.shown {
			kept = append(kept, s)
			continue
		}
		w.copy(p, done, s.start)
		if !s.shown {
			w.out = append(w.out, Mark...)
			s.shown = true
		}
		done = max(done, min(s.end, limit))
		if s.end >= limit { // it may go on
			kept = append(kept, s)
		}
	}
	w.copy(p, done, limit)
	w.print(w.out)
	w.spans = kept
	for i := range w.spans {
		w.spans[i].start -= limit
		w.spans[i].end -= limit
	}
	if n := len(w.held); limit < n {
		w.held = append(w.held[:copy(w.held, w.held[limit:])], p...)
	} else {
		w.held = append(w.held[:0], p[limit-n:]...)
	}
}

// copy adds the bytes from start to end of what is held and p to the output.
func (w *Writer) copy(p []byte, start, end int) {
	if n := len(w.held); start < n && start < end {
		w.out = append(w.out, w.held[start:min(end, n)]...)
		start = n
	}
	if n := len(w.held); start < end {
		w.out = append(w.out, p[start-n:end-n]...)
	}
}

func (w *Writer) print(p []byte) {
	if len(p) > 0 && w.err == nil {
		_, w.err = w.w.Write(p)
	}
}
