// Package exec runs a plan. It knows nothing of YAML, rules or what a stage
// means: it is to CI what ninja is to make. Three parts:
//
//   - the schedule (schedule.go) is pure: what is ready, what a result unlocks;
//   - [Executor.Run] (run.go) is one loop that owns all state; workers only send results;
//   - [Runtime] is the world: containerd for real, a fake in tests, a dry run.
//
// A non-zero exit of a job is a status, never a Go error.
package exec

import (
	"context"
	"io"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// Runtime runs the programs of jobs in isolation.
//
// Life of a job, in this order, each step at most once unless said otherwise:
//
//  1. Setup makes a sandbox. The workspace may not be mounted yet; the sandbox
//     must see it when it is mounted later.
//  2. The executor mounts the workspace.
//  3. Sandbox.Start, if the job has services.
//  4. Sandbox.Run with the script, then perhaps once more with the after-script.
//     Both see the same root file system; no process of the first is left when
//     the second begins.
//  5. Sandbox.Close. Nothing of the job runs any more when it returns, its
//     services included.
//  6. The executor collects artifacts and unmounts the workspace, between 4 and 5
//     or after 5.
//
// Setup is called concurrently for different jobs; the methods of one sandbox
// are not. A cancelled context makes Setup return soon, with nothing left behind.
type Runtime interface {
	// Setup makes the sandbox of a job. An error should be an *[Error].
	Setup(ctx context.Context, spec Spec) (Sandbox, error)
}

// Sandbox is where one job's programs run.
type Sandbox interface {
	// Start starts the job's services, in order, and waits until they are ready, or
	// as long as that may take: a service that is not ready is a note, not an
	// error. note is told what a service, by its place in Spec.Services, did amiss:
	// "is not ready", and until Close, "ended". It may be called from other
	// goroutines, but not after Close has returned.
	Start(ctx context.Context, note func(service int, text string)) error
	// Run runs a program to its end and returns its exit code (128+N if signal N
	// ended it). Output, stdout and stderr together, goes to out, which need not
	// be safe for concurrent use. Standard input is empty.
	//
	// When ctx is done the program's main process gets SIGTERM, and after
	// Program.Grace, or at once when Program.Kill is closed, everything in the
	// sandbox gets SIGKILL. Run then returns the exit code and ctx's cause as error.
	// When the main process ends, what it left running is killed, and output
	// that does not end within two seconds is given up.
	Run(ctx context.Context, p Program, out io.Writer) (exitCode int, err error)
	// Hits tells which limits the last program ran into.
	Hits() Hits
	// Written lists the host directories that hold what the job writes outside of
	// its workspace, to be measured, if Spec.Limits has a limit for that.
	Written() []string
	// Close removes the sandbox. It must work after a failed or cancelled Run, may
	// be called twice, and has its own time limit.
	Close() error
}

// Spec is what a runtime needs to know of a job.
type Spec struct {
	// ID is unique in the run and safe as a file name: [a-z0-9._-], at most 100 bytes.
	ID string
	// Job must not be changed.
	Job *plan.Job
	// Image is the expanded image reference.
	Image string
	// Env holds NAME=value, over the image's own environment.
	Env []string
	// Services run beside the job, in its network. They are in plan order.
	Services []Service
	// Secrets are those that the job may have. Nothing of their values may be
	// written to a disk, or be seen in a process's arguments.
	Secrets []Secret
	// Limits are the job's, with the executor's defaults; zero means none.
	Limits plan.Resources
	// Granted is what the plan asks for and the command line granted.
	Granted Granted
	// UserNamespace: the job and its services run in user namespaces, and Builds shows
	// them the owners of files that the disk has.
	UserNamespace bool
	// Builds is a host directory, a mount point with shared propagation, to be seen
	// at /builds (bind, rslave). The project appears in its sub-directory project.
	Builds string
	// Scratch is an empty host directory for the runtime's own files of this job,
	// removed by the executor after Close.
	Scratch string
}

// Service is a container that runs beside a job, all its texts expanded.
type Service struct {
	// Image has an expanded name.
	Image plan.Image
	// Command replaces the image's if not nil.
	Command []string
	// Env holds NAME=value, over the image's own environment.
	Env []string
	// Names are the host names by which the job reaches it, at least one; no two
	// services of a job share one. The first stands for it in messages.
	Names []string
	// Output gets what it prints, stdout and stderr together, between the calls of
	// Start and the end of Close.
	Output io.Writer `json:"-"`
	// Privileged is what the plan asks for and the command line granted, whatever
	// the job itself may.
	Privileged bool
}

// Granted is what a job may do that others may not.
type Granted struct {
	Privileged  bool
	Devices     []string
	HostNetwork bool
}

// Hits are limits that a job's processes ran into.
type Hits struct {
	// OOM: the kernel killed a process of the job for want of memory.
	OOM bool
	// PIDs: a process could not be made.
	PIDs bool
}

// Program is one shell program.
type Program struct {
	// Name is script or after_script.
	Name string
	Body []byte
	// Shell is sh or bash, looked up in the sandbox; where there is no bash, sh runs
	// the program, and the output begins by saying so.
	Shell string
	// Env holds NAME=value, over Spec.Env.
	Env   []string
	Grace time.Duration
	// Kill, when closed, ends the grace period. It may be nil.
	Kill <-chan struct{}
}

// Class says what kind of trouble ended a job.
type Class string

// The classes of failure.
const (
	ClassScript    Class = "script"     // the script's exit code
	ClassTimeout   Class = "timeout"    // the job's time limit
	ClassOOM       Class = "oom"        // the job's memory limit, or the machine's memory
	ClassImagePull Class = "image_pull" // the image could not be had
	ClassConfig    Class = "config"     // the image cannot run the job: no shell, bad user
	ClassSystem    Class = "system"     // anything of the machine: containerd, disk, mounts
	ClassCanceled  Class = "canceled"   // the run, or the job alone, was told to end
	ClassChild     Class = "child"      // the child pipeline of a trigger job
)

// Error is a failure that is not the script's own.
type Error struct {
	Class Class
	// Help says what to do about it; may be empty.
	Help string
	Err  error
}

// Error returns the text of Err.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Workspaces makes the tree that each job sees.
type Workspaces interface {
	// Open prepares the workspace of a job, not mounted.
	Open(id string) (Workspace, error)
}

// Workspace is one job's tree. [workspace.Workspace] implements it.
type Workspace interface {
	// Builds is the directory for Spec.Builds.
	Builds() string
	// Mount makes the project appear. layers are artifact directories, a later one
	// overwrites an earlier.
	Mount(layers []string) error
	// Collect moves what matches into dst, which does not exist yet. Called once the
	// job's processes are gone.
	Collect(p workspace.Patterns, dst string) (*workspace.Manifest, error)
	// Written lists the host directories that hold what the job writes.
	Written() []string
	// Unchanged reports whether Collect would find exactly what layer holds, which was
	// given to Mount and once collected by the same patterns. It is called as Collect
	// is, and before it.
	Unchanged(p workspace.Patterns, layer string) (bool, error)
	// Keep moves what the job wrote to dst, which does not exist yet, and returns the
	// layers below it. Called once the job's processes are gone, before Close.
	Keep(dst string) (layers []string, err error)
	// Close unmounts and removes everything. It may be called twice.
	Close() error
}
