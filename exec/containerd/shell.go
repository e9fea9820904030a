//go:build linux

package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

const (
	// holdProgram keeps a container alive while a shell is used in it: it waits for
	// the FIFO holdFile, to which nobody writes.
	holdProgram = "hold"
	holdFile    = "hold-fifo"
)

// Shell makes the container of a job, in which it runs not the job's script but
// a command, the image's shell if there is none, in the project, whose workspace
// is mounted. It returns the command's exit code. Nothing of the container is
// left after it.
func (r *Runtime) Shell(ctx context.Context, spec exec.Spec, command []string, con Console) (exitCode int, err error) {
	box, err := r.Setup(ctx, spec)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	s, ok := box.(*sandbox)
	if !ok {
		return 0, systemError("", fmt.Errorf("a shell needs a container, not %T", box))
	}
	if len(spec.Services) > 0 {
		note := func(service int, text string) {
			con.Note(true, fmt.Sprintf("service %s %s", spec.Services[service].Names[0], text))
		}
		if err := s.Start(ctx, note); err != nil {
			return 0, err
		}
	}
	if len(command) == 0 {
		command = []string{s.img.shell("bash")}
	}
	if err := unix.Mkfifo(filepath.Join(s.programs(), holdFile), 0o644); err != nil {
		return 0, systemError("", fmt.Errorf("make a FIFO: %w", err))
	}
	holding, release := context.WithCancel(ctx)
	killed := make(chan struct{})
	ready, ended := &firstWrite{ready: make(chan struct{})}, make(chan error, 1)
	go func() {
		body := "echo ready\nread -r _ <" + path.Join(programDir, holdFile) + "\n"
		_, err := s.Run(holding, exec.Program{Name: holdProgram, Body: []byte(body), Shell: "sh", Kill: killed}, ready)
		ended <- err
	}()
	select {
	case <-ready.ready:
		exitCode, err = s.execute(ctx, command, con)
	case err = <-ended:
		release()
		if err == nil {
			err = systemError("", fmt.Errorf("the container ended before the shell began: %s", bytes.TrimSpace(ready.text.Bytes())))
		}
		return 0, err
	}
	close(killed)
	release()
	// That it was ended is what was asked for.
	if holdErr := <-ended; holdErr != nil && !errors.Is(holdErr, context.Canceled) {
		err = errors.Join(err, holdErr)
	}
	return exitCode, err
}

// firstWrite tells that something was written to it.
type firstWrite struct {
	ready chan struct{}
	text  bytes.Buffer
}

func (w *firstWrite) Write(p []byte) (int, error) {
	if w.text.Len() == 0 {
		close(w.ready)
	}
	return w.text.Write(p)
}

// execute runs a command in the container beside its first process.
func (s *sandbox) execute(ctx context.Context, command []string, con Console) (int, error) {
	detached := namespaces.WithNamespace(context.WithoutCancel(ctx), Namespace)
	process := *s.spec.Process
	process.Args, process.Cwd, process.Terminal = command, plan.ProjectDir, con.Terminal
	stdin := &closing{r: con.Stdin, done: make(chan struct{})}
	opts := []cio.Opt{cio.WithStreams(stdin, con.Stdout, con.Stderr), cio.WithFIFODir(s.job.Scratch)}
	if con.Terminal {
		opts = append(opts, cio.WithTerminal)
	}
	p, err := s.task.Exec(detached, "shell", &process, cio.NewCreator(opts...))
	if err != nil {
		return 0, systemError("", fmt.Errorf("make the shell's process: %w", err))
	}
	exit, err := p.Wait(detached)
	if err == nil {
		err = p.Start(detached)
	}
	if err != nil {
		_, deleteErr := p.Delete(detached, killed)
		return 0, errors.Join(configError("", "image %s: cannot run %q: %w", familiar(s.img.name), command[0], err), deleteErr)
	}
	code, err := s.attend(ctx, p, exit, stdin, con)
	// It waits until the output is copied.
	_, deleteErr := p.Delete(detached, killed)
	return code, errors.Join(err, unlessEnded(deleteErr))
}

// attend waits for the end of the command, with what happens at the terminal.
func (s *sandbox) attend(ctx context.Context, p client.Process, exit <-chan client.ExitStatus, stdin *closing, con Console) (int, error) {
	detached := namespaces.WithNamespace(context.WithoutCancel(ctx), Namespace)
	resize := func(size WindowSize) {
		if con.Terminal && size.Columns > 0 {
			if err := p.Resize(detached, size.Columns, size.Rows); unlessEnded(err) != nil {
				s.r.cfg.Warn(fmt.Sprintf("the shell's terminal keeps its size: %v", err))
			}
		}
	}
	resize(con.Size)
	cancelled, input := ctx.Done(), stdin.done
	for {
		select {
		case status := <-exit:
			code, _, err := status.Result()
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return int(code), err
		case size := <-con.Resized:
			resize(size)
		case <-input:
			input = nil
			if err := p.CloseIO(detached, client.WithStdinCloser); unlessEnded(err) != nil {
				s.r.cfg.Warn(fmt.Sprintf("the end of the input does not reach the shell: %v", err))
			}
		case <-cancelled:
			cancelled = nil
			if err := p.Kill(detached, unix.SIGKILL); unlessEnded(err) != nil {
				return 0, systemError("", fmt.Errorf("end the shell: %w", err))
			}
		}
	}
}

// closing tells when a reader has come to its end.
type closing struct {
	r    io.Reader
	done chan struct{}
	over bool
}

func (c *closing) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && !c.over {
		c.over = true
		close(c.done)
	}
	return n, err
}
