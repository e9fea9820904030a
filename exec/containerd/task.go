//go:build linux

package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

const (
	// killTimeout is how long the kernel may take to end what was killed.
	killTimeout = 30 * time.Second
	// stopFile in programDir tells the start program not to start anything any more.
	stopFile = "stop"
	// startedFile in programDir is a FIFO, to which the start program writes a byte
	// when it is reached, and another when the job's program has ended. A FIFO can be
	// written to on a read-only mount.
	startedFile = "started"
	// exitTerminated and exitKilled are the exit codes of what SIGTERM and SIGKILL ended.
	exitTerminated = 128 + int(unix.SIGTERM)
	exitKilled     = 128 + int(unix.SIGKILL)
)

// Run runs a program as [exec.Sandbox] says. SIGTERM goes to all processes of
// the job, as a shell that waits for a command acts on it only once the command
// has ended.
func (s *sandbox) Run(ctx context.Context, p exec.Program, out io.Writer) (exitCode int, err error) {
	if ctx.Err() != nil {
		return exitTerminated, context.Cause(ctx)
	}
	detached := context.WithoutCancel(ctx)
	if err := s.prepare(detached, p); err != nil {
		return 0, err
	}
	if err := s.tellShell(p, out); err != nil {
		return 0, err
	}
	started, err := newOutput(filepath.Join(s.programs(), startedFile), 0o622)
	if err != nil {
		return 0, systemError("", err)
	}
	defer func() { err = errors.Join(err, started.Close()) }()
	waiting, stopWaiting := context.WithCancel(detached)
	defer stopWaiting()
	exit, err := s.exited(waiting)
	if err != nil {
		return 0, systemError("", fmt.Errorf("wait for the job's process: %w", err))
	}
	from, closeOwn, err := s.openOutputs()
	if err != nil {
		return 0, systemError("", err)
	}
	defer func() { err = errors.Join(err, closeOwn()) }()
	copied := make(chan error, 1)
	go func() { copied <- from.copy(out) }()
	start, cancel := context.WithTimeout(detached, createTimeout)
	defer cancel()
	s.ran = true
	if err := s.startTask(start); err != nil {
		return 0, errors.Join(s.taskError(err), from.finish(0), <-copied)
	}
	status, stopped, err := s.await(ctx, p, exit)
	if err == nil {
		err = status.Error()
	}
	if err != nil {
		err = s.waitError(err)
	}
	// All processes are gone with the first, as their PID namespace is. What is left
	// in the FIFO arrives at once, unless the shim hangs. The task is removed later:
	// that takes longer than all the rest here, and others may wait for this job.
	err = errors.Join(err, from.finish(drainTimeout), <-copied)
	var hitsErr error
	if s.hits, hitsErr = readHits(s.spec.Linux.CgroupsPath); hitsErr != nil {
		s.r.cfg.Warn(fmt.Sprintf("job %s: %v", s.job.ID, hitsErr))
	}
	if err == nil && stopped {
		err = context.Cause(ctx)
	} else if err == nil {
		err = s.requireProgress(started, p, int(status.ExitCode()))
	}
	return int(status.ExitCode()), err
}

// tellShell says in the output that another shell runs the program than was asked for.
func (s *sandbox) tellShell(p exec.Program, out io.Writer) error {
	shell := s.img.shell(p.Shell)
	if shell == s.img.shells[p.Shell] {
		return nil
	}
	_, err := fmt.Fprintf(out, "cic: image %s has no %s: %s runs the %s\n", familiar(s.img.name), p.Shell, shell, p.Name)
	return err
}

// waitError says why it is not known how the job's process ended.
func (s *sandbox) waitError(err error) error {
	if errors.Is(err, errSilence) && s.shim != "" {
		// It hangs, and would have all the other jobs of the run wait as well: without it
		// containerd clears up, and the next job starts another.
		kill := killShims(func(args []string) bool { return option(args, "-id") == s.shim })
		return systemError("", errors.Join(fmt.Errorf("wait for the job's process: %w; the shim that the run's containers share is ended", err), kill))
	}
	if s.r.shimLost(s.shim) {
		return systemError("the kernel may have killed it for want of memory; see dmesg", fmt.Errorf("the shim, a process that all containers of the run need, has died: %w", err))
	}
	return systemError("containerd may have ended; see its log", fmt.Errorf("wait for the job's process: %w", err))
}

