//go:build linux

package containerd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/containerd/containerd/v2/pkg/cio"
	"golang.org/x/sys/unix"
)

// drainTimeout is how long output may outlive the process that made it.
const drainTimeout = 2 * time.Second

const (
	// fifoBytes is the most output that waits to be read.
	fifoBytes = 256 << 10
	copyBytes = 128 << 10
)

// output is a task's standard output and standard error, through one FIFO, so
// that one copy keeps their order. It implements [cio.IO].
type output struct {
	path string
	fifo *os.File
	// held keeps it open for writing, -1 if nothing does.
	held int
}

// newOutput makes the FIFO, and opens it.
func newOutput(path string, mode fs.FileMode) (*output, error) {
	if err := makeFIFO(path, mode); err != nil {
		return nil, err
	}
	o, err := openOutput(path)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return o, nil
}

func makeFIFO(path string, mode fs.FileMode) error {
	err := unix.Mkfifo(path, uint32(mode.Perm()))
	if err == nil {
		err = os.Chmod(path, mode) // whatever the umask
	}
	if err != nil {
		return fmt.Errorf("make FIFO %s: %w", path, err)
	}
	return nil
}

// openOutput opens a FIFO for reading before anyone writes, so that no writer ever
// waits for a reader to come.
func openOutput(path string) (*output, error) {
	fifo, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &output{path: path, fifo: fifo, held: -1}, nil
}

// widen makes room for more output between two reads, which spares a job that
// prints a lot a sixth of the processor time. Where the kernel refuses, as it does
// to a user whose pipes are many (pipe(7)), the FIFO stays as it is.
func (o *output) widen() {
	if conn, err := o.fifo.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, fifoBytes) })
	}
}

// Config tells containerd's shim where to write.
func (o *output) Config() cio.Config { return cio.Config{Stdout: o.path, Stderr: o.path} }

// Cancel does nothing: no open is ever pending.
func (o *output) Cancel() {}

// Wait does nothing: [output.copy] has ended before the task is deleted.
func (o *output) Wait() {}

// waiting tells how many bytes wait to be read, of which it takes 16 at most. It
// does not wait itself.
func (o *output) waiting() (n int, err error) {
	conn, err := o.fifo.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := conn.Control(func(fd uintptr) { n, err = unix.Read(int(fd), make([]byte, 16)) })
	if errors.Is(err, unix.EAGAIN) {
		err = nil
	}
	return max(n, 0), errors.Join(err, controlErr)
}

// Close removes the FIFO.
func (o *output) Close() error { return errors.Join(o.close(), os.Remove(o.path)) }

// close leaves it to the next who opens it.
func (o *output) close() error { return errors.Join(o.release(), o.fifo.Close()) }

// hold has [output.copy] wait for writers that are still to come, until
// [output.finish]. The descriptor is none that Go's runtime would wake up for.
func (o *output) hold() (err error) {
	o.held, err = unix.Open(o.path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	return err
}

// release undoes hold.
func (o *output) release() error {
	if o.held < 0 {
		return nil
	}
	fd := o.held
	o.held = -1
	return unix.Close(fd)
}

// copy copies to w until all writers are gone, or [output.finish] ends it. If w
// fails it reads on, as the job would stop at a full FIFO otherwise.
func (o *output) copy(w io.Writer) error {
	var failed error
	o.widen()
	buf := make([]byte, copyBytes)
	for {
		n, err := o.fifo.Read(buf)
		if n > 0 && failed == nil {
			if _, err := w.Write(buf[:n]); err != nil {
				failed = fmt.Errorf("write the job's output: %w", err)
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, os.ErrClosed):
			return failed
		case err != nil:
			return errors.Join(failed, fmt.Errorf("read the job's output: %w", err))
		}
	}
}

// finish gives a copy that goes on until timeout to end by itself.
func (o *output) finish(timeout time.Duration) error {
	return errors.Join(o.release(), o.fifo.SetReadDeadline(time.Now().Add(timeout)))
}
