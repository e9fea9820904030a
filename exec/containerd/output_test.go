//go:build linux

package containerd

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/mask"
)

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken") }

// All that was written arrives, in order, whatever its pieces; a writer that
// fails does not stop the job, and is told of once.
func TestOutputCopy(t *testing.T) {
	for _, size := range []int{1, 7, 4096, 300_000} {
		o, err := newOutput(filepath.Join(t.TempDir(), "fifo"), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		data := bytes.Repeat([]byte("0123456789abcdef"), max(size*20/16, 64))
		written := make(chan error, 1)
		in, err := os.OpenFile(o.path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for rest := data; len(rest) > 0; {
				n := min(size, len(rest))
				if _, err := in.Write(rest[:n]); err != nil {
					written <- err
					return
				}
				rest = rest[n:]
			}
			written <- in.Close()
		}()
		var got bytes.Buffer
		if err := o.copy(&got); err != nil {
			t.Error(err)
		}
		if err := <-written; err != nil || !bytes.Equal(got.Bytes(), data) {
			t.Errorf("pieces of %d: %d of %d bytes, %v", size, got.Len(), len(data), err)
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}
	o, err := newOutput(filepath.Join(t.TempDir(), "fifo"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.OpenFile(o.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- o.copy(brokenWriter{}) }()
	if _, err := in.Write(make([]byte, 4<<20)); err != nil {
		t.Error(err)
	}
	if err := errors.Join(in.Close()); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("the failure is not told")
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

// Between two programs that print nothing is lost, and several outputs go to one writer.
func TestOutputsHeld(t *testing.T) {
	var from outputs
	for range 2 {
		o, err := newOutput(filepath.Join(t.TempDir(), "fifo"), outputMode)
		if err == nil {
			err = o.hold()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		}()
		from = append(from, o)
	}
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- from.copy(writer) }()
	for _, text := range []string{"one", "two"} {
		for _, o := range from {
			if err := os.WriteFile(o.path, []byte(text), 0); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(text))
			if _, err := io.ReadFull(reader, got); err != nil || string(got) != text {
				t.Errorf("%q, %v", got, err)
			}
		}
	}
	if err := from.finish(time.Minute); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// BenchmarkOutput is a job that prints in pieces of 8 KiB, as programs that write
// to a pipe do. It counts processor time, of the writer too, beside the rate.
func BenchmarkOutput(b *testing.B) {
	o, err := newOutput(filepath.Join(b.TempDir(), "fifo"), 0o600)
	if err != nil {
		b.Fatal(err)
	}
	in, err := os.OpenFile(o.path, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- o.copy((*mask.Masker)(nil).Writer(io.Discard)) }()
	const piece = 8 << 10
	data := bytes.Repeat([]byte("a line of output that is longer than most, so that there are not too many\n"), piece/74+1)[:piece]
	b.SetBytes(128 * piece)
	before := processorTime(b)
	for b.Loop() {
		for range 128 {
			if _, err := in.Write(data); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := errors.Join(in.Close(), <-done, o.Close()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/1e3, "cpu-µs/MiB")
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
