package exec

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Log is a log file of a run.
type Log struct {
	// Job is the job's name, empty where only the file is known.
	Job string
	// File is the name in the run's directory logs.
	File string
	Size int64
}

// Logs lists the log files of a run by job, in the order of [Record.Jobs]; those
// of earlier attempts and of services follow the job's own.
func (r *Record) Logs() ([]Log, error) {
	entries, err := os.ReadDir(r.logsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var logs []Log
	rank := map[string]int{"": len(r.Jobs)}
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasSuffix(e.Name(), timesSuffix) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		l := Log{File: e.Name(), Size: info.Size()}
		for i, j := range r.Jobs {
			if id := JobID(j.Name); e.Name() == id+logSuffix || strings.HasPrefix(e.Name(), id+logMark) {
				l.Job, rank[j.Name] = j.Name, i
			}
		}
		logs = append(logs, l)
	}
	slices.SortStableFunc(logs, func(a, b Log) int { return rank[a.Job] - rank[b.Job] })
	return logs, nil
}

// LogFile is the name of a job's log in the run's directory logs; attempt is that
// of a job that was tried more than once, from 1, or 0 for the last.
func (r *Record) LogFile(job string, attempt int) string {
	id := JobID(job)
	if res, ok := r.Job(job); ok && attempt == len(res.Attempts) {
		attempt = 0 // the last one
	}
	if attempt > 0 {
		name := attemptLogName(id, attempt)
		if _, err := os.Lstat(filepath.Join(r.logsDir(), name)); err == nil || attempt > 1 {
			return name
		}
	}
	return id + logSuffix
}

// ServiceLogFile is the name of the log of a job's service.
func (r *Record) ServiceLogFile(job, service string) string {
	return serviceLogName(JobID(job), service)
}

// LogOptions say how a log is printed.
type LogOptions struct {
	// File is the name in the run's directory logs.
	File string
	// Follow goes on until the job is over, which Over tells.
	Follow bool
	Over   func() (bool, error)
	// Timestamps puts before each line when it came.
	Timestamps bool
	// Terminal: only what is harmless to a terminal is printed, with Colour its
	// colours too. Otherwise every byte comes as the job printed it.
	Terminal, Colour bool
}

// followPoll is how often a log that is followed is looked at.
const followPoll = 200 * time.Millisecond

// CopyLog prints a log of a run. A file that is not there is fs.ErrNotExist.
func (r *Record) CopyLog(ctx context.Context, w io.Writer, o LogOptions) (err error) {
	root, err := os.OpenRoot(r.logsDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	in := &follower{ctx: ctx, open: func() (*os.File, error) { return openRegular(root, o.File) }}
	if o.Follow {
		in.over = o.Over
	}
	if err := in.start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.file.Close()) }()
	if o.Terminal {
		terminal := NewTerminalWriter(w, o.Colour)
		defer func() { err = errors.Join(err, terminal.Close()) }()
		w = terminal
	}
	if !o.Timestamps {
		_, err := io.Copy(w, in)
		return err
	}
	times := &logTimes{}
	companion, err := openRegular(root, o.File+timesSuffix)
	if err == nil {
		defer companion.Close()
		times.companion = companion
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return stampLines(w, in, times)
}

// openRegular opens a regular file for reading; no FIFO can make it wait.
func openRegular(root *os.Root, name string) (*os.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return root.Open(name)
}

// stampLines copies a log with each line's time before it.
func stampLines(w io.Writer, log io.Reader, times *logTimes) error {
	lines := bufio.NewReaderSize(log, 64<<10)
	offset, begin := int64(0), true
	for {
		part, err := lines.ReadSlice('\n') // of a long line, a part
		if len(part) > 0 {
			if begin {
				if _, err := io.WriteString(w, stamp(times.upTo(offset))); err != nil {
					return err
				}
			}
			if _, err := w.Write(part); err != nil {
				return err
			}
			begin = bytes.HasSuffix(part, []byte("\n"))
			offset += int64(len(part))
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// stampForm is a date and time to the millisecond, in UTC.
const stampForm = "2006-01-02T15:04:05.000Z"

// stamp is what stands before a line.
func stamp(t time.Time) string {
	if t.IsZero() {
		return fmt.Sprintf("%*s ", len(stampForm), "-")
	}
	return t.UTC().Format(stampForm) + " "
}

// follower reads a file, and waits for more until the job is over. A file that
// was truncated is read from its beginning, and so is one that took its place.
type follower struct {
	ctx  context.Context
	open func() (*os.File, error)
	// over tells whether no more will come; nil means that it is so.
	over   func() (bool, error)
	file   *os.File
	offset int64
}

// start opens the file, and waits for it to appear.
func (f *follower) start() error {
	for {
		over, err := f.isOver()
		if err != nil {
			return err
		}
		if f.file, err = f.open(); err == nil || over || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := f.pause(); err != nil {
			return err
		}
	}
}

func (f *follower) isOver() (bool, error) {
	if f.over == nil {
		return true, nil
	}
	return f.over()
}

func (f *follower) pause() error {
	select {
	case <-f.ctx.Done():
		return context.Cause(f.ctx)
	case <-time.After(followPoll):
		return nil
	}
}

// Read implements [io.Reader].
func (f *follower) Read(p []byte) (int, error) {
	for {
		// In this order: what came before the end is read before the end is told.
		over, err := f.isOver()
		if err != nil {
			return 0, err
		}
		n, err := f.file.ReadAt(p, f.offset)
		f.offset += int64(n)
		if errors.Is(err, io.EOF) {
			err = nil // so far
		}
		if n > 0 || err != nil {
			return n, err
		}
		if replaced, err := f.replace(); replaced || err != nil {
			if err != nil {
				return 0, err
			}
			continue
		}
		if over {
			return 0, io.EOF
		}
		if err := f.pause(); err != nil {
			return 0, err
		}
	}
}

// replace goes to the beginning of a file that was truncated, or has another in
// its place. At the end of a log that is not followed there is none.
func (f *follower) replace() (bool, error) {
	if f.over == nil {
		return false, nil
	}
	info, err := f.file.Stat()
	if err != nil {
		return false, err
	}
	if info.Size() < f.offset {
		f.offset = 0
		return true, nil
	}
	next, err := f.open()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // it is on its way
	} else if err != nil {
		return false, err
	}
	nextInfo, err := next.Stat()
	if err != nil || os.SameFile(info, nextInfo) {
		return false, errors.Join(err, next.Close())
	}
	err = f.file.Close()
	f.file, f.offset = next, 0
	return true, err
}
