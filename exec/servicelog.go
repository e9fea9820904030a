package exec

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
)

// serviceTail is how many lines of a service's output are shown when there is
// trouble.
const serviceTail = 50

// serviceLog takes the output of one service: all of it goes to a file of its
// own, the last lines are kept to be shown. Nothing is written before it is opened.
type serviceLog struct {
	// name is the service's first host name.
	name string
	// stream: what it prints is shown as it comes.
	stream bool

	log  *jobLog
	file *os.File // nil without a run directory
	path string

	mu sync.Mutex
	// tail are the last lines that were not shown yet, shown that it was asked for them.
	tail  []string
	shown bool
}

// openServiceLog makes the log's file.
func (w *worker) openServiceLog(l *serviceLog) error {
	disk := io.Discard
	if w.r.RunDir != nil {
		l.path = w.r.RunDir.serviceLogPath(w.id, l.name)
		var err error
		if l.file, err = os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return err
		}
		disk = l.file
	}
	output := func(text string, continued bool) {
		l.keep(text)
		if l.stream {
			w.showServiceLine(l, text)
		}
	}
	l.log = newJobLog(disk, w.r.Secrets.Masker(), w.r.LogLimit, output, func(text string, warning bool) { l.keep(text) })
	return nil
}

// Write implements [io.Writer].
func (l *serviceLog) Write(p []byte) (int, error) { return l.log.Write(p) }

// keep keeps a line, or the first part of a long one.
func (l *serviceLog) keep(line string) {
	if len(line) > tailWidth {
		line = line[:runeCut([]byte(line), tailWidth)] + " ..."
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tail) == serviceTail {
		l.tail = l.tail[1:]
	}
	l.tail = append(l.tail, strings.ToValidUTF8(line, "\uFFFD"))
}

// last returns the last whole lines that it has not returned before, and where the
// others are. again: it was asked before.
func (l *serviceLog) last() (lines []string, path string, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, again = l.tail, l.shown
	l.tail, l.shown = nil, true
	return lines, l.path, again
}

func (l *serviceLog) close() error {
	if l.log == nil {
		return nil
	}
	_, err := l.log.Close()
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
		l.file = nil
	}
	return err
}
