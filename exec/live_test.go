package exec

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// screen is a terminal that knows what the live view sends: text, line ends, and
// the two sequences that move and erase. Lines that are too wide are broken.
type screen struct {
	t    *testing.T
	rows []string
	row  int
	col  int
	size [2]int
}

func (s *screen) Write(p []byte) (int, error) {
	text := string(p)
	for text != "" {
		var up int
		switch {
		case strings.HasPrefix(text, "\x1b[J"):
			s.at()
			s.rows = append(s.rows[:s.row], s.rows[s.row][:s.col])
			text = text[3:]
		case strings.HasPrefix(text, "\x1b["):
			if n, err := fmt.Sscanf(text, "\x1b[%dA", &up); n != 1 || err != nil || up > s.row {
				s.t.Fatalf("%q in row %d", text, s.row)
			}
			s.row -= up
			_, text, _ = strings.Cut(text, "A")
		case text[0] == '\n':
			s.row, s.col, text = s.row+1, 0, text[1:]
			s.at()
		case text[0] == '\r':
			s.col, text = 0, text[1:]
		default:
			if s.col == s.size[0] {
				s.row, s.col = s.row+1, 0
			}
			s.at()
			if s.col != len(s.rows[s.row]) {
				s.t.Fatalf("row %d is written over at column %d: %q", s.row, s.col, s.rows)
			}
			r := []rune(text)[0]
			if r == '─' {
				s.rows[s.row] += "-" // one byte a column
			} else {
				s.rows[s.row] += string(r)
			}
			s.col, text = s.col+1, text[len(string(r)):]
		}
	}
	return len(p), nil
}

func (s *screen) at() {
	for len(s.rows) <= s.row {
		s.rows = append(s.rows, "")
	}
}

func (s *screen) String() string { return strings.Join(s.rows, "\n") }

// narrow is what a terminal does to its lines when it becomes narrower.
func (s *screen) narrow(l *Live, columns int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rows []string
	for _, row := range s.rows {
		for len(row) > columns {
			rows, row = append(rows, row[:columns]), row[columns:]
		}
		rows = append(rows, row)
	}
	s.row += len(rows) - len(s.rows)
	s.rows, s.size[0] = rows, columns
}

func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &screen{t: t, size: [2]int{40, 10}}
		l := NewLive(s, func() (int, int) { return s.size[0], s.size[1] }, time.Now, false)
		view := NewTextView(l, false)
		observe := func(e Event) {
			e.Time = time.Now()
			l.Observe(e)
			view.Observe(e)
		}
		settle := func(want string) {
			t.Helper()
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			if got := s.String(); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			s.rows, s.row = s.rows[:0], 0
			l.drawn, l.shown = nil, "" // the test begins on an empty screen again
			s.at()
		}
		observe(Event{Type: EventRunStarted, Source: "ci.yml", Jobs: 3})
		settle("Starting pipeline from ci.yml\nFound 3 job(s)\n\n")
		for _, job := range []string{"one", "a name that is too long for the narrow terminal"} {
			l.Observe(Event{Type: EventJobStarted, Job: job, Time: time.Now()})
			time.Sleep(3 * time.Second)
		}
		view.Observe(Event{Type: EventJobOutput, Job: "one", Text: "hello"})
		view.Flush()
		time.Sleep(liveStep)
		settle("[one] hello\n-- 0/3 jobs done, 2 running, 6s\n   6s  one\n   3s  a name that is too long for the \n")
		time.Sleep(liveStep)
		view.Observe(Event{Type: EventJobOutput, Job: "one", Text: "again"})
		view.Flush()
		fmt.Fprintln(l.Wrap(s), "cic: warning: beside")
		time.Sleep(liveStep)
		s.narrow(l, 20)
		time.Sleep(time.Second)
		settle("[one] again\ncic: warning: beside\n-- 0/3 jobs done, 2\n   7s  one\n   4s  a name that \n")
		// A question stays where it is until it is answered.
		fmt.Fprint(l, "go on? ")
		time.Sleep(time.Second)
		s.narrow(l, 60)
		settle("go on? ")
		fmt.Fprintln(l)
		observe(Event{Type: EventJobFinished, Job: "one", Status: StatusSkipped, Result: &JobResult{}})
		time.Sleep(liveStep)
		settle("\n-- 1/3 jobs done, 1 running, 8s\n   5s  a name that is too long for the narrow terminal\n")
		release := l.Hold()
		time.Sleep(time.Second)
		settle("")
		release()
		for i := range 12 {
			l.Observe(Event{Type: EventJobStarted, Job: fmt.Sprint("j", i), Time: time.Now()})
		}
		time.Sleep(liveStep)
		synctest.Wait()
		l.mu.Lock()
		got := strings.Split(s.String(), "\n")
		l.mu.Unlock()
		if len(got) != 9 || got[7] != "   and 7 more" {
			t.Errorf("got %q", got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got := s.String(); got != "" {
			t.Errorf("left: %q", got)
		}
	})
}

func TestClockText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 3*time.Hour + 5*time.Minute: "3h05m",
	} {
		if got := clockText(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
