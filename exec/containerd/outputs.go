//go:build linux

package containerd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sync/errgroup"
)

// outputFile is, in the job's scratch directory, the FIFO that the shim copies to
// what the container's first process prints, and in programDir the one to which the
// job's own program prints.
const outputFile = "output"

// ownOutput is where the latter is on the host. It is no file of the programs'
// directory, as that is read-only to the job: programs that open their output by
// name give it to the user whom they become (chown, chmod), as they can a pipe.
func (s *sandbox) ownOutput() string { return filepath.Join(s.job.Scratch, "own-"+outputFile) }

// makeOwnOutput makes it, if there is to be one, and what it is mounted on.
func (s *sandbox) makeOwnOutput() error {
	if !s.own {
		return nil
	}
	return errors.Join(makeFIFO(s.ownOutput(), outputMode), writeFile(filepath.Join(s.programs(), outputFile), nil, 0o644))
}

// outputMode lets any user of the job print.
const outputMode = 0o622

// outputMount shows it in the container.
func (s *sandbox) outputMount() specs.Mount {
	return specs.Mount{Type: "bind", Source: s.ownOutput(), Destination: path.Join(programDir, outputFile),
		Options: []string{"bind", "rw", "nosuid", "nodev", "noexec"}}
}

// openOutputs opens what the next program prints to. It is the job's user's, whatever
// the last program did to it.
func (s *sandbox) openOutputs() (_ outputs, closeOwn func() error, err error) {
	if !s.own {
		return outputs{s.out}, func() error { return nil }, nil
	}
	uid, gid := s.hostIDs(s.spec.Process.User.UID, s.spec.Process.User.GID)
	if err := errors.Join(os.Lchown(s.ownOutput(), uid, gid), os.Chmod(s.ownOutput(), outputMode)); err != nil {
		return nil, nil, err
	}
	own, err := openOutput(s.ownOutput())
	if err != nil {
		return nil, nil, err
	}
	if err := own.hold(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open FIFO %s: %w", own.path, err), own.close())
	}
	return outputs{s.out, own}, own.close, nil
}

// outputs are copied to one writer.
type outputs []*output

// copy copies all.
func (o outputs) copy(w io.Writer) error {
	one := &oneWriter{w: w}
	var all errgroup.Group
	for _, from := range o {
		all.Go(func() error { return from.copy(one) })
	}
	return all.Wait()
}

// finish gives each copy that goes on until timeout to end by itself.
func (o outputs) finish(timeout time.Duration) error {
	var errs []error
	for _, from := range o {
		errs = append(errs, from.finish(timeout))
	}
	return errors.Join(errs...)
}

// oneWriter is a writer for several at a time.
type oneWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (w *oneWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.w.Write(p)
}