// startTask starts the task. Where containerd died before it answered, the next one
// says whether it did: the shim outlives it. Where the OCI runtime was interrupted
// once the container ran, neither knows of it; then the process itself tells. The
// client's own call would close the output with the first error.
func (s *sandbox) startTask(ctx context.Context) error {
	waiting := s.firstProcess()
	request := &tasks.StartRequest{ContainerID: s.task.ID()}
	_, err := s.r.client.TaskService().Start(ctx, request)
	if grpcstatus.Code(err) != codes.Unavailable {
		return errgrpc.ToNative(err)
	}
	back, cancel := context.WithTimeout(ctx, reconnectTimeout)
	defer cancel()
	status, statusErr := s.task.Status(back)
	switch {
	case errdefs.IsNotFound(statusErr):
		// It started and has ended, so that the next containerd found nothing alive.
		return nil
	case statusErr != nil:
		return errors.Join(errgrpc.ToNative(err), statusErr)
	case status.Status != client.Created, !bytes.Equal(s.firstProcess(), waiting):
		return nil
	}
	_, err = s.r.client.TaskService().Start(ctx, request)
	return errgrpc.ToNative(err)
}

// firstProcess is the command line of the container's first process: until it is
// started, the OCI runtime's own. It is empty once the process has ended.
func (s *sandbox) firstProcess() []byte {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.task.Pid()))
	if err != nil {
		return nil
	}
	return line
}

// requireProgress makes sure that the image's entry point came to run the program,
// since its own exit code says nothing about the job; and that the job's program
// had ended when the container's first process was killed. Of its own processes none
// can do that: the kernel keeps the first of a PID namespace from them
// (pid_namespaces(7)). Behind an entry point the first process is not cic's.
func (s *sandbox) requireProgress(started *output, p exec.Program, exitCode int) error {
	bytes, err := started.waiting()
	switch {
	case err != nil:
		return systemError("", fmt.Errorf("see whether the job's program was reached: %w", err))
	case bytes == 0 && (exitCode != exitKilled || !s.own):
		return configError(`to do without the image's own entry point: image:entrypoint: [""]`, "image %s: its entry point %q ended with exit code %d before it ran the %s",
			familiar(s.img.name), s.spec.Process.Args[0], exitCode, p.Name)
	case bytes < 2 && exitCode == exitKilled && s.own && !s.hits.OOM:
		return systemError("somebody or something on this machine did it, or removed it from containerd", errors.New("the job's container was killed from outside, by SIGKILL"))
	}
	return nil
}

