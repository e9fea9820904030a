package exec

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// liveStep is how often what runs is shown anew.
	liveStep = 100 * time.Millisecond
	// liveLines bounds how much of the screen it takes.
	liveLines = 10
)

// Live shows on a terminal, below all that is printed, which jobs run and for
// how long: lines that it rewrites. Everything that goes to the terminal must go
// through it: a [TextView] writes to it, other writers are wrapped. What it shows
// is erased before a line is printed and drawn again by a clock of its own, so
// that a flood of output costs no more for it.
type Live struct {
	size func() (columns, rows int)
	now  func() time.Time
	dim  bool
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	w       io.Writer
	err     error
	running []liveJob
	jobs    int
	ended   int
	started time.Time
	// drawn holds the width of each line that is on the screen now.
	drawn []int
	// midway: the cursor is not at the beginning of a line, behind a question perhaps.
	midway bool
	held   bool
	shown  string // what was drawn last
}

type liveJob struct {
	name  string
	since time.Time
}

// NewLive returns a view on the terminal w, whose size is asked for whenever it
// is needed. Close must be called.
func NewLive(w io.Writer, size func() (columns, rows int), now func() time.Time, colour bool) *Live {
	l := &Live{w: w, size: size, now: now, dim: colour, stop: make(chan struct{}), done: make(chan struct{})}
	go l.tick()
	return l
}

func (l *Live) tick() {
	defer close(l.done)
	clock := time.NewTicker(liveStep)
	defer clock.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-clock.C:
			l.mu.Lock()
			l.draw()
			l.mu.Unlock()
		}
	}
}

// Observe takes note of what runs. It is not an observer alone: what happens is
// printed by others.
func (l *Live) Observe(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.Type {
	case EventRunStarted:
		l.jobs, l.started = e.Jobs, e.Time
	case EventPipelineStarted:
		l.jobs += e.Jobs
	case EventJobStarted:
		l.running = append(l.running, liveJob{name: e.Job, since: e.Time})
	case EventJobRequeued:
		l.ended--
	case EventJobFinished, EventJobRetried:
		if e.Type == EventJobFinished {
			l.ended++
		}
		l.running = slices.DeleteFunc(l.running, func(j liveJob) bool { return j.name == e.Job })
	case EventRunFinished:
		l.running = nil
		l.erase()
	}
}

// Write prints above what runs.
func (l *Live) Write(p []byte) (int, error) { return l.print(l.w, p) }

// Wrap returns a writer to the same terminal by another way.
func (l *Live) Wrap(w io.Writer) io.Writer { return besideLive{l, w} }

type besideLive struct {
	live *Live
	w    io.Writer
}

func (b besideLive) Write(p []byte) (int, error) { return b.live.print(b.w, p) }

func (l *Live) print(w io.Writer, p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	if len(p) > 0 {
		l.midway = p[len(p)-1] != '\n'
	}
	return w.Write(p)
}

// Hold shows nothing until release: a person is asked, and what is typed must not
// be written over.
func (l *Live) Hold() (release func()) {
	set := func(held bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.erase()
		l.held = held
	}
	set(true)
	return func() { set(false) }
}

// Close erases what is shown and ends the view.
func (l *Live) Close() error {
	close(l.stop)
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	return l.err
}

// erase removes what is shown. If the terminal has become narrower meanwhile, it
// has broken the lines into more.
func (l *Live) erase() {
	if len(l.drawn) == 0 {
		return
	}
	columns, _ := l.size()
	rows := 0
	for _, width := range l.drawn {
		rows += max(1, (width+columns-1)/max(1, columns))
	}
	l.put(fmt.Sprintf("\x1b[%dA\r\x1b[J", rows))
	l.drawn, l.shown = nil, ""
}

func (l *Live) put(text string) {
	if l.err == nil {
		_, l.err = io.WriteString(l.w, text)
	}
}

// draw shows what runs, if that is not what is shown.
func (l *Live) draw() {
	columns, rows := l.size()
	if len(l.running) == 0 || l.midway || l.held || columns < 20 || rows < 4 {
		return
	}
	lines := l.lines(columns, min(liveLines, rows-2))
	text := strings.Join(lines, "\n")
	if text == l.shown && len(l.drawn) > 0 {
		return
	}
	l.erase()
	var b bytes.Buffer
	for _, line := range lines {
		l.drawn = append(l.drawn, displayWidth(line))
		if l.dim {
			line = "\x1b[" + dim + "m" + line + "\x1b[0m"
		}
		b.WriteString(line + "\n")
	}
	l.shown = text
	l.put(b.String())
}

// lines are those to show, none wider than the terminal.
func (l *Live) lines(columns, most int) []string {
	now := l.now()
	lines := []string{fmt.Sprintf("── %d/%d jobs done, %d running, %s", l.ended, l.jobs, len(l.running), clockText(now.Sub(l.started)))}
	for i, j := range l.running {
		if i == most-2 && len(l.running) > most-1 {
			lines = append(lines, fmt.Sprintf("   and %d more", len(l.running)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("   %s  %s", clockText(now.Sub(j.since)), DisplayName(j.name)))
	}
	for i := range lines {
		lines[i] = cutWidth(lines[i], columns-1)
	}
	return lines
}

// clockText prints a duration for a view that moves: 7s, 2m05s, 1h02m.
func clockText(d time.Duration) string {
	s := int(d.Seconds())
	switch {
	case s < 0:
		return "0s"
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
}

// displayWidth is at least the number of columns that a terminal needs for s: all
// that is not ASCII, or drawn here, is taken for wide.
func displayWidth(s string) int {
	width := 0
	for _, r := range s {
		width += runeWidth(r)
	}
	return width
}

func runeWidth(r rune) int {
	if r < 0x300 || r == '─' {
		return 1
	}
	return 2
}

// cutWidth cuts s to a number of columns.
func cutWidth(s string, columns int) string {
	width := 0
	for i, r := range s {
		if width += runeWidth(r); width > columns {
			return s[:i]
		}
	}
	return s
}
