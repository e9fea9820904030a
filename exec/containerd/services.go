//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// serviceTimeout is GitLab's wait_for_services_timeout.
const serviceTimeout = 30 * time.Second

// service is a container beside a job's. It is a sandbox in which one program
// runs, the image's own.
type service struct {
	*sandbox
	declared exec.Service
	// ports are those of which one must be open for the service to be ready.
	ports []int
	// ended is closed when the program has ended, closing before that is wanted.
	ended   chan struct{}
	status  client.ExitStatus
	closing chan struct{}
	watch   sync.WaitGroup
}

// newServices finds the images of a job's services, all at once.
func (r *Runtime) newServices(ctx context.Context, job exec.Spec) ([]*service, error) {
	services := make([]*service, len(job.Services))
	all, ctx := errgroup.WithContext(ctx)
	for i, spec := range job.Services {
		all.Go(func() (err error) {
			services[i], err = r.newService(ctx, job, i)
			return describeService(spec, err)
		})
	}
	return services, all.Wait()
}

func (r *Runtime) newService(ctx context.Context, job exec.Spec, i int) (*service, error) {
	spec := job.Services[i]
	img, err := r.image(ctx, spec.Image.Name.Value, spec.Image.PullPolicy)
	if err != nil {
		return nil, err
	}
	s := &sandbox{r: r, id: r.newID("service"), img: img, job: exec.Spec{
		// No job's id holds an @.
		ID: fmt.Sprintf("%s@%d", job.ID, i+1), Job: &plan.Job{Image: spec.Image, Privileged: spec.Privileged},
		Env: spec.Env, Limits: job.Limits, Granted: exec.Granted{Privileged: spec.Privileged}, UserNamespace: job.UserNamespace,
		Builds: job.Builds, Scratch: filepath.Join(job.Scratch, fmt.Sprintf("service-%d", i+1)),
	}}
	if s.spec, err = r.newSpec(s.job, img, s.programs()); err != nil {
		return nil, err
	}
	if s.spec.Process.Args, err = serviceArgs(spec, img); err != nil {
		return nil, err
	}
	s.spec.Hostname = spec.Names[0][:min(len(spec.Names[0]), maxHostname)]
	if err := connectNetwork(s.spec, s.job, false); err != nil {
		return nil, systemError("", err)
	}
	ports, err := servicePorts(img.config.ExposedPorts, spec.Env)
	if err != nil {
		return nil, err
	}
	return &service{sandbox: s, declared: spec, ports: ports,
		ended: make(chan struct{}), closing: make(chan struct{})}, nil
}

// maxHostname is Linux's limit (uname(2)).
const maxHostname = 64

// serviceArgs is what a service runs: entry point and command, those of the
// pipeline before the image's, whose command belongs to its own entry point only.
func serviceArgs(spec exec.Service, img *image) ([]string, error) {
	entrypoint, command := img.config.Entrypoint, img.config.Cmd
	if spec.Image.Entrypoint != nil {
		entrypoint, command = literals(spec.Image.Entrypoint), nil
	}
	if spec.Command != nil {
		command = spec.Command
	}
	if len(entrypoint) == 1 && entrypoint[0] == "" {
		entrypoint = nil
	}
	args := append(entrypoint[:len(entrypoint):len(entrypoint)], command...)
	if len(args) == 0 {
		return nil, configError("say what it runs with services:command", "image %s has no command of its own", familiar(img.name))
	}
	return args, nil
}

// describeService says which service an error is about.
func describeService(spec exec.Service, err error) error {
	if err == nil {
		return nil
	}
	described := &exec.Error{Class: exec.ClassSystem, Err: fmt.Errorf("service %s: %w", spec.Names[0], err)}
	var e *exec.Error
	if errors.As(err, &e) {
		described.Class, described.Help = e.Class, strings.ReplaceAll(e.Help, "image:", "services:")
	}
	return described
}

// Start starts the job's services in order and waits until they are ready.
func (s *sandbox) Start(ctx context.Context, note func(service int, text string)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i, service := range s.services {
		if err := service.start(context.WithoutCancel(ctx), func(text string) { note(i, text) }); err != nil {
			return describeService(service.declared, err)
		}
	}
	waiting, cancel := context.WithTimeout(ctx, s.r.cfg.ServiceTimeout)
	defer cancel()
	var all sync.WaitGroup
	for i, service := range s.services {
		all.Go(func() {
			if err := service.awaitReady(waiting); err != nil && ctx.Err() == nil {
				note(i, err.Error())
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// start starts the service's program and watches it.
func (s *service) start(ctx context.Context, note func(text string)) error {
	waiting, stopWaiting := context.WithCancel(ctx)
	exit, err := s.exited(waiting)
	if err != nil {
		stopWaiting()
		return systemError("", fmt.Errorf("wait for its process: %w", err))
	}
	copied := make(chan error, 1)
	go func() { copied <- s.out.copy(s.declared.Output) }()
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	s.ran = true
	if err := s.startTask(ctx); err != nil {
		stopWaiting()
		return errors.Join(s.taskError(err), s.out.finish(0), <-copied)
	}
	s.watch.Go(func() {
		defer stopWaiting()
		s.status = <-exit
		err := errors.Join(s.out.finish(drainTimeout), <-copied)
		close(s.ended)
		if err == nil && s.status.Error() != nil {
			err = s.waitError(s.status.Error())
		}
		select {
		case <-s.closing:
			return
		default:
		}
		if err != nil {
			note(fmt.Sprintf("is gone: %v", err))
			return
		}
		note(fmt.Sprintf("ended with exit code %d before the job did", s.status.ExitCode()))
	})
	return nil
}

// Close ends the service and removes its container.
func (s *service) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.closeErr = s.describe(s.end())
	})
	return s.closeErr
}

// end kills the service and waits until its output is complete, before all of
// it is removed.
func (s *service) end() error {
	if s.task != nil && s.ran {
		ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
		defer cancel()
		if err := s.task.Kill(ctx, unix.SIGKILL); unlessEnded(err) != nil && !s.r.shimLost(s.shim) {
			return errors.Join(err, s.remove())
		}
		select {
		case <-s.ended:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("it did not end within %v of SIGKILL", killTimeout), s.remove())
		}
	}
	s.watch.Wait()
	return s.remove()
}

func (s *service) describe(err error) error { return describeService(s.declared, err) }