// prepare writes the program where the container sees it, and makes sure that
// there is a task to run it.
func (s *sandbox) prepare(ctx context.Context, p exec.Program) error {
	start, err := startProgram(p, s.img.shell(p.Shell), !s.own, len(s.job.Secrets) > 0)
	if err != nil {
		return systemError("", err)
	}
	err = errors.Join(
		removeFile(filepath.Join(s.programs(), stopFile)),
		writeFile(filepath.Join(s.programs(), p.Name), p.Body, 0o644),
		writeFile(filepath.Join(s.programs(), startFile), start, 0o644),
		s.writeSecrets())
	if err != nil {
		return systemError("", fmt.Errorf("write the job's program: %w", err))
	}
	if s.task != nil && !s.ran {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	if s.task != nil {
		if err := s.deleteTask(ctx); err != nil {
			return err
		}
	}
	if ctx, err = s.r.leased(ctx); err != nil {
		return systemError("", err)
	}
	return s.newTask(ctx)
}

// startProgram is the container's first program. It runs another:
//
//   - in the project, which was not there yet when the container was created;
//   - with environment variables that were not known then, or are secret;
//   - with one stream for standard output and standard error, to keep their order:
//     a FIFO of its own, which the shim neither copies to nor wakes up for. Behind an
//     entry point it is the way of what that prints, to keep their order too, and
//     because the entry point may choose another;
//   - as a child, since signals do not end a first process, and a shell that is
//     first would run no trap of its own on a signal that it sends itself.
//
// It survives the signals that the job is stopped with, or sends to all its
// processes itself, so that it can report how the program ended.
func startProgram(p exec.Program, shell string, entered, secrets bool) ([]byte, error) {
	if slices.Contains([]string{startFile, startedFile, stopFile, outputFile, gitConfigFile, path.Base(secretsDir)}, p.Name) || !safeID.MatchString(p.Name) {
		return nil, fmt.Errorf("program name %q is reserved or not safe as a file name", p.Name)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "trap : HUP INT QUIT TERM\necho > %s\ncd %s || exit 1\n", path.Join(programDir, startedFile), plan.ProjectDir)
	for _, entry := range p.Env {
		name, value, found := strings.Cut(entry, "=")
		if !found || !isIdentifier(name) || strings.Contains(value, "\x00") {
			return nil, fmt.Errorf("environment variable %q cannot be set", name)
		}
		fmt.Fprintf(&b, "export %s=%s\n", name, singleQuoted(value))
	}
	if secrets { // after the others, as GitLab's project variables overrule the pipeline's
		fmt.Fprintf(&b, ". %s || exit 1\n", path.Join(secretsDir, secretsEnv))
	}
	fmt.Fprintf(&b, "[ ! -e %s ] || exit %d\n", path.Join(programDir, stopFile), exitTerminated)
	output := ">" + path.Join(programDir, outputFile) + " 2>&1"
	if entered {
		output = "2>&1"
	}
	fmt.Fprintf(&b, "%s %s %s\nexitcode=$?\necho > %s\nexit $exitcode\n", singleQuoted(shell), path.Join(programDir, p.Name), output, path.Join(programDir, startedFile))
	return b.Bytes(), nil
}

func isIdentifier(s string) bool {
	for i, c := range []byte(s) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// singleQuoted is s as one word of a shell program.
func singleQuoted(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// await waits for the end of the task. When ctx is done it ends the task itself:
// first politely, then not, and reports that it did.
func (s *sandbox) await(ctx context.Context, p exec.Program, exit <-chan client.ExitStatus) (status client.ExitStatus, stopped bool, err error) {
	select {
	case status := <-exit:
		return status, false, nil
	case <-ctx.Done():
	}
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.Grace+killTimeout)
	defer cancel()
	asking, stopAsking := context.WithCancel(detached)
	var asked sync.WaitGroup
	// Before the task is deleted, nothing else may use it any more.
	defer asked.Wait()
	defer stopAsking()
	asked.Go(func() {
		if err := s.terminate(asking); err != nil && asking.Err() == nil {
			s.r.cfg.Warn(fmt.Sprintf("end job %s: %v", s.job.ID, err))
		}
	})
	grace := time.NewTimer(p.Grace)
	defer grace.Stop()
	select {
	case status := <-exit:
		return status, true, nil
	case <-grace.C:
	case <-p.Kill:
	}
	stopAsking()
	if err := s.task.Kill(detached, unix.SIGKILL); unlessEnded(err) != nil {
		return *client.NewExitStatus(client.UnknownExitStatus, time.Time{}, nil), true, fmt.Errorf("kill: %w", err)
	}
	select {
	case status := <-exit:
		return status, true, nil
	case <-detached.Done():
		return *client.NewExitStatus(client.UnknownExitStatus, time.Time{}, nil), true, fmt.Errorf("it did not end within %v of SIGKILL", killTimeout)
	}
}

// terminate sends SIGTERM to all processes of the job, from within: a process in
// the container's PID namespace reaches all but the first, and no other can
// have taken a process id meanwhile. Asking the OCI runtime to signal all
// processes reaches them with runc below 1.2 only.
func (s *sandbox) terminate(ctx context.Context) error {
	if err := writeFile(filepath.Join(s.programs(), stopFile), nil, 0o644); err != nil {
		return err
	}
	process := *s.spec.Process
	process.Args = []string{s.img.shell("sh"), "-c", "kill -s TERM -- -1"}
	process.Cwd = "/"
	p, err := s.task.Exec(ctx, "terminate", &process, cio.NullIO)
	if err != nil {
		return unlessEnded(err)
	}
	exit, err := p.Wait(ctx)
	if err == nil {
		if err = p.Start(ctx); err == nil {
			// Its exit code says only whether there was anything to signal.
			<-exit
		}
	}
	remove, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	_, deleteErr := p.Delete(remove, killed)
	return errors.Join(unlessEnded(err), unlessEnded(deleteErr))
}

// unlessEnded is err, but nil if it says that a process is gone already.
func unlessEnded(err error) error {
	if errdefs.IsNotFound(err) || errdefs.IsFailedPrecondition(err) {
		return nil
	}
	return err
}

// deleteTask ends the current task, if it runs, and forgets it.
func (s *sandbox) deleteTask(ctx context.Context) error {
	_, err := s.task.Delete(ctx, killed)
	if err != nil && !errdefs.IsNotFound(err) {
		return systemError("", fmt.Errorf("remove the job's process: %w", err))
	}
	s.task = nil
	return nil
}
