package exec

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"time"
)

// A log has a companion, <log>.times, that tells when its bytes were written: a
// sequence of records of two big-endian 64-bit numbers, an offset in the log and
// the time in nanoseconds since 1970 from which on the bytes there came. Both
// ascend. So the log itself stays what the job printed, byte for byte.
const (
	timesSuffix = ".times"
	timesRecord = 16
	// timesStep is the least time between two records: it bounds their number, and
	// is how exactly a line's time is known.
	timesStep = 10 * time.Millisecond
)

// timedFile is a log file with its companion.
type timedFile struct {
	log, times *os.File
	now        func() time.Time
	offset     int64
	last       time.Time
}

// createTimed makes both files, which must not exist.
func createTimed(path string, now func() time.Time) (*timedFile, error) {
	log, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	times, err := os.OpenFile(path+timesSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &timedFile{log: log, times: times, now: now}, nil
}

// Write writes to the log.
func (f *timedFile) Write(p []byte) (int, error) {
	if now := f.now(); f.last.IsZero() || now.Sub(f.last) >= timesStep {
		var record [timesRecord]byte
		binary.BigEndian.PutUint64(record[:8], uint64(f.offset))
		binary.BigEndian.PutUint64(record[8:], uint64(now.UnixNano()))
		if _, err := f.times.Write(record[:]); err != nil {
			return 0, err
		}
		f.last = now
	}
	n, err := f.log.Write(p)
	f.offset += int64(n)
	return n, err
}

// Close closes both files.
func (f *timedFile) Close() error { return errors.Join(f.log.Close(), f.times.Close()) }

// logTimes tells when the bytes of a log came.
type logTimes struct {
	companion io.Reader // nil for none
	record    []byte    // what was read of the next record
	at        time.Time
}

// upTo is the time of the byte at an offset, which must not descend from call to
// call; zero where nothing is known. The companion may still grow.
func (t *logTimes) upTo(offset int64) time.Time {
	for t.fill() && int64(binary.BigEndian.Uint64(t.record[:8])) <= offset {
		t.at = time.Unix(0, int64(binary.BigEndian.Uint64(t.record[8:])))
		t.record = t.record[:0]
	}
	return t.at
}

// fill reads the next record, if all of it is there.
func (t *logTimes) fill() bool {
	if t.companion == nil {
		return false
	}
	for len(t.record) < timesRecord {
		part := make([]byte, timesRecord-len(t.record))
		n, err := t.companion.Read(part)
		t.record = append(t.record, part[:n]...)
		if err != nil || n == 0 {
			return len(t.record) == timesRecord
		}
	}
	return true
}
